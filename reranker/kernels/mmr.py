"""Maximal marginal relevance (Carbonell and Goldstein 1998), lazily.

The largest similarity to the picks only grows, so a candidate's utility only falls: a stale value is an upper bound,
and a candidate is compared with newer picks only while that bound beats the best of this slot. Float32 finds the
contenders, float64 on the embeddings as they came in decides between them, as in `dpp.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.pick import may_stand, resolve
from reranker.kernels.rows import exact_similarity

SCAN_ERROR = 8e-6  # bound on the float32 error of a dot product of unit rows; tests/property measure it
_SLACK = 1e-9


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
        p = picks[first]
        total = np.float32(0.0)
        for k in range(rows.shape[1]):
            total += rows[i, k] * rows[p, k]
        similarity[i] = max(similarity[i], total)
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
    similarity[i] = max(max(similarity[i], max(a, b)), max(c, d))
    seen[i] = first + 4


@inner
def exact_nearest(
    i: int,
    slot: int,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    nearest: NDArray[np.float64],
    done: NDArray[np.int32],
) -> float:
    """The largest similarity of candidate i to the first `slot` picks, clipped to 0..1, in float64."""
    for t in range(done[i], slot):
        nearest[i] = max(nearest[i], exact_similarity(order[i], order[picks[t]], matrix, norms, shifted))
    done[i] = max(done[i], slot)
    return min(float(nearest[i]), 1.0)


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        boolean,
        read_only(f32, 2),
        scratch(f32, 1),
        scratch(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
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
    shifted: bool,
    rows: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seen: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    nearest: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i - diversity * clip(max_j similarity(i, j), 0, 1).

    `relevance` is weighted already. Scan: `rows` (N, D), `similarity` and `seen` hold per candidate the largest
    similarity to the first `seen` picks. Exact: `matrix`, `norms` as they came in, `order` from upstream rank to their
    rows, `nearest` and `done` likewise. Time O(U D) for U compared pairs, at most N a slot.
    """
    count = len(relevance)
    contenders = np.empty(count, np.int32)
    for slot in range(first, last):
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            low = -np.inf
            found = 0
            for i in range(count):
                if not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                high = relevance[i] - diversity * max(np.float64(similarity[i]) - SCAN_ERROR, 0.0) + _SLACK
                while high >= low and seen[i] < slot:
                    catch_up(i, slot, picks, rows, similarity, seen)
                    high = relevance[i] - diversity * max(np.float64(similarity[i]) - SCAN_ERROR, 0.0) + _SLACK
                if high < low:
                    continue
                contenders[found] = i
                found += 1
                low = max(low, relevance[i] - diversity * min(np.float64(similarity[i]) + SCAN_ERROR, 1.0) - _SLACK)
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if relevance[i] - diversity * max(np.float64(similarity[i]) - SCAN_ERROR, 0.0) + _SLACK < low:
                    continue
                alike = exact_nearest(i, slot, picks, matrix, norms, order, shifted, nearest, done)
                utility = resolve(relevance[i] - diversity * alike)
                if utility > best:
                    best = utility
                    pick = i
        picks[slot] = pick
        if pick < 0:
            return
        alike = exact_nearest(pick, slot, picks, matrix, norms, order, shifted, nearest, done)
        gains[slot] = resolve(relevance[pick] - diversity * alike)
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1


@kernel(
    types.void(
        i64,
        boolean,
        read_only(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
def nearest_similarities(
    slot: int,
    shifted: bool,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    nearest: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Bring every candidate's exact largest similarity up to date with the first `slot` picks; for explanations."""
    for i in range(len(order)):
        exact_nearest(i, slot, picks, matrix, norms, order, shifted, nearest, done)
