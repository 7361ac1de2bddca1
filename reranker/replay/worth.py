"""What many slates are worth by themselves: relevance kept, distances, how far they are from the upstream order."""

from __future__ import annotations

import numpy as np

from reranker.measures import relevance_retained
from reranker.replay.lists import Slates
from reranker.replay.numbers import Numbers
from reranker.replay.segments import Floats, Indices

_CELLS = 1 << 20  # numbers of cosines and directions that are in memory at once
_PERSISTENCE = 0.9  # of rank-biased overlap


def add_worth(numbers: Numbers, slates: Slates, rows: Indices) -> None:
    """The measures of `reranker.measures` that need no attribute, of every slate."""
    slots = slates.slots
    filled = slots.lengths > 0
    counts = np.maximum(slots.lengths, 1)
    kept = _relevance_retained(slates)
    numbers.add("relevance_retained", rows, kept, where=~np.isnan(kept))
    gained = _ndcg(slates)
    numbers.add("ndcg", rows, gained, where=~np.isnan(gained))
    mean, least = _distances(slates)
    numbers.add("intra_list_average_distance", rows, mean, where=~np.isnan(mean))
    numbers.add("intra_list_minimum_distance", rows, least, where=~np.isnan(least))
    numbers.add("upstream_overlap", rows, slots.count(~slates.came) / counts, where=filled)
    numbers.add("upstream_rbo", rows, _rank_biased_overlap(slates), where=filled)
    moved = np.abs(slates.lists.rank[slates.item] - slots.within).astype(np.float64)
    numbers.add("mean_displacement", rows, slots.sum(moved) / counts, where=filled)


def _relevance_retained(slates: Slates) -> Floats:
    lists = slates.lists
    kept = [
        relevance_retained(lists.all[each.owner].scores, each.positions, lists.orders[each.owner], lists.score_zero)
        for each in slates.made
    ]
    return np.array(kept, np.float64)


def _ndcg(slates: Slates) -> Floats:
    gains, slots = slates.lists.ranked_gains, slates.slots
    ideal = slots.dot(gains[slates.top], slates.attention)
    found = np.full(len(slates), np.nan)
    np.divide(slots.dot(gains[slates.item], slates.attention), ideal, out=found, where=ideal > 0.0)
    return found


def _rank_biased_overlap(slates: Slates) -> Floats:
    """`rank_biased_overlap` with the upstream order at the same length."""
    slots, stays = slates.slots, ~slates.came
    complete = np.maximum(slates.lists.rank[slates.item], slots.within)[stays]
    ends = np.bincount(slots.starts[slots.owner[stays]] + complete, minlength=slots.total)
    common = np.cumsum(ends) - np.concatenate([[0], np.cumsum(ends)])[slots.starts][slots.owner]
    depths = np.arange(1.0, slates.longest + 1.0)
    agreement = common / depths[slots.within]
    seen = slots.sum(agreement * (_PERSISTENCE**depths)[slots.within]) * (1.0 - _PERSISTENCE) / _PERSISTENCE
    last = np.zeros(len(slates))
    filled = slots.lengths > 0
    last[filled] = agreement[(slots.starts + slots.lengths - 1)[filled]]
    beyond = np.array([_PERSISTENCE**length for length in range(slates.longest + 1)])[slots.lengths]
    extrapolated: Floats = np.minimum(seen + last * beyond, 1.0)
    return extrapolated


def _distances(slates: Slates) -> tuple[Floats, Floats]:
    """`intra_list_distances` of the main embedding; NaN where fewer than two items have one."""
    mean, least = np.full((2, len(slates)), np.nan)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for at, made in enumerate(slates.made):
        if made.embedded is not None and len(made.embedded) > 1:
            by_shape.setdefault(made.embedded.shape, []).append(at)
    for (count, dimension), same in by_shape.items():
        together = max(1, _CELLS // (count * (count + dimension)))
        for first in range(0, len(same), together):
            some = same[first : first + together]
            embedded = [rows for at in some if (rows := slates.made[at].embedded) is not None]
            mean[some], least[some] = _distances_within(np.stack(embedded).astype(np.float64))
    return np.clip(mean, 0.0, 2.0), np.clip(least, 0.0, 2.0)


def _distances_within(unit: Floats) -> tuple[Floats, Floats]:
    """Mean and least distance within each of so many matrices of as many rows, which become directions."""
    count = unit.shape[1]
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    cosines = unit @ unit.transpose(0, 2, 1)
    diagonal = np.arange(count)
    cosines[:, diagonal, diagonal] = 0.0
    mean: Floats = 1.0 - cosines.reshape(len(unit), -1).sum(axis=1) / (count * (count - 1))
    cosines[:, diagonal, diagonal] = -1.0
    least: Floats = 1.0 - cosines.max(axis=(1, 2))
    return mean, least
