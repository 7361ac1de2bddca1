"""Coverage of the candidate list: f(S) = sum_c sqrt(sum_{j in S} s_jc), s = clip(similarity, 0, 1), greedily.

The gain of a candidate only falls as picks are added (f is submodular), so a stale gain is an upper bound (Minoux
1978). It is kept in parts, one for each block of the list, and worked out anew part by part while the sum still beats
the best of this slot. Float32 roots find the contenders, float64 roots and sums decide between them.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.alike import PRODUCT_ERROR, ROWS, complete, four_beside, one_beside
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, linked, read_only, scratch
from reranker.kernels.pick import may_stand, resolve

_ROUGH = 2e-7  # of a sum of float32 roots of float32 sums: what they may be off by, with room to spare
_SLACK = 1e-9

# What coverage is kept in. The list is padded with candidates that are alike to nobody to (blocks x width).
COVERAGE = (
    i64,  # candidates of earlier pages, first in line: picks that nobody has to cover
    boolean,  # whether all similarities are kept
    scratch(f32, 2),  # the similarities (N rounded up to a multiple of 4, list), else room for rows (4, list)
    scratch(f64, 1),  # coverage (list,)
    scratch(i64, 1),  # how many slots' picks are in it
)


@linked
def _absorb(
    slot: int,
    picks: NDArray[np.int32],
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    seen: int,
    kept: bool,
    similarities: NDArray[np.float32],
    coverage: NDArray[np.float64],
    absorbed: NDArray[np.int64],
) -> None:
    """Add the picks of slots before `slot` to the coverage."""
    for s in range(absorbed[0], slot):
        row = similarities[picks[s] if kept else 0]
        if not kept:
            one_beside(picks[s], 0, len(order), seen, rows, matrix, norms, order, shifted, row)
        for c in range(len(coverage)):
            coverage[c] += np.float64(row[c])
    absorbed[0] = max(absorbed[0], slot)


@inner
def _roots(coverage: NDArray[np.float64]) -> float:
    """Sum of square roots."""
    total = 0.0
    for c in range(len(coverage)):
        total += np.sqrt(coverage[c])
    return total


@linked
def _roots_after(
    i: int,
    seen: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    kept: bool,
    similarities: NDArray[np.float32],
    coverage: NDArray[np.float64],
) -> float:
    """Sum over the list of sqrt(coverage + similarity to candidate i), in float64."""
    row = similarities[i if kept else 0]
    if not kept:
        one_beside(i, 0, len(order), seen, rows, matrix, norms, order, shifted, row)
    total = 0.0
    for c in range(len(coverage)):
        total += np.sqrt(coverage[c] + np.float64(row[c]))
    return total


@kernel(types.void(i64, boolean, scratch(f32, 2), scratch(f64, 2), *ROWS))
def first_bounds(
    seen: int,
    kept: bool,
    similarities: NDArray[np.float32],
    part: NDArray[np.float64],
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
) -> None:
    """Write upper bounds of the parts of every gain before the first pick, and all similarities if they are `kept`.

    Each pair once. `similarities` is as in `COVERAGE`, `part` (blocks + 1, N); its last row are the sums. O(N^2 D / 2).
    """
    count, blocks = len(order), len(part) - 1
    width = similarities.shape[1] // blocks
    slack = np.float32(PRODUCT_ERROR)
    part[:] = 0.0
    for i in range(0, len(rows), 4):
        four_beside(i, rows, similarities[i : i + 4] if kept else similarities)
        if kept:
            continue
        for j in range(i, min(i + 4, count)):
            counts = 1.0 if j >= seen else 0.0  # whether there is something in covering it
            part[j // width, j] += counts
            for b in range(j // width, blocks):
                start, stop = max(j + 1, b * width), min((b + 1) * width, count)
                line, others = similarities[j - i, start:stop], part[j // width, start:stop]
                covers = 0.0
                for c in range(len(line)):  # a loop that begins at 0 is one that vectorises
                    root = np.float64(np.sqrt(max(line[c], np.float32(0.0)) + slack))
                    covers += root if start + c >= seen else 0.0
                    others[c] += counts * root
                part[b, j] += covers
    if kept:
        complete(seen, rows, matrix, norms, order, shifted, similarities)
    for i in range(count):
        for b in range(blocks):
            if kept:
                line = similarities[i, b * width : (b + 1) * width]
                for c in range(len(line)):
                    part[b, i] += np.float64(np.sqrt(line[c]))
            part[blocks, i] += part[b, i]


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        scratch(f64, 2),
        scratch(i32, 2),
        scratch(f32, 3),
        *ROWS,
        *COVERAGE,
    )
)
def select_cover(
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
    part: NDArray[np.float64],
    fresh: NDArray[np.int32],
    blocked: NDArray[np.float32],
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    seen: int,
    kept: bool,
    similarities: NDArray[np.float32],
    coverage: NDArray[np.float64],
    absorbed: NDArray[np.int64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * sum_c (sqrt(cov_c + s_ic) - sqrt(cov_c)).

    `relevance` is weighted and adjusted already. `part` (blocks + 1, N) holds parts of gains that were right once, and
    in its last row their sums; `fresh` (3, N) the number of the slot that last asked for a candidate, how many parts
    were worked out for it, and which one is the turn of: the stalest has fallen the most. `blocked` is `similarities`
    as (rows, blocks, width). A pick enters the coverage when the next slot begins. O(N) for each gain worked out,
    O(N D) where similarities are not kept.
    """
    count, blocks, width = len(relevance), len(part) - 1, blocked.shape[2]
    total, when, done, turn_of = part[blocks], fresh[0], fresh[1], fresh[2]
    rough, before = np.empty((blocks, width), np.float32), np.empty(blocks, np.float64)
    contenders = np.empty(count, np.int32)
    for slot in range(first, max(last, first + 1)):
        _absorb(slot, picks, rows, matrix, norms, order, shifted, seen, kept, similarities, coverage, absorbed)
        if slot == last:
            return
        covered = _roots(coverage)
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            error = _ROUGH * (2.0 * covered + count)
            for b in range(blocks):
                before[b] = 0.0
                for c in range(width):
                    rough[b, c] = np.float32(coverage[b * width + c])
                    before[b] += np.float64(np.sqrt(rough[b, c]))
            seed = -1
            highest = -np.inf
            for i in range(count):
                high = relevance[i] + diversity * total[i]
                if high > highest and may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    highest = high
                    seed = i
            if seed < 0:
                picks[slot] = -1
                return
            found = 0
            low = -np.inf
            for turn in range(-1, count):  # the seed first: the better the best so far, the fewer are worked out
                i = seed if turn < 0 else turn
                if relevance[i] + diversity * (total[i] + error) + _SLACK < low:
                    continue
                if not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                if when[i] != slot + 1:
                    when[i] = slot + 1
                    done[i] = 0
                at = i if kept else 0
                while done[i] < blocks and relevance[i] + diversity * (total[i] + error) + _SLACK >= low:
                    b = turn_of[i]
                    turn_of[i] = (b + 1) % blocks
                    if not kept:
                        start, stop = b * width, min((b + 1) * width, count)
                        one_beside(i, start, stop, seen, rows, matrix, norms, order, shifted, similarities[0])
                    now = -before[b]
                    for c in range(width):
                        now += np.float64(np.sqrt(rough[b, c] + blocked[at, b, c]))
                    total[i] += now - part[b, i]
                    part[b, i] = now
                    done[i] += 1
                if done[i] < blocks or relevance[i] + diversity * (total[i] + error) + _SLACK < low:
                    continue
                if turn >= 0:
                    contenders[found] = i
                    found += 1
                low = max(low, relevance[i] + diversity * (total[i] - error) - _SLACK)
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if relevance[i] + diversity * (total[i] + error) + _SLACK < low:
                    continue
                after = _roots_after(i, seen, rows, matrix, norms, order, shifted, kept, similarities, coverage)
                utility = resolve(relevance[i] + diversity * (after - covered))
                if utility > best:
                    best = utility
                    pick = i
        picks[slot] = pick
        after = _roots_after(pick, seen, rows, matrix, norms, order, shifted, kept, similarities, coverage)
        gains[slot] = resolve(relevance[pick] + diversity * (after - covered))
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1


@kernel(types.void(scratch(f64, 1), *ROWS, *COVERAGE[:-1]))
def coverage_gains(
    gain: NDArray[np.float64],
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    seen: int,
    kept: bool,
    similarities: NDArray[np.float32],
    coverage: NDArray[np.float64],
) -> None:
    """Write what every candidate adds to the coverage; for explanations. O(N^2), O(N^2 D) without similarities."""
    covered = _roots(coverage)
    for i in range(len(gain)):
        after = _roots_after(i, seen, rows, matrix, norms, order, shifted, kept, similarities, coverage)
        gain[i] = after - covered
