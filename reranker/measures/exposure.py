"""Who gets the attention that slots have to give, and whether each group is represented by its best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.measures.groups import Membership, against

Floats = NDArray[np.float64]


def slot_attention(slots: int) -> Floats:
    """Attention to each slot, 1 / log2(i + 1): the discount of every measure here."""
    return 1.0 / np.log2(np.arange(2, slots + 2))


def awrf(listed: Membership, reference: Floats, attention: Floats | None = None) -> float | None:
    """Attention-weighted rank fairness: 1 - Jensen-Shannon divergence of the groups' attention from the reference.

    Natural logarithm: from 1 - ln 2 (attention where none is due) to 1 (as the reference wants it). Attention to a slot
    goes to each value of its item; distributions are over the values, as in `ndkl`, and finite however empty a group
    is. `reference` (V,) as in `against`: what it leaves, or 0, is due to labelled items without a named value.
    `attention` (k,) is `slot_attention` unless given. Unknown items are left out, and their slots' attention with them.
    None when nothing is labelled. (Sapiezynski et al., WWW 2019; as 1 - JS in TREC Fair Ranking 2021 and 2022.)
    O(entries).
    """
    rows, classes, target = against(listed, reference)
    if len(rows) == 0:
        return None
    attention = slot_attention(len(listed.labelled)) if attention is None else attention
    received = np.bincount(classes, weights=attention[rows], minlength=len(target))
    total = float(received.sum())
    return 1.0 - _jensen_shannon(received / total, target) if total > 0.0 else None


def _jensen_shannon(one: Floats, other: Floats) -> float:
    """Jensen-Shannon divergence of two distributions, from 0 to ln 2."""
    middle = (one + other) / 2.0
    parts = [(side[side > 0.0] * np.log(side[side > 0.0] / middle[side > 0.0])).sum() for side in (one, other)]
    return min(max(float(sum(parts)) / 2.0, 0.0), float(np.log(2.0)))


def mean_exposure(listed: Membership, supply: Membership, attention: Floats | None = None) -> Floats:
    """Attention that the average candidate of each group gets, (V,): 0 off the list, NaN where there is no candidate.

    `listed` and `supply` are the memberships of the list and of all candidates in the same groups. An item of several
    groups counts for each. (Singh and Joachims, KDD 2018.) O(entries).
    """
    attention = slot_attention(len(listed.labelled)) if attention is None else attention
    received = np.bincount(listed.carried, weights=attention[listed.rows], minlength=listed.width)
    candidates = supply.counts.astype(np.float64)
    mean = np.full(supply.width, np.nan)
    np.divide(received, candidates, out=mean, where=candidates > 0.0)
    return mean


def attention_shares(listed: Membership, attention: Floats | None = None) -> Floats | None:
    """Share of the attention to labelled items that each value gets, (V,), from 0 to 1.

    An item of several values counts for each, so that shares may add up to more than 1. Unknown items are left out, and
    their slots' attention with them. `attention` (k,) is `slot_attention` unless given. None when nothing is labelled.
    O(entries).
    """
    attention = slot_attention(len(listed.labelled)) if attention is None else attention
    total = float(attention[listed.labelled].sum())
    if total == 0.0:
        return None
    received = np.bincount(listed.carried, weights=attention[listed.rows], minlength=listed.width)
    return received.astype(np.float64) / total


def attention_gap(listed: Membership, reference: Floats, attention: Floats | None = None) -> float | None:
    """Share of the attention that would have to go to other groups to be as the reference wants it, from 0 to 1.

    Total variation distance of the groups' attention from the reference: half the sum of the absolute differences.
    Distributions, unknown items and other values are as in `awrf`. None when nothing is labelled. O(entries).
    """
    rows, classes, target = against(listed, reference)
    if len(rows) == 0:
        return None
    attention = slot_attention(len(listed.labelled)) if attention is None else attention
    received = np.bincount(classes, weights=attention[rows], minlength=len(target))
    return min(float(np.abs(received / received.sum() - target).sum()) / 2.0, 1.0)


def exposure_parity(listed: Membership, supply: Membership, attention: Floats | None = None) -> float | None:
    """Least over largest mean exposure of the groups, from 0 (one group gets none) to 1 (parity).

    Every group that has a candidate counts, so that a list shorter than the number of groups has 0. Unknown items are
    of no group. None with fewer than two groups among the candidates, or when no group gets any attention. Arguments as
    in `mean_exposure`.
    """
    exposure = mean_exposure(listed, supply, attention)
    exposure = exposure[~np.isnan(exposure)]
    if len(exposure) < 2 or exposure.max() <= 0.0:
        return None
    return float(exposure.min() / exposure.max())


def in_group_fairness(supply: Membership, gains: Floats, positions: NDArray[np.integer]) -> Floats:
    """Of each group, the least relevance on the list over the largest off it, (V,), from 0 to 1; 1: its best are there.

    `supply` is all candidates' membership, `gains` (N,) their relevance, none below 0, `positions` (k,) the list. Also
    1 when nobody of the group who has any relevance is off the list. NaN for a group that the list lacks: it has nobody
    who stands before a better one. Unknown items are of no group. (IGF-Ratio of Yang, Gkatzelis and Stoyanovich, IJCAI
    2019, for the list as a set.) O(entries).
    """
    is_listed = np.zeros(len(gains), bool)
    is_listed[positions] = True
    carriers, on_list = gains[supply.rows], is_listed[supply.rows]
    least, largest = np.full(supply.width, np.inf), np.zeros(supply.width)
    np.minimum.at(least, supply.carried[on_list], carriers[on_list])
    np.maximum.at(largest, supply.carried[~on_list], carriers[~on_list])
    ratio = np.ones(supply.width)
    np.divide(least, largest, out=ratio, where=least < largest)
    ratio[np.isinf(least)] = np.nan
    return ratio
