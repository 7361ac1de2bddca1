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
from reranker.kernels.mmr import COMPARED, SCAN_ERROR, SLACK, copy_pick
from reranker.kernels.pick import BLOCK, MOST, first_guess, gather, may_stand, most_relevant, resolve, runner_up
from reranker.kernels.rows import begin_row
from reranker.kernels.vectors import dot, dot_four, exact_dot, exact_dot_four

_ADDING = 6e-8  # what each addition in float32 may take from a mean


@inner
def _within(similarity: float | np.floating) -> float:
    """A similarity clipped to 0..1."""
    return min(max(np.float64(similarity), 0.0), 1.0)


@inner
def _scan_step(
    i: int,
    slot: int,
    rows: NDArray[np.float32],
    chosen: NDArray[np.float32],
    alike: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Add candidate i's similarities to its next unseen picks: up to four at once, so that its row is loaded once."""
    t = seen[i]
    if t + 1 < slot:
        a, b, c, d = dot_four(rows, i, chosen, t, rows.shape[1])
        alike[i] += _within(a) + _within(b) + _within(c) + _within(d)
        seen[i] = min(t + 4, slot)
    else:
        alike[i] += _within(dot(rows, i, chosen, t, rows.shape[1]))
        seen[i] = t + 1


@inner
def _exact_mean(
    i: int,
    slot: int,
    shifted: bool,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
    total: NDArray[np.float64],
) -> float:
    """The mean of 1 - clip(similarity, 0, 1) over the first `slot` picks, 0 before the first, in float64."""
    begin_row(i, matrix, norms, order, shifted, own, done)
    t = done[i]
    while t + 1 < slot:
        a, b, c, d = exact_dot_four(own, i, exact, t, own.shape[1])
        total[i] += _within(a) + _within(b) + _within(c) + _within(d)
        t += 4
    if t < slot:
        total[i] += _within(exact_dot(own, i, exact, t, own.shape[1]))
    done[i] = max(done[i], slot)
    return 1.0 - total[i] / slot if slot > 0 else 0.0


@inner
def _highest(relevance: float, diversity: float, alike: float, share: float, error: float) -> float:
    """The most that a candidate can be worth whose similarities add up to so much at least, beside 1 / share picks."""
    return relevance + diversity * min(1.0 - alike * share + error, 1.0) + SLACK


@inner
def _lowest(relevance: float, diversity: float, alike: float, share: float, error: float) -> float:
    """The least that one can be worth whose similarities add up to so much."""
    return relevance + diversity * max(1.0 - alike * share - error, 0.0) - SLACK


@kernel(types.void(read_only(f64, 1), f64, scratch(f64, 1)), borrows=True)
def bound_by_relevance(relevance: NDArray[np.float64], diversity: float, best: NDArray[np.float64]) -> None:
    """Write what the best of each block can be worth at the largest distance to `best`; O(N)."""
    best[:] = -np.inf
    for i in range(len(relevance)):
        best[i // BLOCK] = max(best[i // BLOCK], relevance[i] + diversity + SLACK)


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        *COMPARED,
        scratch(f32, 1),
        scratch(f64, 1),
        read_only(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(i32, 1),
    ),
    borrows=True,
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
    chosen: NDArray[np.float32],
    seen: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
    alike: NDArray[np.float32],
    total: NDArray[np.float64],
    best_of_block: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    contenders: NDArray[np.int32],
    guess: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * mean_j (1 - clip(similarity(i, j), 0, 1)).

    j runs over the picks so far; `relevance` is weighted and adjusted already. `alike` and `total` hold per candidate
    the sum of similarities to the picks that it was compared with, in float32 products and float64. With the number of
    picks every mean changes, so `bound` and `crest` are made anew in every slot, for blocks whose `best_of_block` may
    win. `guess[0]` is the runner-up of the slot before, `contenders` room for N and a batch. Time O(U D) for U compared
    pairs, at most N a slot.
    """
    count = len(relevance)
    batch = contenders[count:]
    for slot in range(first, last):
        pick = forced[slot]
        share = 1.0 / slot if slot > 0 else 0.0
        error = SCAN_ERROR + _ADDING * slot
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            if slot == 0:
                pick = most_relevant(slot, kind, release, is_open, taken, relevance)
            else:
                pick = guess[0]
            if pick < 0 or not may_stand(slot, taken[pick], is_open[kind[pick]], release[pick]):
                bound[:] = -np.inf
                for i in range(count):
                    bound[i] = relevance[i]
                for b in range(len(crest)):
                    crest[b] = best_of_block[b]
                pick = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if pick < 0:
                picks[slot] = -1
                return
            begin_row(pick, matrix, norms, order, shifted, rows, seen)
            while seen[pick] < slot:
                _scan_step(pick, slot, rows, chosen, alike, seen)
            low = _lowest(relevance[pick], diversity, alike[pick], share, error)
            for b in range(len(crest) if slot > 0 else 0):
                crest[b] = best_of_block[b]
                if crest[b] >= low:
                    stop = min(BLOCK, count - b * BLOCK)
                    for c in range(stop):
                        i = b * BLOCK + c
                        bound[i] = _highest(relevance[i], diversity, alike[i], share, error)
                    for c in range(stop, BLOCK):
                        bound[b * BLOCK + c] = -np.inf
            found = 0
            block, room = (0 if slot > 0 else len(crest)), BLOCK
            while block < len(crest):
                fresh = found
                block, lagging, found = gather(
                    slot, slot, low, room, block, found, kind, release, is_open, taken, seen, bound, crest, batch,
                    contenders,
                )  # fmt: skip
                room = min(2 * room, MOST)  # small first, to have a high bar early
                while lagging > 0:  # a step for each before the next look, as steps of different rows overlap
                    for c in range(lagging):
                        i = batch[c]
                        begin_row(i, matrix, norms, order, shifted, rows, seen)
                        _scan_step(i, slot, rows, chosen, alike, seen)
                    kept = 0
                    for c in range(lagging):
                        i = batch[c]
                        bound[i] = _highest(relevance[i], diversity, alike[i], share, error)
                        able = int(bound[i] >= low)
                        behind = int(seen[i] < slot)
                        batch[kept] = i
                        contenders[found] = i
                        kept += able & behind
                        found += able & (1 - behind)
                    lagging = kept
                for c in range(fresh, found):
                    low = max(low, _lowest(relevance[contenders[c]], diversity, alike[contenders[c]], share, error))
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                mean = _exact_mean(i, slot, shifted, matrix, norms, order, own, exact, done, total)
                utility = resolve(relevance[i] + diversity * mean)
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            guess[0] = runner_up(pick, found, contenders, bound)
        mean = _exact_mean(pick, slot, shifted, matrix, norms, order, own, exact, done, total)
        gains[slot] = resolve(relevance[pick] + diversity * mean)
        picks[slot] = pick
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1
        copy_pick(pick, slot, shifted, rows, chosen, seen, matrix, norms, order, own, exact, done)


@kernel(
    types.void(
        i64,
        boolean,
        scratch(f64, 1),
        scratch(f64, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(f64, 2),
        scratch(f64, 2),
        scratch(i32, 1),
    ),
    borrows=True,
)
def mean_distances(
    slot: int,
    shifted: bool,
    mean: NDArray[np.float64],
    total: NDArray[np.float64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Write every candidate's exact mean distance to the first `slot` picks; for explanations."""
    for i in range(len(order)):
        mean[i] = _exact_mean(i, slot, shifted, matrix, norms, order, own, exact, done, total)
