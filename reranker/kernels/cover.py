"""Coverage of the candidate list: f(S) = sum_c sqrt(sum_{j in S} s_jc), s = clip(similarity, 0, 1), greedily.

The gain of a candidate only falls as picks are added (f is submodular), so a stale gain is an upper bound (Minoux
1978). It is kept in parts, one for each part of the list, and worked out anew part by part while the sum still beats
the best of this slot. Float32 roots find the contenders, float64 roots and sums decide between them.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.alike import PRODUCT_ERROR, ROWS, one_beside, pack
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, linked_borrowing, read_only, scratch, u16
from reranker.kernels.pick import BLOCK, first_guess, may_stand, resolve, runner_up
from reranker.kernels.tiles import PANEL, SHARE, TALL, TINY, fetch, panel, roots
from reranker.kernels.vectors import first_bit, survey

_SLACK = 1e-9
ROOM = 2 * BLOCK  # candidates of one batch, and a block more
_FROM_SHARE = SHARE**-0.5

# What coverage is kept in. The list is padded with candidates that are alike to nobody to whole panels.
COVERAGE = (
    i64,  # candidates of earlier pages, first in line: picks that nobody has to cover
    boolean,  # whether all similarities are kept
    scratch(f32, 2),  # the similarities, as in `alike.py`; room for one candidate's (parts, span) where they are not
    scratch(f64, 1),  # coverage (list,)
    scratch(i64, 1),  # how many slots' picks are in it, and who came second in the last one
)


@inner
def _width(part: int, span: int, size: int) -> int:
    """How many candidates a part has: the last one may have fewer than the others."""
    return min(span, size - part * span)


@inner
def _line(
    i: int,
    part: int,
    seen: int,
    kept: bool,
    stride: int,
    rows: NDArray[np.float32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    similarities: NDArray[np.float32],
) -> int:
    """The row of `similarities` that holds a part of candidate i's, which are made where they are not kept."""
    if kept:
        return part * stride + i
    span = similarities.shape[1]
    width = _width(part, span, len(order) + -len(order) % PANEL)
    one_beside(i, part * span, width, seen, rows, matrix, norms, order, shifted, similarities, part)
    return part


