"""A window of picks as orthonormal vectors, and how much of each candidate they leave over.

What a pick adds to the picks before it is a direction, a *base*. With b_r the bases in the window, candidate i of unit
vector f_i keeps d2_i = 1 - sum_r <f_i, b_r>^2: its conditional variance under a DPP, its squared residual under SSD.
Bases are explicit vectors in float64, made by Gram-Schmidt, twice over, so that dividing by a small residual amplifies
nothing: a float32 product with a base is as good as any float32 product of unit vectors.

The two strategies differ in what becomes of the bases when the oldest pick leaves the window:

* SSD (Huang et al., KDD 2021) drops the oldest base and leaves the others as they are: a ring.
* A DPP conditions on the picks that are left, whose bases are others then. Chen, Zhang and Zhou (NeurIPS 2018,
  algorithm 2) remove the oldest row of the Cholesky factor by rotations. Theirs divide by the old diagonal; the plane
  rotations here are the same ones with cosine and sine, which cannot blow up.

*Live* candidates have their products with every base (`products`, float32, a row by base) and `residual` = d2 to
float32's precision; the others have done no work at all, and d2 <= 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import inner, linked

EXACT_PIVOT = 1e-12  # a pick that adds less variance is a copy of earlier ones and becomes no base
REFRESH = 64  # absorbed picks, at least, before rounding in the live candidates' numbers is swept out

# Entries of `state`.
ABSORBED, LENGTH, LIVE, SINCE, COPIES = 0, 1, 2, 3, 4


@inner
def own_direction(filled: int, vector: NDArray[np.float64]) -> float:
    """What a row of `filled` numbers lacks to length 1, squared; the columns behind it, if any, are cleared.

    They are there only where rows may be shorter: one for each slot, the own direction of the slot's pick.
    """
    if len(vector) == filled:
        return 0.0
    whole = 0.0
    for c in range(filled):
        whole += vector[c] * vector[c]
    for c in range(filled, len(vector)):
        vector[c] = 0.0
    return max(0.0, 1.0 - whole)


@linked
def left_over(
    i: int,
    length: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    vector: NDArray[np.float64],
) -> float:
    """Squared length of what the first `length` bases leave of candidate i, which is written to `vector`; float64.

    1 for a candidate without a direction: it is alike to nothing. A row that is shorter than its norm has the rest in a
    direction of its own, which no base reaches.
    """
    source = order[i]
    norm = norms[source]
    if norm == 0.0:
        return 1.0
    width, size = matrix.shape[1], len(vector)
    scale = 1.0 / norm
    if shifted:
        scale *= np.sqrt(0.5)
        vector[width] = np.sqrt(0.5)
    for c in range(width):
        vector[c] = np.float64(matrix[source, c]) * scale
    own = own_direction(width + int(shifted), vector)
    for r in range(length):
        along = 0.0
        for c in range(size):
            along += vector[c] * bases[r, c]
        for c in range(size):
            vector[c] -= along * bases[r, c]
    total = own
    for c in range(size):
        total += vector[c] * vector[c]
    return min(total, 1.0)


@linked
def catch_up(
    i: int,
    place: int,
    length: int,
    rows: NDArray[np.float32],
    rounded: NDArray[np.float32],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
) -> None:
    """Products of candidate i with the first `length` bases, written to column `place`, and what they leave of it."""
    left = np.float32(1.0)
    r = 0
    while r + 4 <= length:  # four at a time load the row once
        p = q = s = t = np.float32(0.0)
        for c in range(rows.shape[1]):
            value = rows[i, c]
            p += value * rounded[r, c]
            q += value * rounded[r + 1, c]
            s += value * rounded[r + 2, c]
            t += value * rounded[r + 3, c]
        products[r, place] = p
        products[r + 1, place] = q
        products[r + 2, place] = s
        products[r + 3, place] = t
        left -= p * p + q * q + s * s + t * t
        r += 4
    while r < length:
        p = np.float32(0.0)
        for c in range(rows.shape[1]):
            p += rows[i, c] * rounded[r, c]
        products[r, place] = p
        left -= p * p
        r += 1
    residual[place] = left


@linked
def extend(
    pick: int,
    slot: int,
    at: int,
    length: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    rounded: NDArray[np.float32],
    factor: NDArray[np.float64],
) -> bool:
    """Write the base that `pick` adds to the first `length` ones to row `at`; False, and a row of zeros, for none.

    `slot` is the pick's. `factor[at, r]` becomes its product with base r where the factor is kept (a DPP's window; else
    (1, 1)).
    """
    size = bases.shape[1]
    kept = len(factor) > 1
    vector = np.empty(size, np.float64)
    squared = 0.0
    if norms[order[pick]] > 0.0:
        squared = left_over(pick, 0, matrix, norms, order, shifted, bases, vector)
        filled = matrix.shape[1] + int(shifted)
        own = own_direction(filled, vector)
        if own > 0.0:
            vector[filled + slot] = np.sqrt(own)
        for again in range(2):  # once more, because the first time leaves rounding errors along the bases
            for r in range(length):
                along = 0.0
                for c in range(size):
                    along += vector[c] * bases[r, c]
                for c in range(size):
                    vector[c] -= along * bases[r, c]
                if kept:
                    factor[at, r] = along if again == 0 else factor[at, r] + along
        squared = 0.0
        for c in range(size):
            squared += vector[c] * vector[c]
    elif kept:
        factor[at, :length] = 0.0
    adds = squared > EXACT_PIVOT
    root = np.sqrt(squared) if adds else 0.0
    for c in range(size):
        bases[at, c] = vector[c] / root if adds else 0.0
        rounded[at, c] = np.float32(bases[at, c])
    if kept:
        factor[at, at] = root
    return adds


@inner
def _remove_oldest(
    length: int,
    lives: int,
    bases: NDArray[np.float64],
    rounded: NDArray[np.float32],
    factor: NDArray[np.float64],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
) -> None:
    """Turn the bases of picks 0..length-1 into those of picks 1..length-1, and everything measured in them.

    Base 0, `loose`, is rotated into base 1 until the picks no longer reach into it, then what is left of it into base
    2, and so on; the last remainder is what only the removed pick explained. O(length (D + live)).
    """
    size = bases.shape[1]
    loose = bases[0].copy()
    reach = factor[:length, 0].copy()  # products of the picks with `loose`
    freed = products[0, :lives].copy()  # products of the candidates with it
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
            bases[r - 1, c] = cosine * value + sine * loose[c]
            loose[c] = cosine * loose[c] - sine * value
            rounded[r - 1, c] = np.float32(bases[r - 1, c])
        turn, tilt = np.float32(cosine), np.float32(sine)
        above, below = products[r - 1], products[r]
        for place in range(lives):
            product = below[place]
            above[place] = turn * product + tilt * freed[place]
            freed[place] = turn * freed[place] - tilt * product
    for place in range(lives):
        residual[place] += freed[place] * freed[place]


@linked
def absorb(
    slot: int,
    ring: bool,
    picks: NDArray[np.int32],
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rows: NDArray[np.float32],
    bases: NDArray[np.float64],
    rounded: NDArray[np.float32],
    factor: NDArray[np.float64],
    products: NDArray[np.float32],
    residual: NDArray[np.float32],
    live: NDArray[np.int32],
    state: NDArray[np.int64],
) -> None:
    """Take the picks of slots before `slot` into the window of at most len(`products`) bases; `ring`: as SSD does.

    O(D (length + live)) a pick, and O(length live) for a DPP whose window is full. A DPP's window in which a pick adds
    nothing to the others is made anew when its oldest pick leaves, as that pick may have been what the other copied.
    """
    most, lives = len(products), state[LIVE]
    for s in range(state[ABSORBED], slot):
        length = state[LENGTH]
        at = length
        if ring:
            at = s % most
            if s >= most:
                for place in range(lives):
                    residual[place] += products[at, place] * products[at, place]
        elif length == most:
            if state[COPIES] > 0 or state[SINCE] >= max(REFRESH, 8 * most):
                state[COPIES] = state[SINCE] = 0
                for t in range(length - 1):
                    at_slot = s - length + 1 + t
                    pick = picks[at_slot]
                    adds = extend(pick, at_slot, t, t, matrix, norms, order, shifted, bases, rounded, factor)
                    state[COPIES] += int(not adds and norms[order[pick]] > 0.0)
                for place in range(lives):
                    catch_up(live[place], place, length - 1, rows, rounded, products, residual)
            else:
                _remove_oldest(length, lives, bases, rounded, factor, products, residual)
            at = length - 1
        pick = picks[s]
        adds = extend(pick, s, at, length if ring else at, matrix, norms, order, shifted, bases, rounded, factor)
        state[COPIES] += int(not adds and norms[order[pick]] > 0.0)
        if adds:
            for place in range(lives):
                product = np.float32(0.0)
                for c in range(rows.shape[1]):
                    product += rows[live[place], c] * rounded[at, c]
                products[at, place] = product
                residual[place] -= product * product
        else:
            products[at, :lives] = np.float32(0.0)
        state[LENGTH] = min(length + 1, most)
        state[SINCE] += 1
        if ring and state[SINCE] >= REFRESH:
            state[SINCE] = 0
            residual[:lives] = np.float32(1.0)
            for r in range(state[LENGTH]):
                for place in range(lives):
                    residual[place] -= products[r, place] * products[r, place]
    state[ABSORBED] = max(state[ABSORBED], slot)
