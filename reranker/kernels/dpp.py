"""Greedy MAP of a determinantal point process by incremental Cholesky (Chen, Zhang, Zhou; NeurIPS 2018; algorithm 1).

Candidate i's residual d2_i is the conditional variance of i given the picks; it only falls, so a stale residual is an
upper bound and most candidates need no work in most slots. Two chains share that idea:

* the *scan* chain, float32, over contiguous rows [unit vector | Cholesky row], conditions only on picks whose own
  residual is large enough for float32; leaving a pick out keeps the residual an upper bound. It finds the few
  contenders.
* the *exact* chain, float64, from the embeddings as they came in, decides between contenders and gives the utility
  that is reported. Picks therefore equal those of a float64 implementation, and equal candidates tie exactly.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch, tuple_of
from reranker.kernels.pick import may_stand, resolve
from reranker.kernels.rows import exact_similarity

CLAMP = 1e-5  # rule 1: below this share of its variance an item is told apart by relevance alone
SCAN_ERROR = 1e-4  # three times the float32 error of scan residuals that tests/property/test_dpp_precision.py finds
SCAN_PIVOT = 0.05  # a pick with a smaller residual would amplify float32 noise beyond that bound
EXACT_PIVOT = 1e-12  # float64 noise: such a pick is a copy of earlier ones and conditions nothing further
TINY = 1e-290  # below it a worth has too few digits left to bound anything from below
HIGHEST = 660.0  # exp of it still has room below infinity for the factors of a bound
HIDDEN = 4e-9  # how far apart two utilities may be that `resolve` puts on one point of its grid, with room to spare
ROUNDING = 1e-15  # of the largest relevance: what float64 sums may be off by


@inner
def scan_refresh(
    i: int,
    chain: int,
    dimension: int,
    need: float,
    rows: NDArray[np.float32],
    pivots: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Apply scan pivots to candidate i, until it is up to date or its residual falls to `need`."""
    variance = residual[i]
    column = seen[i]
    # Four pivots at a time load the row once: four times the arithmetic for little more than one pass over memory.
    while column + 4 <= chain and variance > need:
        a = b = c4 = d = np.float32(0.0)
        for c in range(dimension + column):
            value = rows[i, c]
            a += value * pivots[column, c]
            b += value * pivots[column + 1, c]
            c4 += value * pivots[column + 2, c]
            d += value * pivots[column + 3, c]
        at = dimension + column
        b += a * pivots[column + 1, at]
        c4 += a * pivots[column + 2, at] + b * pivots[column + 2, at + 1]
        d += a * pivots[column + 3, at] + b * pivots[column + 3, at + 1] + c4 * pivots[column + 3, at + 2]
        rows[i, at] = a
        rows[i, at + 1] = b
        rows[i, at + 2] = c4
        rows[i, at + 3] = d
        variance = max(variance - (a * a + b * b + c4 * c4 + d * d), np.float32(0.0))
        column += 4
    while column < chain and variance > need:
        total = np.float32(0.0)
        for c in range(dimension + column):
            total += rows[i, c] * pivots[column, c]
        rows[i, dimension + column] = total
        variance = max(variance - total * total, np.float32(0.0))
        column += 1
    residual[i] = variance
    seen[i] = column


@inner
def exact_residual(
    i: int,
    slot: int,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    scales: NDArray[np.float64],
    factor: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
) -> float:
    """Float64 residual of candidate i given the first `slot` picks; continues from what was done before."""
    source = order[i]
    for t in range(done[i], slot):
        factor[i, t] = 0.0
        p = picks[t]
        if scales[t] == 0.0:
            continue
        covariance = exact_similarity(source, order[p], matrix, norms, shifted)
        for c in range(t):
            covariance -= factor[i, c] * factor[p, c]
        entry = covariance * scales[t]
        factor[i, t] = entry
        variance[i] = max(variance[i] - entry * entry, 0.0)
    done[i] = max(done[i], slot)
    return float(variance[i])


@inner
def most(residual: float, worth: float, grow: float) -> float:
    """The largest exp(utility / diversity) that a residual leaves possible, as a share of the best relevance's."""
    return max(residual, CLAMP) * max(worth, TINY) * grow


@inner
def least(residual: float, worth: float, grow: float) -> float:
    """The smallest, likewise."""
    if worth < TINY:
        return 0.0
    return max(residual, CLAMP) * worth / grow


