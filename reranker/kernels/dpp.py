"""Greedy MAP of a determinantal point process by incremental Cholesky (Chen, Zhang, Zhou; NeurIPS 2018; algorithm 1).

Candidate i's residual d2_i is the conditional variance of i given the picks; it only falls, so a stale residual is an
upper bound and most candidates need no work in most slots. Two computations share that idea (`residuals.py`):

* the *scan*, float32, takes candidates by blocks of sixteen in upstream order, where utilities are much alike. It finds
  the few contenders.
* the *exact* residual, float64, from the embeddings as they came in, decides between contenders and gives the utility
  that is reported. Picks therefore equal those of a float64 implementation, and equal candidates tie exactly.

Once the picks span all columns nothing is left of anybody, and relevance alone decides.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch, tuple_of
from reranker.kernels.panels import bound_sixteen
from reranker.kernels.pick import BLOCK, collect, first_guess, may_stand, most_relevant, resolve, runner_up
from reranker.kernels.residuals import add_base, exact_residual, scan_step
from reranker.kernels.vectors import survey

CLAMP = 1e-5  # rule 1: below this share of its variance an item is told apart by relevance alone
SCAN_ERROR = 1e-5  # ten times the float32 error of scan residuals that tests/property/test_dpp_precision.py finds
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
        # Above the top stands only what is taken; whoever frees it again, but for the last pick, has to weigh anew.
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
    f64(
        boolean,
        read_only(f64, 1),
        read_only(boolean, 1),
        f64,
        scratch(f32, 1),
        scratch(f64, 1),
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
def weigh_dpp(
    begins: bool,
    relevance: NDArray[np.float64],
    taken: NDArray[np.bool_],
    diversity: float,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    worth: NDArray[np.float64],
    ceiling: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    seen: NDArray[np.int32],
    done: NDArray[np.int32],
    state: NDArray[np.int32],
) -> float:
    """`weigh`, and `ceiling`, what bounds are of a whole residual: below 0 for nobody and who is taken. O(N).

    When it `begins`, all of everybody's variance is left and nobody has a row. Returns `grow`.
    """
    if begins:
        residual[:] = 1.0
        seen[:] = -1
        variance[:] = 1.0
        done[:] = -1
        state[0], state[1], state[2] = 0, -1, 0
        bound[:] = -1.0
    ceiling[:] = -1.0
    _, grow = _weigh(relevance, taken, diversity, residual, variance, worth, bound, crest)
    for i in range(len(relevance)):
        if not taken[i]:
            ceiling[i] = max(worth[i], TINY) * grow
    return grow


@inner
def _bound_block(
    block: int,
    residual: NDArray[np.float32],
    variance: NDArray[np.float64],
    ceiling: NDArray[np.float64],
    bound: NDArray[np.float64],
) -> None:
    """`most` for a block's candidates."""
    bound_sixteen(residual, variance, ceiling, bound, block * BLOCK, SCAN_ERROR, CLAMP)


@inner
def _exact_utility(relevance: float, diversity: float, variance: float) -> float:
    """Relevance and diversity together, on the grid where equal utilities are equal."""
    return resolve(relevance + diversity * np.log(max(variance, CLAMP)))


