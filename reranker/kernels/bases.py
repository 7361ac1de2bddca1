"""A window of picks as orthonormal vectors, and how much of each candidate they leave over.

What a pick adds to the picks before it is a direction, a *base*. With b_r the bases in the window, candidate i of unit
vector f_i keeps d2_i = 1 - sum_r <f_i, b_r>^2: its conditional variance under a DPP, its squared residual under SSD.
Bases are explicit vectors in float64, made by Gram-Schmidt, twice over, so that dividing by a small residual amplifies
nothing: a float32 product with a base is as good as any float32 product of unit vectors.

The two strategies differ in what becomes of the bases when the oldest pick leaves the window: SSD drops the oldest base
and leaves the others as they are (`ssd.py`), a DPP conditions on the picks that are left, whose bases are others then
(`spectrum.py`).

All rows are padded with zeros to whole registers. Where rows may be shorter than their norms, bases have columns behind
the others, one for each slot: the own direction of the slot's pick.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, linked_borrowing, read_only, scratch
from reranker.kernels.rows import write_unit_row
from reranker.kernels.vectors import exact_dot, exact_dot_four

EXACT_PIVOT = 1e-12  # a pick that adds less variance is a copy of earlier ones and becomes no base
REFRESH = 64  # absorbed picks, at least, before rounding in the live candidates' numbers is swept out
_PLAIN = 1e-3  # what is left, if it is more, is right to 13 digits as the difference from 1

# What bases are made from and where, in the order that `extend` and `left_over` take them.
INPUTS = (
    i64,  # columns of a row, in whole registers
    read_only(f32, 2),  # embeddings as they came in
    read_only(f64, 1),  # their lengths
    read_only(i32, 1),  # their row by upstream rank
    boolean,  # similarity is (1 + cosine) / 2
    scratch(f64, 2),  # bases (window, columns)
    scratch(f64, 2),  # room for a row (1, columns)
)


@inner
def _take_away(length: int, bases: NDArray[np.float64], along: NDArray[np.float64], row: NDArray[np.float64]) -> None:
    """Subtract the first `length` bases, each as often as `along` says, from the row."""
    size = bases.shape[1]
    r = 0
    while r + 4 <= length:  # four at a time load the row once
        p, q, s, t = along[r], along[r + 1], along[r + 2], along[r + 3]
        for c in range(size):
            row[0, c] -= p * bases[r, c] + q * bases[r + 1, c] + s * bases[r + 2, c] + t * bases[r + 3, c]
        r += 4
    while r < length:
        p = along[r]
        for c in range(size):
            row[0, c] -= p * bases[r, c]
        r += 1


@linked_borrowing
def left_over(
    i: int,
    length: int,
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    row: NDArray[np.float64],
) -> float:
    """Squared length of what the first `length` bases leave of candidate i; float64, O(length D).

    1 for a candidate without a direction: it is alike to nothing. A row that is shorter than its norm has the rest in a
    direction of its own, which no base reaches.
    """
    if length == 0 or norms[order[i]] == 0.0:
        return 1.0
    write_unit_row(0, order[i], matrix, norms, shifted, row)
    left = 1.0
    r = 0
    while r + 4 <= length:
        a, b, c, d = exact_dot_four(row, 0, bases, r, dimension)
        left -= a * a + b * b + c * c + d * d
        r += 4
    while r < length:
        a = exact_dot(row, 0, bases, r, dimension)
        left -= a * a
        r += 1
    if left > _PLAIN:
        return left
    own = 0.0
    if bases.shape[1] > dimension:
        own = max(0.0, 1.0 - exact_dot(row, 0, row, 0, dimension))
    for t in range(length):
        along = exact_dot(row, 0, bases, t, dimension)
        for k in range(dimension):
            row[0, k] -= along * bases[t, k]
    return min(own + exact_dot(row, 0, row, 0, dimension), 1.0)


@linked_borrowing
def extend(
    pick: int,
    slot: int,
    at: int,
    length: int,
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
    line: int,
) -> bool:
    """Write the base that `pick` adds to the first `length` ones to row `at`; False, and a row of zeros, for none.

    `slot` is the pick's; `rounded[line]` becomes the same in float32, `along` is room for a number a base.
    `factor[at, r]` becomes its product with base r where the factor is kept (a DPP's window; else (1, 1)). O(length D).
    """
    size = bases.shape[1]
    kept = len(factor) > 1
    squared = 0.0
    if norms[order[pick]] > 0.0:
        write_unit_row(0, order[pick], matrix, norms, shifted, row)
        if size > dimension:
            row[0, dimension + slot] = np.sqrt(max(0.0, 1.0 - exact_dot(row, 0, row, 0, dimension)))
        for again in range(2):  # once more, because the first time leaves rounding errors along the bases
            r = 0
            while r + 4 <= length:
                along[r], along[r + 1], along[r + 2], along[r + 3] = exact_dot_four(row, 0, bases, r, size)
                r += 4
            while r < length:
                along[r] = exact_dot(row, 0, bases, r, size)
                r += 1
            _take_away(length, bases, along, row)
            for r in range(length if kept else 0):
                factor[at, r] = along[r] if again == 0 else factor[at, r] + along[r]
        squared = exact_dot(row, 0, row, 0, size)
    elif kept:
        factor[at, :length] = 0.0
    adds = squared > EXACT_PIVOT
    root = np.sqrt(squared) if adds else 0.0
    scale = 1.0 / root if adds else 0.0
    for c in range(size):
        bases[at, c] = row[0, c] * scale if adds else 0.0
    for c in range(dimension):
        rounded[line, c] = np.float32(bases[at, c])
    if kept:
        factor[at, at] = root
    return adds


@kernel(types.void(i64, scratch(f64, 1), *INPUTS), borrows=True)
def leftovers(
    length: int,
    left: NDArray[np.float64],
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    bases: NDArray[np.float64],
    row: NDArray[np.float64],
) -> None:
    """Write d2 of every candidate beside the first `length` bases to `left`, in float64; for explanations."""
    for i in range(len(left)):
        left[i] = left_over(i, length, dimension, matrix, norms, order, shifted, bases, row)
