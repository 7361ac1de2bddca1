"""Max-sum dispersion (Borodin, Lee, Ye 2012), lazily, with the mean distance to the picks in place of their sum.

A pick that a candidate was not compared with may lie at the largest distance, 1, so the similarities that are known
bound its mean distance from above, and it is compared with further picks only while that beats the best of this slot.
Float32 finds the contenders, float64 decides between them, as in `mmr.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.mmr import SCAN_ERROR
from reranker.kernels.pick import may_stand, resolve
from reranker.kernels.rows import exact_similarity

_SLACK = 1e-9


@inner
def _within(similarity: np.float32) -> float:
    """A similarity clipped to 0..1."""
    return min(max(np.float64(similarity), 0.0), 1.0)


@inner
def _compare(
    i: int, t: int, slot: int, picks: NDArray[np.int32], rows: NDArray[np.float32], alike: NDArray[np.float64]
) -> int:
    """Add candidate i's similarity to the pick of slot t, or to four from there on; the slot to go on with."""
    if t + 4 > slot:
        p = picks[t]
        total = np.float32(0.0)
        for k in range(rows.shape[1]):
            total += rows[i, k] * rows[p, k]
        alike[i] += _within(total)
        return t + 1
    p, q, r, s = picks[t], picks[t + 1], picks[t + 2], picks[t + 3]
    a = b = c = d = np.float32(0.0)
    for k in range(rows.shape[1]):
        value = rows[i, k]
        a += value * rows[p, k]
        b += value * rows[q, k]
        c += value * rows[r, k]
        d += value * rows[s, k]
    alike[i] += _within(a) + _within(b) + _within(c) + _within(d)
    return t + 4


@inner
def _exact_mean(
    i: int,
    slot: int,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    total: NDArray[np.float64],
    done: NDArray[np.int32],
) -> float:
    """The mean of 1 - clip(similarity, 0, 1) over the first `slot` picks, 0 before the first, in float64."""
    for t in range(done[i], slot):
        similarity = exact_similarity(order[i], order[picks[t]], matrix, norms, shifted)
        total[i] += min(max(similarity, 0.0), 1.0)
    done[i] = max(done[i], slot)
    return 1.0 - total[i] / slot if slot > 0 else 0.0


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        boolean,
        read_only(f32, 2),
        scratch(f64, 1),
        scratch(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
def select_msd(
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
    alike: NDArray[np.float64],
    seen: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    total: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * mean_j (1 - clip(similarity(i, j), 0, 1)).

    j runs over the picks so far; `relevance` is weighted already. Scan: `rows` (N, D), `alike` the sum of similarities
    to the first `seen` picks by candidate. Exact: `total` and `done` likewise, from `matrix`, `norms` as they came in
    and `order`. Time O(U D) for U compared pairs, at most N a slot.
    """
    count = len(relevance)
    contenders = np.empty(count, np.int32)
    for slot in range(first, last):
        pick = forced[slot]
        share = 1.0 / slot if slot > 0 else 0.0
        most = 1.0 if slot > 0 else 0.0
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            low = -np.inf
            found = 0
            for i in range(count):
                if not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                high = relevance[i] + diversity * min(most - alike[i] * share + SCAN_ERROR, most) + _SLACK
                while high >= low and seen[i] < slot:
                    seen[i] = _compare(i, seen[i], slot, picks, rows, alike)
                    high = relevance[i] + diversity * min(most - alike[i] * share + SCAN_ERROR, most) + _SLACK
                if high < low:
                    continue
                contenders[found] = i
                found += 1
                low = max(low, relevance[i] + diversity * max(most - alike[i] * share - SCAN_ERROR, 0.0) - _SLACK)
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if relevance[i] + diversity * min(most - alike[i] * share + SCAN_ERROR, most) + _SLACK < low:
                    continue
                mean = _exact_mean(i, slot, picks, matrix, norms, order, shifted, total, done)
                utility = resolve(relevance[i] + diversity * mean)
                if utility > best:
                    best = utility
                    pick = i
        picks[slot] = pick
        if pick < 0:
            return
        mean = _exact_mean(pick, slot, picks, matrix, norms, order, shifted, total, done)
        gains[slot] = resolve(relevance[pick] + diversity * mean)
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1


@kernel(
    types.void(
        i64,
        boolean,
        read_only(i32, 1),
        scratch(f64, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
def mean_distances(
    slot: int,
    shifted: bool,
    picks: NDArray[np.int32],
    mean: NDArray[np.float64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    total: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Write every candidate's exact mean distance to the first `slot` picks; for explanations."""
    for i in range(len(order)):
        mean[i] = _exact_mean(i, slot, picks, matrix, norms, order, shifted, total, done)
