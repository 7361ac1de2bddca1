"""A determinantal point process that looks back: picks by what the window's bases leave over.

In a window what is left of a candidate rises again when a pick leaves, so no old value bounds it but 1, all of it. A
block of candidates whose relevance alone cannot win even so is not looked at; the first time one of them might, the
block becomes live, and their products with the bases are kept from then on. Float32 finds the few contenders, float64
on the embeddings as they came in decides between them, as in `dpp.py`.

Chen, Zhang and Zhou (NeurIPS 2018, algorithm 2) remove the oldest row of the Cholesky factor by rotations. Theirs
divide by the old diagonal; the plane rotations here are the same ones with cosine and sine, which cannot blow up.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.bases import INPUTS, REFRESH, extend, left_over
from reranker.kernels.dpp import CLAMP, least, most
from reranker.kernels.gate import GATE, open_kinds
from reranker.kernels.jit import f32, f64, i32, i64, inner, kernel, linked_borrowing, read_only, scratch
from reranker.kernels.pick import BLOCK, may_stand, resolve
from reranker.kernels.rows import write_unit_row
from reranker.kernels.vectors import dot, dot_four, first_bit, survey

SCAN_ERROR = 1e-4  # bound on the float32 error of a live residual; tests/property find a tenth of it

# Entries of `state`.
ABSORBED, LENGTH, LIVE, SINCE, COPIES = 0, 1, 2, 3, 4

# What the scan works on, after the inputs. Live candidates stand block by block, in the order they became live.
WINDOW = (
    scratch(f64, 1),  # room for a number a base
    scratch(f64, 2),  # products of the window's picks with the bases
    scratch(f32, 2),  # bases in float32 (window, columns)
    scratch(f32, 2),  # unit rows of live candidates (list, columns)
    scratch(f32, 2),  # their products with the bases (window, list)
    scratch(f32, 1),  # what is left of them (list,)
    scratch(f32, 1),  # room for as many
    scratch(i32, 1),  # live blocks
    scratch(i32, 1),  # the place of each block among them, -1 for none
    scratch(i64, 1),  # counters, see above
)


@inner
def _catch_up(
    place: int,
    length: int,
    dimension: int,
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
) -> None:
    """Products of a live candidate with the first `length` bases, and what they leave of it."""
    left = np.float32(1.0)
    r = 0
    while r + 4 <= length:
        p, q, s, t = dot_four(rows, place, rounded, r, dimension)
        products[r, place] = p
        products[r + 1, place] = q
        products[r + 2, place] = s
        products[r + 3, place] = t
        left -= p * p + q * q + s * s + t * t
        r += 4
    while r < length:
        p = dot(rows, place, rounded, r, dimension)
        products[r, place] = p
        left -= p * p
        r += 1
    residual[place] = left


@linked_borrowing
def _begin(
    block: int,
    length: int,
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rounded: NDArray[np.float32],
    rows: NDArray[np.float32],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
    live: NDArray[np.int32],
    where: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Make a block live."""
    at = state[LIVE]
    live[at] = block
    where[block] = at
    state[LIVE] = at + 1
    for lane in range(BLOCK):
        i, place = block * BLOCK + lane, at * BLOCK + lane
        if i < len(order):
            write_unit_row(place, order[i], matrix, norms, shifted, rows)
        else:
            rows[place, :dimension] = np.float32(0.0)
        _catch_up(place, length, dimension, rounded, rows, products, residual)


@inner
def _remove_oldest(
    length: int,
    lives: int,
    bases: NDArray[np.float64],
    loose: NDArray[np.float64],
    reach: NDArray[np.float64],
    factor: NDArray[np.float64],
    rounded: NDArray[np.float32],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
    freed: NDArray[np.float32],
) -> None:
    """Turn the bases of picks 0..length-1 into those of picks 1..length-1, and everything measured in them.

    Base 0, `loose`, is rotated into base 1 until the picks no longer reach into it, then what is left of it into base
    2, and so on; the last remainder is what only the removed pick explained. `reach` is the picks' products with
    `loose`, `freed` the candidates'. O(length (D + live)).
    """
    size, dimension = bases.shape[1], rounded.shape[1]
    for c in range(size):
        loose[0, c] = bases[0, c]
    for r in range(length):
        reach[r] = factor[r, 0]
    for place in range(lives):
        freed[place] = products[0, place]
    for r in range(1, length):
        diagonal = np.hypot(factor[r, r], reach[r])
        cosine = np.float64(1.0)
        sine = np.float64(0.0)
        if diagonal > 0.0:
            cosine = factor[r, r] / diagonal
            sine = reach[r] / diagonal
        factor[r - 1, r - 1] = diagonal
        for p in range(r + 1, length):
            old = factor[p, r]
            factor[p - 1, r - 1] = cosine * old + sine * reach[p]
            reach[p] = cosine * reach[p] - sine * old
        for c in range(size):
            value = bases[r, c]
            bases[r - 1, c] = cosine * value + sine * loose[0, c]
            loose[0, c] = cosine * loose[0, c] - sine * value
        for c in range(dimension):
            rounded[r - 1, c] = np.float32(bases[r - 1, c])
        turn, tilt = np.float32(cosine), np.float32(sine)
        above, below = products[r - 1], products[r]
        for place in range(lives):
            product = below[place]
            above[place] = turn * product + tilt * freed[place]
            freed[place] = turn * freed[place] - tilt * product
    for place in range(lives):
        residual[place] += freed[place] * freed[place]


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
    residual: NDArray[np.float32],
    freed: NDArray[np.float32],
    state: NDArray[np.int64],
) -> None:
    """Take the picks of slots before `slot` into the window.

    O(D (length + live)) a pick, and O(length live) once the window is full. A window in which a pick adds nothing to
    the others is made anew when its oldest pick leaves, as that pick may have been what the other copied.
    """
    window, lives = len(products), state[LIVE] * BLOCK
    for s in range(state[ABSORBED], slot):
        at = state[LENGTH]
        if at == window:
            at -= 1
            if state[COPIES] > 0 or state[SINCE] >= max(REFRESH, 8 * window):
                state[COPIES] = state[SINCE] = 0
                for t in range(at):
                    pick = picks[s - at + t]
                    adds = extend(
                        pick, s - at + t, t, t, dimension, matrix, norms, order, shifted, bases, row, along, factor,
                        rounded, t,
                    )  # fmt: skip
                    state[COPIES] += int(not adds and norms[order[pick]] > 0.0)
                for place in range(lives):
                    _catch_up(place, at, dimension, rounded, rows, products, residual)
            else:
                _remove_oldest(window, lives, bases, row, along, factor, rounded, products, residual, freed)
        pick = picks[s]
        adds = extend(
            pick, s, at, at, dimension, matrix, norms, order, shifted, bases, row, along, factor, rounded, at
        )  # fmt: skip
        state[COPIES] += int(not adds and norms[order[pick]] > 0.0)
        latest = products[at]
        for place in range(0, lives, 4):  # four rows at a time load the base once
            a, b, c, d = dot_four(rounded, at, rows, place, dimension)
            latest[place] = a
            latest[place + 1] = b
            latest[place + 2] = c
            latest[place + 3] = d
        for place in range(lives):
            residual[place] -= latest[place] * latest[place]
        state[LENGTH] = at + 1
        state[SINCE] += 1
    state[ABSORBED] = max(state[ABSORBED], slot)


