"""What the picks of `dpp.py` leave of candidates: in float32 for sixteen at once, in float64 for one.

Each pick adds a *base*, the direction that it has beyond the picks before it, and <f_i, b_t> is entry t of candidate
i's Cholesky row: d2_i = 1 - sum_t <f_i, b_t>^2. Bases are explicit vectors, made in float64, so a float32 product with
one is as good as any float32 product of unit vectors, however small a residual the base was divided by.

All rows are padded with zeros. Where rows may be shorter than their norms, a base has a direction of its own beside the
columns; no other candidate has a part in it, so it is never looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import inner
from reranker.kernels.panels import fill_panel, take_four_squares, take_square
from reranker.kernels.rows import begin_row
from reranker.kernels.vectors import LANES, exact_dot, exact_dot_four

EXACT_PIVOT = 1e-12  # float64 noise: such a pick is a copy of earlier ones and becomes no base


@inner
def scan_step(
    block: int,
    length: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    room: NDArray[np.float32],
    panels: NDArray[np.float32],
    rounded: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Take the next of the first `length` bases from a block's residuals, up to four: so many load its panel once.

    `rounded` are the bases in float32, with three of zeros behind the last. A block that was not looked at yet (`seen`
    -1) gets its panel first: those whom relevance rules out have none.
    """
    width = rounded.shape[1]
    if seen[block] < 0:
        fill_panel(block, width, matrix, norms, order, shifted, room, panels)
        seen[block] = 0
    t = seen[block]
    if t + 1 < length:
        take_four_squares(panels, block * width, rounded, t, width, residual, block * LANES)
        seen[block] = min(t + 4, length)
    elif t < length:
        take_square(panels, block * width, rounded, t, width, residual, block * LANES)
        seen[block] = t + 1


@inner
def exact_residual(
    i: int,
    slot: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    own: NDArray[np.float64],
    bases: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
    enough: float = -1.0,
) -> float:
    """Float64 residual of candidate i given the first `slot` picks; continues from what was done before.

    Row i of `own` is [unit vector | Cholesky row]. Stops where the residual is at most `enough`: it only falls.
    """
    begin_row(i, matrix, norms, order, shifted, own, done)
    t, dimension = done[i], bases.shape[1]
    while t < slot and variance[i] > enough:
        if t + 4 <= slot:
            a, b, c, d = exact_dot_four(own, i, bases, t, dimension)
            own[i, dimension + t] = a
            own[i, dimension + t + 1] = b
            own[i, dimension + t + 2] = c
            own[i, dimension + t + 3] = d
            variance[i] = max(variance[i] - (a * a + b * b + c * c + d * d), 0.0)
            t += 4
        else:
            a = exact_dot(own, i, bases, t, dimension)
            own[i, dimension + t] = a
            variance[i] = max(variance[i] - a * a, 0.0)
            t += 1
    done[i] = max(done[i], t)
    return float(variance[i])


@inner
def add_base(
    pick: int,
    slot: int,
    variance: float,
    own: NDArray[np.float64],
    bases: NDArray[np.float64],
    rounded: NDArray[np.float32],
) -> None:
    """Write the base of the pick of `slot`, which is up to date, to `bases` and `rounded`; zeros for a copy.

    O(slot D), by what the pick's Cholesky row says already.
    """
    dimension = bases.shape[1]
    scale = 1.0 / np.sqrt(variance) if variance > EXACT_PIVOT else 0.0
    for c in range(dimension):
        bases[slot, c] = own[pick, c] * scale
    t = 0
    while t + 4 <= slot:  # four at a time load the row once
        at = dimension + t
        p, q, r, s = (
            own[pick, at] * scale,
            own[pick, at + 1] * scale,
            own[pick, at + 2] * scale,
            own[pick, at + 3] * scale,
        )
        for c in range(dimension):
            bases[slot, c] -= p * bases[t, c] + q * bases[t + 1, c] + r * bases[t + 2, c] + s * bases[t + 3, c]
        t += 4
    while t < slot:
        p = own[pick, dimension + t] * scale
        for c in range(dimension):
            bases[slot, c] -= p * bases[t, c]
        t += 1
    for c in range(rounded.shape[1]):
        rounded[slot, c] = bases[slot, c]
    for behind in range(slot + 1, slot + 4):
        for c in range(rounded.shape[1]):
            rounded[behind, c] = 0.0
