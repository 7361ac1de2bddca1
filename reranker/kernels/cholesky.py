"""The two incremental Cholesky chains of `dpp.py`: float32 over contiguous rows, float64 beside it.

Row i of either holds [unit vector | Cholesky entries], each pivot the same with negative entries, all over the
root of its residual. The next entry of a candidate is then one product of two rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import inner
from reranker.kernels.rows import begin_row
from reranker.kernels.vectors import dot, dot_four, exact_dot, exact_dot_four, whole

SCAN_PIVOT = 0.05  # a pick with a smaller residual would amplify float32 noise beyond the scan's bound
EXACT_PIVOT = 1e-12  # float64 noise: such a pick is a copy of earlier ones and conditions nothing further


@inner
def scan_step(
    i: int,
    chain: int,
    dimension: int,
    rows: NDArray[np.float32],
    pivots: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
) -> None:
    """Apply the next scan pivots to candidate i, up to four: so many load its row once.

    A row's Cholesky entries are zero until they are written, so products may run over whole registers, and so are
    three pivots beyond the chain.
    """
    column = seen[i]
    at = dimension + column
    width = dimension + whole(column)
    if column + 1 < chain:
        a, b, c, d = dot_four(rows, i, pivots, column, width)
        b += a * pivots[column + 1, at]
        c += a * pivots[column + 2, at] + b * pivots[column + 2, at + 1]
        d += a * pivots[column + 3, at] + b * pivots[column + 3, at + 1] + c * pivots[column + 3, at + 2]
        rows[i, at] = a
        rows[i, at + 1] = b
        rows[i, at + 2] = c
        rows[i, at + 3] = d
        residual[i] = max(residual[i] - (a * a + b * b + c * c + d * d), np.float32(0.0))
        seen[i] = min(column + 4, chain)
    else:
        a = dot(rows, i, pivots, column, width)
        rows[i, at] = a
        residual[i] = max(residual[i] - a * a, np.float32(0.0))
        seen[i] = column + 1


@inner
def extend_scan(
    pick: int,
    dimension: int,
    rows: NDArray[np.float32],
    pivots: NDArray[np.float32],
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
    chain: NDArray[np.int32],
) -> None:
    """Add the pick to the scan chain, unless its residual is too small for float32."""
    length = chain[0]
    while seen[pick] < length:
        scan_step(pick, length, dimension, rows, pivots, residual, seen)
    if residual[pick] < SCAN_PIVOT:
        return
    scale = np.float32(1.0) / np.sqrt(residual[pick])
    for c in range(dimension):
        pivots[length, c] = rows[pick, c] * scale
    for c in range(dimension, rows.shape[1]):
        pivots[length, c] = -rows[pick, c] * scale
    for t in range(length + 1, length + 4):
        for c in range(rows.shape[1]):
            pivots[t, c] = 0.0
    chain[0] = length + 1


@inner
def exact_residual(
    i: int,
    slot: int,
    dimension: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    own: NDArray[np.float64],
    exact: NDArray[np.float64],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
    enough: float = -1.0,
) -> float:
    """Float64 residual of candidate i given the first `slot` picks; continues from what was done before.

    Stops where it is at most `enough`: it only falls.
    """
    begin_row(i, matrix, norms, order, shifted, own, done)
    t = done[i]
    while t < slot and variance[i] > enough:
        at = dimension + t
        width = dimension + whole(t)
        if t + 4 <= slot:
            a, b, c, d = exact_dot_four(own, i, exact, t, width)
            b += a * exact[t + 1, at]
            c += a * exact[t + 2, at] + b * exact[t + 2, at + 1]
            d += a * exact[t + 3, at] + b * exact[t + 3, at + 1] + c * exact[t + 3, at + 2]
            own[i, at] = a
            own[i, at + 1] = b
            own[i, at + 2] = c
            own[i, at + 3] = d
            variance[i] = max(variance[i] - (a * a + b * b + c * c + d * d), 0.0)
            t += 4
        else:
            a = exact_dot(own, i, exact, t, width)
            own[i, at] = a
            variance[i] = max(variance[i] - a * a, 0.0)
            t += 1
    done[i] = max(done[i], t)
    return float(variance[i])


@inner
def extend_exact(
    pick: int, slot: int, dimension: int, variance: float, own: NDArray[np.float64], exact: NDArray[np.float64]
) -> None:
    """Write the pick of `slot`, which is up to date, over its residual's root to `exact`; zeros for a copy."""
    scale = 1.0 / np.sqrt(variance) if variance > EXACT_PIVOT else 0.0
    for c in range(dimension):
        exact[slot, c] = own[pick, c] * scale
    for c in range(dimension, own.shape[1]):
        exact[slot, c] = -own[pick, c] * scale


@inner
def begin_chains(
    residual: NDArray[np.float32],
    seen: NDArray[np.int32],
    variance: NDArray[np.float64],
    done: NDArray[np.int32],
    chain: NDArray[np.int32],
) -> None:
    """Both chains before the first pick: all of everybody's variance is left, nobody has a row; O(N)."""
    residual[:] = 1.0
    seen[:] = -1
    variance[:] = 1.0
    done[:] = -1
    chain[0] = 0
    chain[1] = -1