@inner
def _rate(
    block: int,
    place: int,
    grow: float,
    worth: NDArray[np.float64],
    taken: NDArray[np.bool_],
    residual: NDArray[np.float32],
    bound: NDArray[np.float64],
    crest: NDArray[np.float64],
) -> None:
    """Write the bounds of a live block."""
    for i in range(block * BLOCK, min(len(taken), (block + 1) * BLOCK)):
        left = np.float64(residual[place * BLOCK + i - block * BLOCK]) + SCAN_ERROR
        bound[i] = -1.0 if taken[i] else most(left, worth[i], grow)
    crest[block] = survey(bound, block * BLOCK, np.inf)[1]


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
        scratch(f64, 1),
        scratch(f64, 1),
        scratch(i32, 1),
        *INPUTS,
        *WINDOW,
    ),
    borrows=True,
)
def select_spectrum(
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
    residual: NDArray[np.float32],
    freed: NDArray[np.float32],
    live: NDArray[np.int32],
    where: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Fill slots first..last-1 with argmax relevance_i + diversity * log max(d2_i, CLAMP).

    `relevance` is weighted and adjusted already; `worth`, `top`, `grow`, and the first `bound` and `crest` are
    `weigh`'s. `contenders` is room for N numbers. A pick enters the window when the next slot begins, at the latest by
    a call with `last` = `first`, so that it can be undone before. O((D + window) live) a slot.
    """
    for slot in range(first, max(last, first + 1)):
        _absorb(
            slot, picks, dimension, matrix, norms, order, shifted, bases, row, along, factor, rounded, rows, products,
            residual, freed, state,
        )  # fmt: skip
        if slot == last:
            return
        length = state[LENGTH]
        pick = forced[slot]
        best = -np.inf
        if pick < 0:
            if bounded:
                open_kinds(slot, lower, upper, counts, is_open)
            for at in range(state[LIVE]):
                _rate(live[at], at, grow, worth, taken, residual, bound, crest)
            low = 0.0
            found = 0
            for b in range(len(crest)):
                if crest[b] < low:
                    continue
                if where[b] < 0:
                    _begin(
                        b, length, dimension, matrix, norms, order, shifted, rounded, rows, products, residual, live,
                        where, state,
                    )  # fmt: skip
                    _rate(b, where[b], grow, worth, taken, residual, bound, crest)
                able, _ = survey(bound, b * BLOCK, low)
                while able != 0:
                    lane = first_bit(able)
                    able &= able - 1
                    i = b * BLOCK + lane
                    if bound[i] >= low and may_stand(slot, taken[i], is_open[kind[i]], release[i]):
                        contenders[found] = i
                        found += 1
                        rest = np.float64(residual[where[b] * BLOCK + lane])
                        low = max(low, least(rest - SCAN_ERROR, worth[i], grow))
            for c in range(found):
                i = contenders[c]
                if bound[i] < low:
                    continue
                left = left_over(i, length, dimension, matrix, norms, order, shifted, bases, row)
                utility = resolve(relevance[i] + diversity * np.log(max(left, CLAMP)))
                if utility > best:
                    best = utility
                    pick = i
                    low = max(low, np.exp((best - top) / diversity) / grow)
            if pick < 0:
                picks[slot] = -1
                return
        else:
            left = left_over(pick, length, dimension, matrix, norms, order, shifted, bases, row)
            best = resolve(relevance[pick] + diversity * np.log(max(left, CLAMP)))
        picks[slot] = pick
        gains[slot] = best
        taken[pick] = True
        if bounded:
            counts[kind[pick]] += 1
