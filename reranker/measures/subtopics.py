"""How well a list serves the different things a request may mean: a judgement is "this item carries that value"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.measures.groups import Membership, earlier_equals

Floats = NDArray[np.float64]


def subtopic_recall(listed: Membership, supply: Membership) -> float | None:
    """Share of the subtopics that can be had which the list has, from 0 to 1 (Zhai, Cohen and Lafferty, SIGIR 2003).

    `listed` is the list's membership in the subtopics, `supply` that of all candidates; a subtopic that no candidate
    carries does not count. None when there is none. O(entries).
    """
    to_be_had = np.count_nonzero(supply.counts)
    return float(np.count_nonzero(listed.counts) / to_be_had) if to_be_had else None


def value_coverage(listed: Membership) -> float | None:
    """Share of the values asked for that the list has, from 0 to 1: `div` with shades, 1 where `div` is 1.

    Unlike in `subtopic_recall`, a value that no candidate carries counts as missing. None when no value is asked for.
    O(entries).
    """
    return float(np.count_nonzero(listed.counts) / listed.width) if listed.width else None


def alpha_ndcg(listed: Membership, supply: Membership, alpha: float = 0.5) -> float | None:
    """Novelty-biased normalised discounted cumulative gain (Clarke et al., SIGIR 2008).

    An item gains (1 - alpha)^c for each of its subtopics, c being how many items before it carry that subtopic; slot i
    weighs 1 / log2(i + 1). The ideal is the greedy order of `supply`, all candidates' membership, at the same length,
    ties to the earlier candidate. The best order is NP-hard to find, hence the paper's greedy one; where items carry
    several subtopics a list may beat it, and have a little more than 1. An unknown item takes up its slot and gains
    nothing. None when no candidate carries a subtopic, or the list is empty. O(N log N) where items carry one subtopic
    at most, else O(k entries).
    """
    slots = len(listed.labelled)
    discounts = 1.0 / np.log2(np.arange(2, slots + 2))
    ideal = _ideal_gains(supply, slots, 1.0 - alpha)
    best = float(ideal @ discounts[: len(ideal)])
    return float(_gains(listed, 1.0 - alpha) @ discounts) / best if best > 0.0 else None


def _gains(listed: Membership, left: float) -> Floats:
    """Gain of each item in its place; `left` is what a subtopic is worth after each item that carries it."""
    novelty = left ** earlier_equals(listed.carried).astype(np.float64)
    return np.bincount(listed.rows, weights=novelty, minlength=len(listed.labelled)).astype(np.float64)


def _ideal_gains(supply: Membership, slots: int, left: float) -> Floats:
    """The gains of the greedy order, while there are any."""
    if int(supply.lengths.max(initial=0)) <= 1:  # then no pick changes another subtopic's gain: sorting is enough
        return np.sort(_gains(supply, left))[::-1][:slots]
    rows, carried, starts = supply.rows, supply.carried, supply.starts
    count = len(supply.labelled)
    worth = np.ones(supply.width)
    is_taken = np.zeros(count, bool)
    gains = []
    for _ in range(min(slots, count)):
        gain = np.bincount(rows, weights=worth[carried], minlength=count)
        gain[is_taken] = -1.0
        pick = int(gain.argmax())
        if gain[pick] <= 0.0:
            break
        gains.append(gain[pick])
        is_taken[pick] = True
        worth[carried[starts[pick] : starts[pick + 1]]] *= left
    return np.array(gains, np.float64)


def err_ia(
    listed: Membership, supply: Membership, stops: Floats | float = 0.5, weights: Floats | None = None
) -> float | None:
    """Intent-aware expected reciprocal rank: how soon a user finds something for the one subtopic that they mean.

    Sum over the subtopics s of P(s) times the sum over the slots i of R(i, s) / i times the product over j < i of
    1 - R(j, s) (Chapelle et al., CIKM 2009, for one intent, and Information Retrieval 14(6), 2011, for several). R is
    the chance that an item carrying s satisfies a user who means s: `stops`, one number, or one an entry of
    `listed.carried` (see `stop_chances` for grades). The default 1/2 is the (2^1 - 1) / 2^1 of a binary judgement; then
    the value lies between 0 and ln 2, which only an endless list whose items carry everything comes near. `weights`
    (V,) are P(s); without them all subtopics that some candidate of `supply` carries are equally likely. An unknown
    item takes up its slot and satisfies nobody. None when no candidate carries a subtopic, or the list is empty.
    O(entries log entries).
    """
    can_be_had = supply.counts > 0
    if len(listed.labelled) == 0 or not can_be_had.any():
        return None
    if weights is None:
        weights = can_be_had / np.count_nonzero(can_be_had)
    if isinstance(stops, float):
        looking = (1.0 - stops) ** earlier_equals(listed.carried).astype(np.float64)
    else:
        looking = _still_looking(listed.carried, stops)
    return float((weights[listed.carried] * stops * looking / (listed.rows + 1.0)).sum())


def _still_looking(values: NDArray[np.intp], chances: Floats) -> Floats:
    """For each entry, the chance that no entry of the same value before it has satisfied."""
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order])) + 1
    left = np.ones(len(values))
    for entries in np.split(order, ends):
        left[entries[1:]] = np.cumprod(1.0 - chances[entries[:-1]])
    return left


def stop_chances(grades: NDArray[np.integer], highest: int) -> Floats:
    """Chance that an item of a grade from 0 to `highest` satisfies: (2^grade - 1) / 2^highest (Chapelle et al.)."""
    return (np.exp2(grades.astype(np.float64)) - 1.0) / 2.0**highest
