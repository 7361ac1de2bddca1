"""Upstream relevance, alone or with a bonus: the best open candidate, slot after slot."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import f64, i64, kernel, read_only
from reranker.kernels.pick import may_stand, resolve


@kernel(types.void(i64, i64, *GATE, read_only(f64, 1)))
def select_relevance(
    first: int,
    last: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    forced: NDArray[np.int32],
    bounded: bool,
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    counts: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    picks: NDArray[np.int32],
    gains: NDArray[np.float64],
    relevance: NDArray[np.float64],
) -> None:
    """Fill slots first..last-1 of `picks`; candidates stand in upstream order, so the first open one is the best.

    O(N) a slot at worst; a pick of -1 means that no candidate was open.
    """
    for slot in range(first, last):
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            for i in range(len(relevance)):
                if may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    pick = i
                    break
        picks[slot] = pick
        if pick < 0:
            return
        taken[pick] = True
        gains[slot] = resolve(relevance[pick])
        if bounded:
            counts[kind[pick]] += 1


@kernel(types.void(i64, i64, *GATE, read_only(f64, 1)))
def select_adjusted(
    first: int,
    last: int,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    forced: NDArray[np.int32],
    bounded: bool,
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    counts: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    picks: NDArray[np.int32],
    gains: NDArray[np.float64],
    utility: NDArray[np.float64],
) -> None:
    """`select_relevance` where utilities do not follow the upstream order. O(N) a slot."""
    for slot in range(first, last):
        pick = forced[slot]
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            for i in range(len(utility)):
                if may_stand(slot, taken[i], is_open[kind[i]], release[i]) and resolve(utility[i]) > best:
                    best = resolve(utility[i])
                    pick = i
        picks[slot] = pick
        if pick < 0:
            return
        taken[pick] = True
        gains[slot] = resolve(utility[pick])
        if bounded:
            counts[kind[pick]] += 1
