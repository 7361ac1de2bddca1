"""Maximal marginal relevance that looks back: the largest similarity to the last few picks alone, lazily.

Similarities to the window's picks are kept in a ring, and a missing one can only lower the utility: a candidate is
compared with further picks of the window only while what is known of it beats the best of this slot. Float32 finds the
contenders, float64 decides between them, as in `mmr.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.mmr import SCAN_ERROR
from reranker.kernels.pick import may_stand, resolve
from reranker.kernels.rows import begin_row, exact_similarity
from reranker.kernels.vectors import dot, dot_four

_SLACK = 1e-9
_NEVER = np.int32(2**31 - 1)  # when no similarity at all leaves the window


@inner
def _wrapped(at: int, size: int) -> int:
    """A place in the ring, from one that may be a round further; a division here would cost more than the product."""
    return at - size if at >= size else at


@inner
def _catch_up(
    i: int,
    t: int,
    slot: int,
    at: int,
    chosen: NDArray[np.float32],
    rows: NDArray[np.float32],
    ring: NDArray[np.float32],
) -> tuple[float, int]:
    """Compare candidate i with the picks of slots t to t + 3, as far as there are any.

    The similarity to the first goes to place `at` of the ring, which is three longer than the window. Returns the
    largest, and how many picks they were.
    """
    if t + 1 == slot:
        a = dot(rows, i, chosen, t, rows.shape[1])
        ring[i, at] = a
        return float(a), 1
    size = ring.shape[1]
    a, b, c, d = dot_four(rows, i, chosen, t, rows.shape[1])
    ring[i, at] = a
    ring[i, _wrapped(at + 1, size)] = b
    ring[i, _wrapped(at + 2, size)] = c
    ring[i, _wrapped(at + 3, size)] = d
    return float(max(max(a, b), max(c, d))), min(4, slot - t)


@inner
def _exact_nearest(
    i: int,
    start: int,
    slot: int,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
) -> float:
    """The largest similarity of candidate i to the picks of slots start..slot-1, clipped to 0..1, in float64."""
    nearest = 0.0
    for t in range(start, slot):
        nearest = max(nearest, exact_similarity(order[i], order[picks[t]], matrix, norms, shifted))
    return min(nearest, 1.0)


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        boolean,
        scratch(f32, 2),
        scratch(f32, 2),
        scratch(f32, 2),
        scratch(i32, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(i32, 1),
        scratch(f64, 1),
    ),
    borrows=True,
)
def select_mmr_window(
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
    ring: NDArray[np.float32],
    seen: NDArray[np.int32],
    largest: NDArray[np.float64],
    since: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    contenders: NDArray[np.int32],
    nearest: NDArray[np.float64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i - diversity * clip(max_j similarity(i, j), 0, 1).

    j runs over the last `ring.shape[1]` - 3 picks. `relevance` is weighted already. `rows` (N, D) are written when a
    candidate is first looked at (`seen` -1), `chosen` (slots + 3, D) those of the picks, and zeros behind. `ring`
    (N, window - 1 + 3) holds the similarities to the picks of slots before `seen` that the window still shows,
    `largest` (N,) the largest of them (0 if none is positive) and `since` the first slot it may be of. `contenders` and
    `nearest` (N,) are room. O(U (D + window)) for U compared pairs, at most N a slot.
    """
    count, size = ring.shape
    reach = size - 3
    for slot in range(first, last):
        start = max(0, slot - reach)
        origin = start % size  # the place of slot `start` in the ring
        pick = forced[slot]
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            low = -np.inf
            found = 0
            for i in range(count):
                if relevance[i] + _SLACK < low or not may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                    continue
                begin_row(i, matrix, norms, order, shifted, rows, seen)
                known, leaves = float(largest[i]), since[i]
                if leaves < start:  # what was the largest has left the window
                    known, leaves = 0.0, _NEVER
                    for t in range(start, seen[i]):
                        value = float(ring[i, _wrapped(origin + t - start, size)])
                        if value > known:
                            known, leaves = value, t
                at = max(start, seen[i])
                high = relevance[i] - diversity * max(known - SCAN_ERROR, 0.0) + _SLACK
                while high >= low and at < slot:
                    place = _wrapped(origin + at - start, size)
                    value, many = _catch_up(i, at, slot, place, chosen, rows, ring)
                    if value > known:
                        known, leaves = value, at  # or a little later: looked for anew too early at worst
                    at += many
                    high = relevance[i] - diversity * max(known - SCAN_ERROR, 0.0) + _SLACK
                seen[i] = at
                largest[i] = known
                since[i] = leaves
                if high < low:
                    continue
                contenders[found] = i
                nearest[found] = known
                found += 1
                low = max(low, relevance[i] - diversity * min(known + SCAN_ERROR, 1.0) - _SLACK)
            best = -np.inf
            for c in range(found):
                i = contenders[c]
                if relevance[i] - diversity * max(nearest[c] - SCAN_ERROR, 0.0) + _SLACK < low:
                    continue
                alike = _exact_nearest(i, start, slot, picks, matrix, norms, order, shifted)
                utility = resolve(relevance[i] - diversity * alike)
                if utility > best:
                    best = utility
                    pick = i
        picks[slot] = pick
        if pick < 0:
            return
        alike = _exact_nearest(pick, start, slot, picks, matrix, norms, order, shifted)
        gains[slot] = resolve(relevance[pick] - diversity * alike)
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1
        begin_row(pick, matrix, norms, order, shifted, rows, seen)
        for c in range(rows.shape[1]):
            chosen[slot, c] = rows[pick, c]
        for t in range(slot + 1, slot + 4):  # behind it is nobody: steps are of four
            for c in range(rows.shape[1]):
                chosen[t, c] = 0.0


@kernel(
    types.void(
        i64,
        i64,
        boolean,
        read_only(i32, 1),
        scratch(f64, 1),
        read_only(f32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
    ),
    borrows=True,
)
def nearest_in_window(
    start: int,
    slot: int,
    shifted: bool,
    picks: NDArray[np.int32],
    nearest: NDArray[np.float64],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
) -> None:
    """Write every candidate's exact largest similarity to the picks of slots start..slot-1; for explanations."""
    for i in range(len(order)):
        nearest[i] = _exact_nearest(i, start, slot, picks, matrix, norms, order, shifted)