@kernel(
    tuple_of(f64, f64)(
        read_only(f64, 1),
        read_only(boolean, 1),
        f64,
        read_only(f32, 1),
        read_only(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
    )
)
def weigh(
    relevance: NDArray[np.float64],
    taken: NDArray[np.bool_],
    diversity: float,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    worth: NDArray[np.float64],
    bound: NDArray[np.float64],
) -> tuple[float, float]:
    """Write `worth` = exp((relevance - top) / diversity) and what it makes of every upper `bound`; O(N).

    Returns `top`, the largest relevance still free, and `grow`, the factor by which the grid of utilities and float64
    rounding may make two of the compared exponentials look alike. Any residual, scan or exact, that was right once
    is an upper bound for good.
    """
    top, largest = -np.inf, 0.0
    for i in range(len(relevance)):
        largest = max(largest, abs(relevance[i]))
        if not taken[i]:
            top = max(top, relevance[i])
    if top == -np.inf:
        top = 0.0
    grow = np.exp(min((HIDDEN + ROUNDING * largest) / diversity, HIGHEST)) * (1.0 + 1e-12)
    for i in range(len(relevance)):
        # Above the top stands only what is taken, and of that only the last pick can come back.
        worth[i] = np.exp(min((relevance[i] - top) / diversity, HIGHEST))
        bound[i] = most(min(np.float64(residual[i]) + SCAN_ERROR, variance[i]), worth[i], grow)
    return top, grow


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        read_only(f64, 1),
        f64,
        f64,
        f64,
        i64,
        boolean,
        scratch(f32, 2),
        scratch(f32, 2),
        scratch(f32, 1),
        scratch(i32, 1),
        scratch(f64, 1),
        scratch(i64, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 1),
        scratch(f64, 2),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
def select_dpp(
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
    worth: NDArray[np.float64],
    top: float,
    diversity: float,
    grow: float,
    dimension: int,
    shifted: bool,
    rows: NDArray[np.float32],
    pivots: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
    bound: NDArray[np.float64],
    chain: NDArray[np.int64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    scales: NDArray[np.float64],
    factor: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * log max(d2_i, CLAMP).

    `relevance` is weighted and adjusted already. The scan compares exp(utility / diversity) = d2_i * `worth`_i, so that
    its loop takes no logarithms; `weigh` gives `top`, `grow`, `worth` and the first `bound`, an upper bound of that by
    candidate. Scan chain: `rows` (N, dimension + slots), `pivots` (slots, dimension + slots), `residual`, `seen` by
    candidate, `chain[0]` its length. Exact chain: `matrix`, `norms` as they came in, `order` from upstream rank to
    their rows, `factor` (N, slots), `variance`, `done` by candidate, `scales` 1/sqrt(d2) by pick.
    Time O(U (D + k)) for U refreshed entries of the scan, at most N a slot.
    """
    count = len(relevance)
    contenders = np.empty(count, np.int32)
    for slot in range(first, last):
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            seed = -1
            for i in range(count):
                if may_stand(slot, taken[i], is_open[kind[i]], release[i]) and (seed < 0 or bound[i] > bound[seed]):
                    seed = i
            if seed < 0:
                picks[slot] = -1
                return
            # Only a chain with every pick in it bounds utilities from below as well; otherwise each contender is
            # decided at once, and the best so far is the bound.
            complete = chain[0] == slot
            scan_refresh(seed, chain[0], dimension, -1.0, rows, pivots, residual, seen)
            bound[seed] = most(np.float64(residual[seed]) + SCAN_ERROR, worth[seed], grow)
            low = least(np.float64(residual[seed]) - SCAN_ERROR, worth[seed], grow)
            best = -np.inf
            if not complete:
                d2 = exact_residual(seed, slot, picks, matrix, norms, order, shifted, scales, factor, variance, done)
                best = resolve(relevance[seed] + diversity * np.log(max(d2, CLAMP)))
                low = np.exp((best - top) / diversity) / grow
                pick = seed
            found = 0
            for i in range(count):
                if bound[i] < low or not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                if seen[i] < chain[0]:
                    need = low / (max(worth[i], TINY) * grow) - SCAN_ERROR
                    scan_refresh(i, chain[0], dimension, need, rows, pivots, residual, seen)
                    bound[i] = most(np.float64(residual[i]) + SCAN_ERROR, worth[i], grow)
                    if bound[i] < low or seen[i] < chain[0]:
                        continue
                if complete:
                    contenders[found] = i
                    found += 1
                    low = max(low, least(np.float64(residual[i]) - SCAN_ERROR, worth[i], grow))
                    continue
                d2 = exact_residual(i, slot, picks, matrix, norms, order, shifted, scales, factor, variance, done)
                utility = resolve(relevance[i] + diversity * np.log(max(d2, CLAMP)))
                key = np.exp((utility - top) / diversity)
                bound[i] = min(bound[i], max(key, TINY) * grow)
                if utility > best or (utility == best and i < pick):
                    best = utility
                    low = key / grow
                    pick = i
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                d2 = exact_residual(i, slot, picks, matrix, norms, order, shifted, scales, factor, variance, done)
                utility = resolve(relevance[i] + diversity * np.log(max(d2, CLAMP)))
                if utility > best:
                    best = utility
                    pick = i
        d2 = exact_residual(pick, slot, picks, matrix, norms, order, shifted, scales, factor, variance, done)
        gains[slot] = resolve(relevance[pick] + diversity * np.log(max(d2, CLAMP)))
        picks[slot] = pick
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1
        scales[slot] = 1.0 / np.sqrt(d2) if d2 > EXACT_PIVOT else 0.0
        _extend_scan(pick, dimension, rows, pivots, residual, seen, chain)


@inner
def _extend_scan(
    pick: int,
    dimension: int,
    rows: NDArray[np.float32],
    pivots: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
    chain: NDArray[np.int64],
) -> None:
    """Add the pick to the scan chain, unless its residual is too small for float32."""
    length = chain[0]
    scan_refresh(pick, length, dimension, -1.0, rows, pivots, residual, seen)
    if residual[pick] < SCAN_PIVOT:
        return
    scale = np.float32(1.0) / np.sqrt(residual[pick])
    for c in range(dimension):
        pivots[length, c] = rows[pick, c] * scale
    for c in range(length):
        pivots[length, dimension + c] = -rows[pick, dimension + c] * scale
    chain[0] = length + 1


@kernel(
    types.void(
        i64,
        boolean,
        read_only(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        read_only(f64, 1),
        scratch(f64, 2),
        scratch(f64, 1),
        scratch(i32, 1),
    )
)
def residual_variances(
    slot: int,
    shifted: bool,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    scales: NDArray[np.float64],
    factor: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Bring every candidate's exact residual up to date with the first `slot` picks; for explanations."""
    for i in range(len(order)):
        exact_residual(i, slot, picks, matrix, norms, order, shifted, scales, factor, variance, done)
