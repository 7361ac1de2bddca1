"""How far one order is from another; the two may hold different items, each at most once."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.integer]


def rank_biased_overlap(one: Positions, other: Positions, persistence: float = 0.9) -> float | None:
    """Rank-biased overlap, from 0 (nothing in common) to 1 (the same order), extrapolated past the ends.

    The mean agreement (common items / depth) at the depths 1, 2, ..., where depth d weighs (1 - p) p^(d - 1); below the
    ends the agreement is taken to stay as it was (Webber, Moffat and Zobel, TOIS 28(4), 2010, equation 32, for lists of
    different lengths without ties). `persistence` p, between 0 and 1, is the chance of looking one item further: at 0.9
    the first ten slots carry 86 %. None when a list is empty. O(n log n).
    """
    short, long = sorted((one, other), key=len)
    ends, end = len(short), len(long)
    if ends == 0:
        return None
    depth_in_long = _ranks_within(short, long)
    complete_at = np.maximum(depth_in_long, np.arange(ends))  # the depth at which both lists hold an item, from 0
    common = np.cumsum(np.bincount(complete_at[depth_in_long < end], minlength=end)[:end]).astype(np.float64)
    depths = np.arange(1.0, end + 1.0)
    last = common[ends - 1] / ends  # agreement where the shorter list ends
    beyond = np.maximum(depths - ends, 0.0) * last
    agreement = (common + beyond) / depths
    seen = float((agreement * persistence**depths).sum()) * (1.0 - persistence) / persistence
    return min(seen + float(agreement[-1]) * persistence**end, 1.0)


def overlap(one: Positions, other: Positions) -> float | None:
    """Overlap@k: items that both lists hold, over the length of the shorter; from 0 to 1. None when a list is empty."""
    short = min(len(one), len(other))
    return len(np.intersect1d(one, other, assume_unique=True)) / short if short else None


def kendall_tau(one: Positions, other: Positions) -> float | None:
    """Kendall's tau of two lists that may hold different items, from -1 (reversed, or nothing in common) to 1.

    (agreeing pairs - disagreeing pairs) / both, over the pairs of items that both lists order: an item that a list
    lacks stands below all that it holds, and two items that it lacks are in no order. Over the same items that is the
    usual tau; else the pairs are those of Fagin, Kumar and Sivakumar (SIAM J. Discrete Mathematics 17(1), 2003) with
    penalty 0. None when no pair is ordered. O(n log n), with moves of memory in O(n^2).
    """
    ranks = _ranks_within(one, other)  # len(other) where the other list lacks the item
    is_common = ranks < len(other)
    common = int(np.count_nonzero(is_common))
    alone, other_alone = len(one) - common, len(other) - common
    disagreeing = alone * other_alone + _inversions(ranks[is_common].tolist())
    # An item that one list holds alone stands below every common item in the other list.
    held_by_other = np.zeros(len(other), bool)
    held_by_other[ranks[is_common]] = True
    disagreeing += _commons_below(is_common) + _commons_below(held_by_other)
    pairs = common * (common - 1) // 2 + common * (alone + other_alone) + alone * other_alone
    return 1.0 - 2.0 * disagreeing / pairs if pairs else None


def displacements(positions: Positions, upstream_order: Positions) -> NDArray[np.intp]:
    """Upstream rank minus slot of each item of a list, (k,): above 0 it was lifted, below 0 it fell.

    `upstream_order` holds every item of `positions`.
    """
    return _ranks_within(positions, upstream_order) - np.arange(len(positions))


def _ranks_within(items: Positions, order: Positions) -> NDArray[np.intp]:
    """The place of each item in an order, from 0; the order's length where it lacks the item."""
    if len(order) == 0:
        return np.zeros(len(items), np.intp)
    by_item = np.argsort(order, kind="stable")
    found = np.minimum(np.searchsorted(order, items, sorter=by_item), len(order) - 1)
    places = by_item[found]
    return np.where(order[places] == items, places, len(order))


def _inversions(ranks: list[int]) -> int:
    """How many pairs stand in descending order."""
    seen: list[int] = []
    count = 0
    for rank in ranks:
        count += len(seen) - bisect_left(seen, rank)
        insort(seen, rank)
    return count


def _commons_below(is_common: NDArray[np.bool_]) -> int:
    """How many pairs of an item held alone and a common one below it a list has."""
    below = np.cumsum(is_common[::-1])[::-1]
    return int(below[~is_common].sum())
