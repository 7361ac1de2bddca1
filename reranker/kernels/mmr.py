"""Maximal marginal relevance (Carbonell and Goldstein 1998), lazily.

The largest similarity to the picks only grows, so a candidate's utility only falls: a stale value is an upper bound,
and a candidate is compared with newer picks only while that bound beats the best of this slot. Float32 finds the
contenders, float64 decides between them, as in `dpp.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.pick import BLOCK, MOST, first_guess, gather, may_stand, most_relevant, resolve, runner_up
from reranker.kernels.rows import begin_row
from reranker.kernels.vectors import dot, dot_four, exact_dot, exact_dot_four

SCAN_ERROR = 8e-6  # bound on the float32 error of a dot product of unit rows; tests/property measure it
SLACK = 1e-9

# What two strategies keep of candidates and picks, in float32 and float64.
COMPARED = (
    boolean,  # similarity is (1 + cosine) / 2
    scratch(f32, 2),  # unit rows (N, D in whole registers), each written when its candidate is first looked at
    scratch(f32, 2),  # those of the picks (slots + 3), and three of zeros behind the last
    scratch(i32, 1),  # how many picks a candidate was compared with, -1: it has no row
    read_only(f32, 2),  # embeddings as they came in
    read_only(f64, 1),  # their lengths
    read_only(i32, 1),  # their row by upstream rank
    scratch(f64, 2),  # unit rows in float64 (N, D), only of contenders
    scratch(f64, 2),  # those of the picks (slots + 3)
    scratch(i32, 1),  # with how many picks a contender was compared
)


@inner
def copy_pick(
    pick: int,
    slot: int,
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
) -> None:
    """Put the pick of `slot` where candidates are compared with it, and nobody behind it: steps are of four."""
    begin_row(pick, matrix, norms, order, shifted, rows, seen)
    begin_row(pick, matrix, norms, order, shifted, own, done)
    for c in range(rows.shape[1]):
        chosen[slot, c] = rows[pick, c]
        exact[slot, c] = own[pick, c]
    for t in range(slot + 1, slot + 4):
        for c in range(rows.shape[1]):
            chosen[t, c] = 0.0
            exact[t, c] = 0.0


@inner
def scan_step(
    i: int,
    slot: int,
    rows: NDArray[np.float32],
    chosen: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Compare candidate i with its next unseen picks: up to four at once, so that its row is loaded once."""
    t = seen[i]
    if t + 1 < slot:
        a, b, c, d = dot_four(rows, i, chosen, t, rows.shape[1])
        similarity[i] = max(similarity[i], max(max(a, b), max(c, d)))
        seen[i] = min(t + 4, slot)
    else:
        similarity[i] = max(similarity[i], dot(rows, i, chosen, t, rows.shape[1]))
        seen[i] = t + 1


@inner
def exact_nearest(
    i: int,
    slot: int,
    shifted: bool,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
    nearest: NDArray[np.float64],
) -> float:
    """The largest similarity of candidate i to the first `slot` picks, clipped to 0..1, in float64."""
    begin_row(i, matrix, norms, order, shifted, own, done)
    t = done[i]
    while t + 1 < slot:
        a, b, c, d = exact_dot_four(own, i, exact, t, own.shape[1])
        nearest[i] = max(nearest[i], max(max(a, b), max(c, d)))
        t += 4
    if t < slot:
        nearest[i] = max(nearest[i], exact_dot(own, i, exact, t, own.shape[1]))
    done[i] = max(done[i], slot)
    return min(float(nearest[i]), 1.0)


@inner
def _highest(relevance: float, diversity: float, similarity: np.float32) -> float:
    """The most that a candidate can be worth that is at least so similar to a pick."""
    return relevance - diversity * max(np.float64(similarity) - SCAN_ERROR, 0.0) + SLACK


@inner
def _lowest(relevance: float, diversity: float, similarity: np.float32) -> float:
    """The least that one can be worth whose largest similarity this is."""
    return relevance - diversity * min(np.float64(similarity) + SCAN_ERROR, 1.0) - SLACK