@inner
def _best_of_spanned(
    slot: int,
    diversity: float,
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    relevance: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> int:
    """The pick once all variances are known for good, the first of equals; -1 if nobody may stand. O(N)."""
    pick, best, floor = -1, -np.inf, diversity * np.log(CLAMP)
    for i in range(len(relevance)):
        utility = relevance[i] if variance[i] > CLAMP else relevance[i] + floor
        if utility < best - HIDDEN:
            continue
        utility = resolve(utility)
        if (pick < 0 or utility > best) and may_stand(slot, taken[i], is_open[kind[i]], release[i]):
            pick, best = i, utility
    return pick


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        read_only(f64, 1),
        scratch(f64, 1),
        f64,
        f64,
        i64,
        boolean,
        scratch(f32, 2),
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
    ceiling: NDArray[np.float64],
    diversity: float,
    grow: float,
    rank: int,
    shifted: bool,
    room: NDArray[np.float32],
    panels: NDArray[np.float32],
    rounded: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    state: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    bases: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
    contenders: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * log max(d2_i, CLAMP).

    `relevance` is weighted and adjusted already. The scan compares exp(utility / diversity) = d2_i * `worth`_i, so that
    its loop takes no logarithms; `weigh_dpp` gives `grow`, `worth`, `ceiling` and the first `bound`, an upper bound of
    that by candidate, and `crest`, one by block. `rank` independent picks leave nothing of anybody. Scan: `room` for
    the rows of a block, `panels`, `rounded` (slots + 3, columns), `residual` by candidate, `seen` by block, `state`:
    how many picks are independent, the runner-up of the slot before, and whether `variance` says for good that nothing
    is left. Exact: `matrix`, `norms` as they came in, `order` from upstream rank to their rows, and in float64 `own`,
    `bases` (slots, columns), `variance`, `done` by candidate. `contenders` (N + 1,) is room.
    Time O(U (D + k)) for U residuals brought up to date, at most N a slot.
    """
    for slot in range(first, last):
        if state[0] >= rank and state[2] == 0:
            for i in range(len(order)):
                if norms[order[i]] > 0.0:
                    variance[i] = 0.0
            state[2] = 1
        spanned = state[2] == 1
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            if spanned:
                pick = _best_of_spanned(slot, diversity, kind, release, is_open, taken, relevance, variance)
            elif slot == 0:
                pick = most_relevant(slot, kind, release, is_open, taken, relevance)
            else:
                pick = state[1]
                if pick < 0 or not may_stand(slot, taken[pick], is_open[kind[pick]], release[pick]):
                    pick = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if pick < 0:
                picks[slot] = -1
                return
            low, found = np.inf, 0
            for turn in range(-1, len(crest) if slot > 0 and not spanned else -1):
                block = turn if turn >= 0 else pick // BLOCK  # the guess is brought up to date first, for a high bar
                if turn >= 0 and crest[block] < low:
                    continue
                able, crest[block] = survey(bound, block * BLOCK, low)
                while True:
                    is_done = seen[block] == slot
                    standing = collect(slot, block, able, not is_done, found, kind, release, is_open, taken, contenders)
                    if is_done or (standing == 0 and turn >= 0):  # nobody is brought up to date for who may not stand
                        break
                    scan_step(block, slot, matrix, norms, order, shifted, room, panels, rounded, residual, seen)
                    _bound_block(block, residual, variance, ceiling, bound)
                    able, crest[block] = survey(bound, block * BLOCK, low)
                if turn < 0:
                    low = least(np.float64(residual[pick]) - SCAN_ERROR, worth[pick], grow)
                    continue
                for c in range(found, found + standing):
                    i = contenders[c]
                    low = max(low, least(np.float64(residual[i]) - SCAN_ERROR, worth[i], grow))
                found += standing
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                if variance[i] > CLAMP:
                    exact_residual(i, slot, matrix, norms, order, shifted, own, bases, variance, done, CLAMP)
                utility = _exact_utility(relevance[i], diversity, variance[i])
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            state[1] = runner_up(pick, found, contenders, bound)
        if not spanned:
            exact_residual(pick, slot, matrix, norms, order, shifted, own, bases, variance, done)
            add_base(pick, slot, variance[pick], own, bases, rounded)
            if variance[pick] > CLAMP and norms[order[pick]] > 0.0:
                state[0] += 1
        else:
            bases[slot] = 0.0
        gains[slot] = _exact_utility(relevance[pick], diversity, variance[pick])
        picks[slot] = pick
        taken[pick] = True
        bound[pick] = ceiling[pick] = -1.0
        if bounded:
            counts[kind[pick]] += 1


@kernel(
    types.void(
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
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    own: NDArray[np.float64],
    bases: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Bring every candidate's exact residual up to date with the first `slot` picks; for explanations."""
    for i in range(len(order)):
        exact_residual(i, slot, matrix, norms, order, shifted, own, bases, variance, done)
