"""Sliding spectrum decomposition: picks by what a ring of bases leaves over, lazily.

A product with a base counts for as long as the base is in the ring, and one that is not known yet can only lower what
is left: what is known of a candidate bounds it from above. It catches up with the bases it has missed, four at a time,
only while that bound beats the best of this slot; when a base leaves the ring, all bounds rise by what it took.
Candidates that relevance rules out are never looked at, nor made unit rows. Where relevance rules out few and their
rows fit the cache, all catch up with each base as it comes: one row at a time and four bases read less memory, one base
and four rows leave out all looks and bounds. Float32 finds the few contenders, float64
on the embeddings as they came in decides between them, as in `dpp.py`.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.bases import INPUTS, REFRESH, extend, left_over
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import f32, f64, i32, i64, inner, kernel, linked_borrowing, read_only, scratch
from reranker.kernels.pick import BLOCK, first_guess, may_stand, resolve, runner_up
from reranker.kernels.rows import write_unit_row
from reranker.kernels.vectors import dot_four, first_bit, survey

SCAN_ERROR = 1e-4  # bound on the float32 error of what is left; tests/property find a tenth of it
_SLACK = 1e-9
_NOTHING = 1e-20  # of it the root is less than a tenth of the grid of utilities
_SPENT = np.float32(-1.0)  # as what is left in float32: float64 found nothing

# Entries of `state`.
ABSORBED, REACH, SINCE, SECOND, EAGER = 0, 1, 2, 3, 4
_OFTEN = 8  # a slot in which one candidate in so many catches up is one for which all might as well
_CACHED = 2**18  # numbers in the rows of candidates that still fit the cache

# What the scan works on, after the inputs. The list is padded to whole blocks.
RING = (
    scratch(f64, 1),  # room for a number a base
    scratch(f64, 2),  # (1, 1): no factor is kept
    scratch(f32, 2),  # bases in float32 by the slot of their pick (slots + 3, columns); zeros where there is none yet
    scratch(f32, 2),  # unit rows (list, columns), written when a candidate is first looked at
    scratch(f32, 2),  # products with the bases (ring + 3, list): base t in row t % (ring + 3), zero while unknown
    scratch(f32, 1),  # what the known products leave (list,)
    scratch(i32, 1),  # the first base that is not known yet, -1 for a candidate without a row (list,)
    scratch(i64, 1),  # counters, see above; numbers of candidates below REACH are kept, below EAGER of all
)


@linked_borrowing
def _absorb(
    slot: int,
    picks: NDArray[np.int32],
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    row: NDArray[np.float64],
    along: NDArray[np.float64],
    factor: NDArray[np.float64],
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    left: NDArray[np.float32],
    seen: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Take the picks of slots before `slot` into the ring: O(ring D + list) each."""
    most, reach = len(bases), state[REACH]
    for s in range(state[ABSORBED], slot):
        if s >= most:
            leaving = products[(s - most) % len(products)]
            for i in range(reach):
                left[i] += leaving[i] * leaving[i]
                leaving[i] = np.float32(0.0)
        extend(
            picks[s], s, s % most, min(s, most), dimension, matrix, norms, order, shifted, bases, row, along, factor,
            rounded, s,
        )  # fmt: skip
        eager = state[EAGER]
        if eager > 0:
            latest = products[s % len(products)]
            for i in range(0, eager, 4):  # four rows at a time load the base once
                latest[i], latest[i + 1], latest[i + 2], latest[i + 3] = dot_four(rounded, s, rows, i, dimension)
            for i in range(eager):
                left[i] -= latest[i] * latest[i]
                seen[i] = s + 1
        state[SINCE] += 1
        if state[SINCE] >= REFRESH:
            state[SINCE] = 0
            left[:reach] = np.float32(1.0)
            for t in range(len(products)):
                known = products[t]
                for i in range(reach):
                    left[i] -= known[i] * known[i]
    state[ABSORBED] = max(state[ABSORBED], slot)


