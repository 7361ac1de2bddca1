"""Maximal marginal relevance (Carbonell and Goldstein 1998), lazily.

The largest similarity to the picks only grows, so a candidate's utility only falls: a stale value is an upper bound,
and a candidate is compared with newer picks only while that bound beats the best of this slot.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.pick import may_stand, resolve

_GRID = np.float32(2.0**20)


@inner
def on_grid(dot: np.float32) -> np.float32:
    """clip(dot, 0, 1) to 2^-20: float32 noise must not decide between two exact duplicates."""
    clipped: np.float32 = np.rint(min(max(dot, np.float32(0.0)), np.float32(1.0)) * _GRID) / _GRID
    return clipped


@inner
def clipped_similarity(rows: NDArray[np.float32], i: int, j: int) -> np.float32:
    """clip(row_i . row_j, 0, 1) on the grid."""
    total = np.float32(0.0)
    for c in range(rows.shape[1]):
        total += rows[i, c] * rows[j, c]
    return on_grid(total)


@inner
def catch_up(
    i: int,
    slot: int,
    picks: NDArray[np.int32],
    rows: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Compare candidate i with its next unseen picks: four at once when it lags that far, so its row is loaded once."""
    first = seen[i]
    if first + 4 > slot:
        similarity[i] = max(similarity[i], clipped_similarity(rows, i, picks[first]))
        seen[i] = first + 1
        return
    p, q, r, s = picks[first], picks[first + 1], picks[first + 2], picks[first + 3]
    a = b = c = d = np.float32(0.0)
    for k in range(rows.shape[1]):
        value = rows[i, k]
        a += value * rows[p, k]
        b += value * rows[q, k]
        c += value * rows[r, k]
        d += value * rows[s, k]
    similarity[i] = max(similarity[i], on_grid(max(max(a, b), max(c, d))))
    seen[i] = first + 4


@kernel(types.void(i64, i64, *GATE, read_only(f64, 1), f64, read_only(f32, 2), scratch(f32, 1), scratch(i32, 1)))
def select_mmr(
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
    diversity: float,
    rows: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i - diversity * max_j similarity(i, j).

    `relevance` is weighted already; `similarity` and `seen` hold, per candidate, the largest similarity to the first
    `seen` picks. Time O(U D) for U refreshed pairs, at most N a slot; no allocation.
    """
    for slot in range(first, last):
        pick = forced[slot]
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            for i in range(len(relevance)):
                if not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                utility = resolve(relevance[i] - diversity * np.float64(similarity[i]))
                while utility > best and seen[i] < slot:
                    catch_up(i, slot, picks, rows, similarity, seen)
                    utility = resolve(relevance[i] - diversity * np.float64(similarity[i]))
                if utility > best:
                    best = utility
                    pick = i
        else:
            while seen[pick] < slot:
                catch_up(pick, slot, picks, rows, similarity, seen)
            best = resolve(relevance[pick] - diversity * np.float64(similarity[pick]))
        picks[slot] = pick
        if pick < 0:
            return
        taken[pick] = True
        gains[slot] = best
        if bounded:
            counts[kind[pick]] += 1


@kernel(types.void(i64, read_only(i32, 1), read_only(f32, 2), scratch(f32, 1), scratch(i32, 1)))
def nearest_similarity(
    slot: int,
    picks: NDArray[np.int32],
    rows: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Bring every candidate's largest similarity up to date with the first `slot` picks; for explanations."""
    for i in range(rows.shape[0]):
        while seen[i] < slot:
            catch_up(i, slot, picks, rows, similarity, seen)