@linked_borrowing
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
    span = similarities.shape[1]
    parts = -(-len(coverage) // span)
    stride = len(similarities) // parts
    for s in range(absorbed[0], slot):
        for b in range(parts):
            at = _line(picks[s], b, seen, kept, stride, rows, matrix, norms, order, shifted, similarities)
            part = coverage[b * span : (b + 1) * span]
            for c in range(len(part)):
                part[c] += np.float64(similarities[at, c])
    absorbed[0] = max(absorbed[0], slot)


@inner
def _roots(coverage: NDArray[np.float64]) -> float:
    """Sum of square roots."""
    total = 0.0
    for c in range(len(coverage)):
        total += np.sqrt(coverage[c])
    return total


@linked_borrowing
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
    span = similarities.shape[1]
    parts = -(-len(coverage) // span)
    stride = len(similarities) // parts
    total = 0.0
    for b in range(parts):
        at = _line(i, b, seen, kept, stride, rows, matrix, norms, order, shifted, similarities)
        part, line = coverage[b * span : (b + 1) * span], similarities[at]
        for c in range(len(part)):
            total += np.sqrt(part[c] + np.float64(line[c]))
    return total


@kernel(types.void(scratch(f32, 2), scratch(u16, 2), scratch(f64, 2)), borrows=True)
def bounds_from_all(rough: NDArray[np.float32], shorts: NDArray[np.uint16], part: NDArray[np.float64]) -> None:
    """Write the parts of every gain before the first pick, from all similarities; the last row are the sums. O(N^2)."""
    parts, span = len(part) - 1, shorts.shape[1]
    stride = len(shorts) // parts
    part[parts] = 0.0
    for b in range(parts):
        width = _width(b, span, rough.shape[1])
        for i in range(part.shape[1]):
            part[b, i] = roots(rough, 0, 0, shorts, b * stride + i, width) * _FROM_SHARE
            part[parts, i] += part[b, i]


@kernel(types.void(i64, i64, scratch(f32, 2), scratch(f32, 2), scratch(f64, 2), read_only(f32, 2)), borrows=True)
def bounds_by_the_way(
    seen: int,
    span: int,
    lines: NDArray[np.float32],
    panels: NDArray[np.float32],
    part: NDArray[np.float64],
    rows: NDArray[np.float32],
) -> None:
    """Write upper bounds of them, from products that are not kept, each made once; O(N^2 D / 2).

    `lines` (TALL, PANEL) and `panels` (panels x D, PANEL) are room.
    """
    parts, count, width = len(part) - 1, part.shape[1], rows.shape[1]
    slack = np.float32(PRODUCT_ERROR)
    part[:] = 0.0
    pack(rows, panels)
    for p in range(len(panels) // width):
        start = p * PANEL
        for i in range(0, min(start + PANEL, count), TALL):
            panel(rows, i, panels, p * width, width, lines, 0, 0)
            for r in range(min(TALL, count - i)):
                counts = 1.0 if i + r >= seen else 0.0  # whether there is something in covering it
                line = lines[r]
                for c in range(PANEL):
                    line[c] = np.sqrt(max(line[c], np.float32(0.0)) + slack)
                covers = 0.0
                if i + r < start and start >= seen and start + PANEL <= count:
                    mine = part[(i + r) // span, start : start + PANEL]
                    for c in range(PANEL):
                        covers += np.float64(line[c])
                        mine[c] += counts * np.float64(line[c])
                else:
                    for c in range(max(start, i + r), min(start + PANEL, count)):
                        root = np.float64(line[c - start])
                        if c == i + r:
                            covers += counts
                            continue
                        covers += root if c >= seen else 0.0
                        part[(i + r) // span, c] += counts * root
                part[start // span, i + r] += covers
    for b in range(parts):
        for i in range(count):
            part[parts, i] += part[b, i]


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        f64,
        scratch(f64, 2),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(f32, 2),
        scratch(f64, 1),
        scratch(i32, 1),
        scratch(u16, 2),
        *ROWS,
        *COVERAGE,
    ),
    borrows=True,
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
    wrong: float,
    part: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    turn_of: NDArray[np.int32],
    rough: NDArray[np.float32],
    before: NDArray[np.float64],
    contenders: NDArray[np.int32],
    shorts: NDArray[np.uint16],
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

    `relevance` is weighted and adjusted already. `part` (parts + 1, N) holds parts of gains that were right once, and
    in its last row their sums; `bound` what they make of the utility, `crest` the largest by block (both made anew in
    every call); `turn_of` (N,) the part that comes next: the stalest has fallen the most. `wrong` is what a sum of
    float32 roots may be off by, as a share; `rough` (3, list) TINY, and room for the coverage in float32, plain and
    times SHARE; `before` (parts,) and `contenders` (N + ROOM + BLOCK) are room; `shorts` are `similarities` in 16 bits.
    A pick enters the coverage when the next slot begins. O(N) for each gain worked out, O(N D) where similarities are
    not kept.
    """
    count, parts, span = len(relevance), len(part) - 1, similarities.shape[1]
    stride, size = len(similarities) // parts, len(coverage)
    total, batch = part[parts], contenders[count:]
    crest[:] = -np.inf
    for i in range(count):
        bound[i] = -np.inf if taken[i] else relevance[i] + diversity * total[i]
        crest[i // BLOCK] = max(crest[i // BLOCK], bound[i])
    for slot in range(first, max(last, first + 1)):
        _absorb(slot, picks, rows, matrix, norms, order, shifted, seen, kept, similarities, coverage, absorbed)
        if slot == last:
            return
        covered = _roots(coverage)
        pick = forced[slot]
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            guess = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if guess < 0:
                picks[slot] = -1
                return
            for c in range(size):
                rough[1, c] = np.float32(coverage[c]) + np.float32(TINY)
                rough[2, c] = np.float32(SHARE) * rough[1, c]
            for b in range(parts):
                before[b] = roots(rough, 1, b * span, rough, 0, _width(b, span, size))
            margin = diversity * wrong * (2.0 * covered + count) + _SLACK
            low = -np.inf
            found = 0
            other = absorbed[1]
            if other >= 0:
                stands = may_stand(slot, taken[other], is_open[kind[other]], release[other])
                other = other if stands and other != guess else -1
            b = -1  # before the blocks: two that should do well, as a good bar spares many others
            while b < len(crest):
                alive = 0
                if b < 0:
                    batch[0] = guess
                    batch[1] = other
                    alive = 1 + int(other >= 0)
                    b = 0
                else:
                    while b < len(crest) and alive < ROOM:
                        if crest[b] + margin >= low:
                            able, crest[b] = survey(bound, b * BLOCK, low - margin)
                            while able != 0:
                                i = b * BLOCK + first_bit(able)
                                able &= able - 1
                                batch[alive] = i
                                if kept:
                                    fetch(shorts, turn_of[i] * stride + i, _width(turn_of[i], span, size))
                                stands = may_stand(slot, taken[i], is_open[kind[i]], release[i])
                                alive += int(stands & (i != guess) & (i != other))
                        b += 1
                for _ in range(parts):
                    for c in range(alive):
                        i = batch[c]
                        turn = turn_of[i]
                        width = _width(turn, span, size)
                        if kept:
                            now = roots(rough, 2, turn * span, shorts, turn * stride + i, width) * _FROM_SHARE
                        else:
                            _line(i, turn, seen, kept, stride, rows, matrix, norms, order, shifted, similarities)
                            now = roots(rough, 1, turn * span, similarities, turn, width)
                        now -= before[turn]
                        total[i] += now - part[turn, i]
                        part[turn, i] = now
                        bound[i] = relevance[i] + diversity * total[i]
                        turn_of[i] = turn + 1 if turn + 1 < parts else 0
                    stay = 0
                    for c in range(alive):
                        i = batch[c]
                        batch[stay] = i
                        stay += int(bound[i] + margin >= low)
                    alive = stay
                for c in range(alive):
                    i = batch[c]
                    if kept:  # so far it was an upper bound
                        total[i] = 0.0
                        for turn in range(parts):
                            width = _width(turn, span, size)
                            now = roots(rough, 1, turn * span, similarities, turn * stride + i, width) - before[turn]
                            part[turn, i] = now
                            total[i] += now
                        bound[i] = relevance[i] + diversity * total[i]
                    contenders[found] = i
                    found += 1
                    low = max(low, bound[i] - margin)
            pick = guess
            for c in range(found):
                i = contenders[c]
                if bound[i] + margin < low:
                    continue
                after = _roots_after(i, seen, rows, matrix, norms, order, shifted, kept, similarities, coverage)
                utility = resolve(relevance[i] + diversity * (after - covered))
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            absorbed[1] = runner_up(pick, found, contenders, bound)
        else:
            after = _roots_after(pick, seen, rows, matrix, norms, order, shifted, kept, similarities, coverage)
            best = resolve(relevance[pick] + diversity * (after - covered))
        picks[slot] = pick
        gains[slot] = best
        taken[pick] = True
        bound[pick] = -np.inf
        if bounded:
            counts[kind[pick]] += 1


@kernel(types.void(scratch(f64, 1), *ROWS, *COVERAGE[:-1]), borrows=True)
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
