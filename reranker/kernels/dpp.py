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

from reranker.kernels.cholesky import begin_chains, exact_residual, extend_exact, extend_scan, scan_step
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch, tuple_of
from reranker.kernels.pick import BLOCK, MOST, first_guess, gather, may_stand, most_relevant, resolve, runner_up
from reranker.kernels.rows import begin_row

CLAMP = 1e-5  # rule 1: below this share of its variance an item is told apart by relevance alone
SCAN_ERROR = 1e-4  # three times the float32 error of scan residuals that tests/property/test_dpp_precision.py finds
TINY = 1e-290  # below it a worth has too few digits left to bound anything from below
HIGHEST = 660.0  # exp of it still has room below infinity for the factors of a bound
HIDDEN = 4e-9  # how far apart two utilities may be that `resolve` puts on one point of its grid, with room to spare
ROUNDING = 1e-15  # of the largest relevance: what float64 sums may be off by


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


@inner
def _weigh(
    relevance: NDArray[np.float64],
    taken: NDArray[np.bool_],
    diversity: float,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    worth: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
) -> tuple[float, float]:
    """Write `worth` = exp((relevance - top) / diversity), and upper bounds by candidate and by block; O(N).

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
    crest[:] = 0.0
    grow = np.exp(min((HIDDEN + ROUNDING * largest) / diversity, HIGHEST)) * (1.0 + 1e-12)
    for i in range(len(relevance)):
        # Above the top stands only what is taken, and of that only the last pick can come back.
        worth[i] = np.exp(min((relevance[i] - top) / diversity, HIGHEST))
        bound[i] = most(min(np.float64(residual[i]) + SCAN_ERROR, variance[i]), worth[i], grow)
        crest[i // BLOCK] = max(crest[i // BLOCK], bound[i])
    return top, grow


@kernel(
    tuple_of(f64, f64)(
        read_only(f64, 1),
        read_only(boolean, 1),
        f64,
        read_only(f32, 1),
        read_only(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
    ),
    borrows=True,
)
def weigh(
    relevance: NDArray[np.float64],
    taken: NDArray[np.bool_],
    diversity: float,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    worth: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
) -> tuple[float, float]:
    """`_weigh`, whenever relevance has changed."""
    return _weigh(relevance, taken, diversity, residual, variance, worth, bound, crest)


@kernel(
    tuple_of(f64, f64)(
        read_only(f64, 1),
        read_only(boolean, 1),
        f64,
        scratch(f32, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(i32, 1),
        scratch(i32, 1),
    ),
    borrows=True,
)
def begin_dpp(
    relevance: NDArray[np.float64],
    taken: NDArray[np.bool_],
    diversity: float,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    worth: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    seen: NDArray[np.int32],
    done: NDArray[np.int32],
    chain: NDArray[np.int32],
) -> tuple[float, float]:
    """`weigh`, before the first pick; O(N)."""
    begin_chains(residual, seen, variance, done, chain)
    bound[:] = -1.0
    return _weigh(relevance, taken, diversity, residual, variance, worth, bound, crest)


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
        scratch(f64, 1),
        scratch(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 2),
        scratch(f64, 2),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(i32, 1),
    ),
    borrows=True,
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
    crest: NDArray[np.float64],
    chain: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
    contenders: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * log max(d2_i, CLAMP).

    `relevance` is weighted and adjusted already. The scan compares exp(utility / diversity) = d2_i * `worth`_i, so that
    its loop takes no logarithms; `weigh` gives `top`, `grow`, `worth` and the first `bound`, an upper bound of that by
    candidate, and `crest`, one by block. Scan chain: `rows` (N, dimension + slots, both in whole registers), each
    written when its candidate is first looked at (`seen` -1), `pivots` (slots + 3, likewise), `residual`, `seen` by
    candidate, `chain[0]` its length and `chain[1]` the runner-up of the slot before. Exact chain: `matrix`, `norms` as
    they came in, `order` from upstream rank to their rows, and in float64 `own` as `rows`, `exact` as `pivots`,
    `variance`, `done` by candidate. `contenders` is room for N and a batch.
    Time O(U (D + k)) for U refreshed entries of the scan, at most N a slot.
    """
    count = len(relevance)
    batch = contenders[count:]
    floor = diversity * np.log(CLAMP)  # what is left of an item's diversity once the rank is exhausted
    for slot in range(first, last):
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            if slot == 0:
                pick = most_relevant(slot, kind, release, is_open, taken, relevance)
            else:
                pick = chain[1]
            if pick < 0 or not may_stand(slot, taken[pick], is_open[kind[pick]], release[pick]):
                pick = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if pick < 0:
                picks[slot] = -1
                return
            # Only a chain with every pick in it bounds utilities from below as well; otherwise each contender is
            # decided at once, and the best so far is the bound.
            length = chain[0]
            complete = length == slot
            begin_row(pick, matrix, norms, order, shifted, rows, seen)
            while seen[pick] < length:
                scan_step(pick, length, dimension, rows, pivots, residual, seen)
            bound[pick] = most(np.float64(residual[pick]) + SCAN_ERROR, worth[pick], grow)
            low = least(np.float64(residual[pick]) - SCAN_ERROR, worth[pick], grow)
            best = -np.inf
            if not complete:
                d2 = exact_residual(pick, slot, dimension, matrix, norms, order, shifted, own, exact, variance, done)
                best = resolve(relevance[pick] + diversity * np.log(max(d2, CLAMP)))
                low = np.exp((best - top) / diversity) / grow
            found = 0
            block, room = (0 if slot > 0 else len(crest)), BLOCK
            while block < len(crest):
                fresh = found
                block, lagging, found = gather(
                    slot, length, low, room, block, found, kind, release, is_open, taken, seen, bound, crest, batch,
                    contenders,
                )  # fmt: skip
                room = min(2 * room, MOST)  # small first, to have a high bar early
                while lagging > 0:  # a step for each before the next look, as steps of different rows overlap
                    for c in range(lagging):
                        i = batch[c]
                        begin_row(i, matrix, norms, order, shifted, rows, seen)
                        scan_step(i, length, dimension, rows, pivots, residual, seen)
                    kept = 0
                    for c in range(lagging):
                        i = batch[c]
                        bound[i] = most(np.float64(residual[i]) + SCAN_ERROR, worth[i], grow)
                        able = int(bound[i] >= low)
                        behind = int(seen[i] < length)
                        batch[kept] = contenders[found] = i
                        kept += able & behind
                        found += able & (1 - behind)
                    lagging = kept
                for c in range(fresh, found if complete else fresh):
                    i = contenders[c]
                    low = max(low, least(np.float64(residual[i]) - SCAN_ERROR, worth[i], grow))
                for c in range(fresh, fresh if complete else found):
                    i = contenders[c]
                    if bound[i] < low:
                        continue
                    utility = floor
                    if variance[i] > CLAMP:
                        d2 = exact_residual(
                            i, slot, dimension, matrix, norms, order, shifted, own, exact, variance, done, CLAMP
                        )
                        utility = diversity * np.log(max(d2, CLAMP))
                    utility = resolve(relevance[i] + utility)
                    if variance[i] > CLAMP:
                        bound[i] = min(bound[i], max(np.exp((utility - top) / diversity), TINY) * grow)
                    else:
                        bound[i] = min(bound[i], most(0.0, worth[i], grow))
                    if utility > best or (utility == best and i < pick):
                        best = utility
                        low = np.exp((utility - top) / diversity) / grow
                        pick = i
            for c in range(found if complete else 0):
                i = contenders[c]
                if bound[i] < low:
                    continue
                utility = floor
                if variance[i] > CLAMP:
                    d2 = exact_residual(
                        i, slot, dimension, matrix, norms, order, shifted, own, exact, variance, done, CLAMP
                    )
                    utility = diversity * np.log(max(d2, CLAMP))
                utility = resolve(relevance[i] + utility)
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            chain[1] = runner_up(pick, found, contenders, bound)
        d2 = exact_residual(pick, slot, dimension, matrix, norms, order, shifted, own, exact, variance, done)
        gains[slot] = resolve(relevance[pick] + diversity * np.log(max(d2, CLAMP)))
        picks[slot] = pick
        taken[pick] = True
        bound[pick] = -1.0
        if bounded:
            counts[kind[pick]] += 1
        extend_exact(pick, slot, dimension, d2, own, exact)
        begin_row(pick, matrix, norms, order, shifted, rows, seen)
        extend_scan(pick, dimension, rows, pivots, residual, seen, chain)


@kernel(
    types.void(
        i64,
        i64,
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        boolean,
        scratch(f64, 2),
        scratch(f64, 2),
        scratch(f64, 1),
        scratch(i32, 1),
    ),
    borrows=True,
)
def residual_variances(
    slot: int,
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Bring every candidate's exact residual up to date with the first `slot` picks; for explanations."""
    for i in range(len(order)):
        exact_residual(i, slot, dimension, matrix, norms, order, shifted, own, exact, variance, done)
