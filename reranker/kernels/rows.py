"""The unit rows that every strategy works on, and cosines in float64."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f32, f64, i32, inner, kernel, read_only, scratch


@inner
def write_unit_row(
    i: int,
    source: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    shifted: bool,
    rows: NDArray[np.floating],
) -> None:
    """Write row `source` of `matrix`, at unit length, into `rows[i]`, and zeros behind it.

    `shifted` appends a constant and scales by 1/sqrt(2), so that the dot product of two rows is (1 + cosine) / 2.
    A row of norm 0 has no direction: it becomes all zero, alike to nothing.
    """
    width = matrix.shape[1]
    norm = norms[source]
    filled = 0
    if norm > 0.0:
        scale = np.sqrt(0.5) / norm if shifted else 1.0 / norm
        for c in range(width):
            rows[i, c] = matrix[source, c] * scale
        filled = width
        if shifted:
            rows[i, width] = np.sqrt(0.5)
            filled = width + 1
    for c in range(filled, rows.shape[1]):
        rows[i, c] = 0.0


@inner
def begin_row(
    i: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rows: NDArray[np.floating],
    seen: NDArray[np.int32],
) -> None:
    """Write candidate i's row unless that was done (`seen` -1): those whom relevance rules out have none."""
    if seen[i] < 0:
        write_unit_row(i, order[i], matrix, norms, shifted, rows)
        seen[i] = 0


@kernel(types.void(read_only(f32, 2), read_only(f64, 1), read_only(i32, 1), boolean, scratch(f32, 2)), borrows=True)
def unit_rows(
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    rows: NDArray[np.float32],
) -> None:
    """Write row `order[i]` of `matrix`, at unit length, into `rows[i]`, as `write_unit_row` does; O(N D)."""
    for i in range(order.shape[0]):
        write_unit_row(i, order[i], matrix, norms, shifted, rows)


@inner
def exact_similarity(
    source: int, target: int, matrix: NDArray[np.float32], norms: NDArray[np.float64], shifted: bool
) -> float:
    """Cosine of two input rows in float64, or (1 + cosine) / 2; 0 where one of them has no direction.

    A row shorter than its norm has a direction of its own beside the columns, which no other row shares.
    """
    if source == target:
        return 1.0
    scale = norms[source] * norms[target]
    if scale == 0.0:
        return 0.0
    total = 0.0
    for c in range(matrix.shape[1]):
        total += np.float64(matrix[source, c]) * np.float64(matrix[target, c])
    cosine = float(total / scale)
    return 0.5 + 0.5 * cosine if shifted else cosine