@kernel(
    types.void(scratch(i32, 1), scratch(i32, 1), scratch(f32, 1), scratch(f64, 1), scratch(i32, 1)),
    borrows=True,
)
def begin_compared(
    seen: NDArray[np.int32],
    done: NDArray[np.int32],
    alike: NDArray[np.float32],
    exactly: NDArray[np.float64],
    guess: NDArray[np.int32],
) -> None:
    """Before the first pick: nobody has a row or is alike to anybody; O(N)."""
    seen[:] = -1
    done[:] = -1
    alike[:] = 0.0
    exactly[:] = 0.0
    guess[:] = -1


@kernel(
    types.void(read_only(f64, 1), f64, read_only(f32, 1), scratch(f64, 1), scratch(f64, 1)),
    borrows=True,
)
def bound_by_similarity(
    relevance: NDArray[np.float64],
    diversity: float,
    similarity: NDArray[np.float32],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
) -> None:
    """Write upper bounds of all utilities, `bound`, and the largest of them by block, `crest`; O(N)."""
    bound[:] = -np.inf
    crest[:] = -np.inf
    for i in range(len(relevance)):
        bound[i] = _highest(relevance[i], diversity, similarity[i])
        crest[i // BLOCK] = max(crest[i // BLOCK], bound[i])


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
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(i32, 1),
    ),
    borrows=True,
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
    chosen: NDArray[np.float32],
    seen: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
    similarity: NDArray[np.float32],
    nearest: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    contenders: NDArray[np.int32],
    guess: NDArray[np.int32],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i - diversity * clip(max_j similarity(i, j), 0, 1).

    `relevance` is weighted and adjusted already. `similarity` and `nearest` hold per candidate the largest similarity
    to the picks that it was compared with, in float32 and float64; `bound` and `crest` are `bound_by_similarity`'s,
    `guess[0]` the runner-up of the slot before, `contenders` room for N and a batch. Time O(U D) for U compared pairs,
    at most N a slot.
    """
    batch = contenders[len(relevance) :]
    for slot in range(first, last):
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            if slot == 0:
                pick = most_relevant(slot, kind, release, is_open, taken, relevance)
            else:
                pick = guess[0]
            if pick < 0 or not may_stand(slot, taken[pick], is_open[kind[pick]], release[pick]):
                pick = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if pick < 0:
                picks[slot] = -1
                return
            begin_row(pick, matrix, norms, order, shifted, rows, seen)
            while seen[pick] < slot:
                scan_step(pick, slot, rows, chosen, similarity, seen)
            bound[pick] = _highest(relevance[pick], diversity, similarity[pick])
            low = _lowest(relevance[pick], diversity, similarity[pick])
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
                        scan_step(i, slot, rows, chosen, similarity, seen)
                    kept = 0
                    for c in range(lagging):
                        i = batch[c]
                        bound[i] = _highest(relevance[i], diversity, similarity[i])
                        able = int(bound[i] >= low)
                        behind = int(seen[i] < slot)
                        batch[kept] = i
                        contenders[found] = i
                        kept += able & behind
                        found += able & (1 - behind)
                    lagging = kept
                for c in range(fresh, found):
                    low = max(low, _lowest(relevance[contenders[c]], diversity, similarity[contenders[c]]))
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                alike = exact_nearest(i, slot, shifted, matrix, norms, order, own, exact, done, nearest)
                utility = resolve(relevance[i] - diversity * alike)
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            guess[0] = runner_up(pick, found, contenders, bound)
        alike = exact_nearest(pick, slot, shifted, matrix, norms, order, own, exact, done, nearest)
        gains[slot] = resolve(relevance[pick] - diversity * alike)
        picks[slot] = pick
        taken[pick] = True
        bound[pick] = -np.inf
        if bounded:
            counts[kind[pick]] += 1
        copy_pick(pick, slot, shifted, rows, chosen, seen, matrix, norms, order, own, exact, done)


@kernel(
    types.void(
        i64,
        boolean,
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
def nearest_similarities(
    slot: int,
    shifted: bool,
    nearest: NDArray[np.float64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    done: NDArray[np.int32],
) -> None:
    """Bring every candidate's exact largest similarity up to date with the first `slot` picks; for explanations."""
    for i in range(len(order)):
        exact_nearest(i, slot, shifted, matrix, norms, order, own, exact, done, nearest)