@inner
def _catch_up(
    i: int,
    now: int,
    most: int,
    dimension: int,
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    left: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Products of candidate i with four more of the `now` bases so far; those to come are zero, as are theirs."""
    t = max(seen[i], now - most)
    a, b, c, d = dot_four(rows, i, rounded, t, dimension)
    ring = len(products)
    at = t % ring
    products[at, i] = a
    at = at + 1 if at + 1 < ring else 0
    products[at, i] = b
    at = at + 1 if at + 1 < ring else 0
    products[at, i] = c
    at = at + 1 if at + 1 < ring else 0
    products[at, i] = d
    left[i] -= a * a + b * b + c * c + d * d
    seen[i] = min(t + 4, now)


@inner
def _bound(value: float, diversity: float, left: np.float32) -> float:
    """The largest utility that what is left in float32 leaves possible."""
    within = max(min(left + np.float32(SCAN_ERROR), np.float32(1.0)), np.float32(0.0))
    return value + diversity * np.float64(np.sqrt(within)) + _SLACK


@kernel(
    types.void(
        i64,
        i64,
        *GATE,
        read_only(f64, 1),
        f64,
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        *INPUTS,
        *RING,
    ),
    borrows=True,
)
def select_ssd(
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
    value: NDArray[np.float64],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
    contenders: NDArray[np.int32],
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    row: NDArray[np.float64],
    along: NDArray[np.float64],
    factor: NDArray[np.float64],
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    left: NDArray[np.float32],
    seen: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * sqrt(d2_i), d2_i what `bases` (ring,) leave of i.

    `relevance` is weighted and adjusted already. `value` (list,) is room for the same of those that are free, `bound`
    (list,) for an upper bound of the utility and `crest` for the largest by block, `contenders` for N + 2 BLOCK
    numbers. A pick enters the ring when the next slot begins, at the latest by a call with `last` = `first`, so that it
    can be undone before. O(U D + list + ring D) a slot, for U times that a candidate catches up with four bases.
    """
    count, most, batch = len(relevance), len(bases), contenders[len(relevance) :]
    value[:] = -np.inf
    for i in range(count):
        value[i] = -np.inf if taken[i] else relevance[i]
    for i in range(len(value)):
        bound[i] = value[i] + diversity + _SLACK
    for slot in range(first, max(last, first + 1)):
        _absorb(
            slot, picks, dimension, matrix, norms, order, shifted, bases, row, along, factor, rounded, rows, products,
            left, seen, state,
        )  # fmt: skip
        if slot == last:
            return
        for i in range(state[REACH]):
            bound[i] = _bound(value[i], diversity, left[i])
        for b in range(len(crest) if slot == first else state[REACH] // BLOCK):
            _, crest[b] = survey(bound, b * BLOCK, np.inf)
        pick = forced[slot]
        length = min(slot, most)
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            low = -np.inf
            found = steps = 0
            guess = first_guess(slot, kind, release, is_open, taken, bound, crest)
            if guess < 0:
                picks[slot] = -1
                return
            other = state[SECOND]
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
                    while b < len(crest) and alive < BLOCK:
                        if crest[b] >= low:
                            able, crest[b] = survey(bound, b * BLOCK, low)
                            while able != 0:
                                i = b * BLOCK + first_bit(able)
                                able &= able - 1
                                batch[alive] = i
                                stands = may_stand(slot, taken[i], is_open[kind[i]], release[i])
                                alive += int(stands & (i != guess) & (i != other))
                        b += 1
                for c in range(alive):
                    i = batch[c]
                    if seen[i] < 0:
                        _begin(i, i + 1, matrix, norms, order, shifted, rows, products, left, seen, state)
                lagging = alive
                while lagging > 0:  # a step for all of them before the next look: steps of different rows overlap
                    for c in range(alive):
                        if seen[batch[c]] < slot:
                            _catch_up(batch[c], slot, most, dimension, rounded, rows, products, left, seen)
                            steps += 1
                    kept = lagging = 0
                    for c in range(alive):
                        i = batch[c]
                        bound[i] = _bound(value[i], diversity, left[i])
                        batch[kept] = i
                        keeps = int(bound[i] >= low)
                        kept += keeps
                        lagging += keeps & int(seen[i] < slot)
                    alive = kept
                for c in range(alive):
                    i = batch[c]
                    contenders[found] = i
                    found += 1
                    least = np.sqrt(max(np.float64(left[i]) - SCAN_ERROR, 0.0))
                    low = max(low, value[i] + diversity * least - _SLACK)
            pick = guess
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                rest = 0.0
                if left[i] > _SPENT:
                    rest = left_over(i, length, dimension, matrix, norms, order, shifted, bases, row)
                    if most >= len(forced) and rest < _NOTHING:  # no base ever leaves, so nothing will be left again
                        left[i] = 2.0 * _SPENT
                utility = resolve(relevance[i] + diversity * np.sqrt(rest))
                if utility > best or (utility == best and i < pick):
                    best = utility
                    pick = i
            state[SECOND] = runner_up(pick, found, contenders, bound)
            reach, eager = state[REACH], state[EAGER]
            if reach * dimension <= _CACHED and (steps * _OFTEN > reach or 0 < eager < reach):
                _begin(eager, reach, matrix, norms, order, shifted, rows, products, left, seen, state)
                for i in range(eager, reach):
                    while seen[i] < slot:
                        _catch_up(i, slot, most, dimension, rounded, rows, products, left, seen)
                state[EAGER] = reach
        else:
            rest = left_over(pick, length, dimension, matrix, norms, order, shifted, bases, row)
            best = resolve(relevance[pick] + diversity * np.sqrt(rest))
        picks[slot] = pick
        gains[slot] = best
        taken[pick] = True
        value[pick] = bound[pick] = -np.inf
        if bounded:
            counts[kind[pick]] += 1


@inner
def _begin(
    start: int,
    stop: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    left: NDArray[np.float32],
    seen: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Write the rows of candidates start..stop-1 that have none, and make room for numbers up to their block.

    Nothing is known of them and all is left.
    """
    for i in range(start, stop):
        if seen[i] < 0:
            seen[i] = 0
            if i < len(order):
                write_unit_row(i, order[i], matrix, norms, shifted, rows)
            else:
                rows[i, :] = np.float32(0.0)
    reach, needed = state[REACH], ((stop - 1) // BLOCK + 1) * BLOCK
    if needed > reach:
        left[reach:needed] = np.float32(1.0)
        for t in range(len(products)):
            products[t, reach:needed] = np.float32(0.0)
        state[REACH] = needed
