"""Numbers at the door: whether they are sound, in the pass that copies them."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f32, f64, i32, i64, inner, kernel, read_only, scratch


@kernel(boolean(read_only(f64, 1)), borrows=True)
def are_finite(numbers: NDArray[np.float64]) -> bool:
    """Whether none is NaN or infinite. O(N)."""
    finite = True
    for i in range(len(numbers)):
        finite = finite & (abs(numbers[i]) < np.inf)
    return finite


@kernel(i64(read_only(types.uint32, 1), scratch(i32, 1), scratch(boolean, 1)), borrows=True)
def copy_codes(codes: NDArray[np.uint32], copy: NDArray[np.int32], used: NDArray[np.bool_]) -> int:
    """Copy codes below `len(used)` and mark in `used`, all False before, which of them occur beside 0. O(N).

    Returns how many do; -1 when any code is not below, and then what is written means nothing.
    """
    for i in range(len(codes)):
        code = np.int64(codes[i])
        if code >= len(used):
            return -1
        copy[i] = code
        used[code] = True
    used[0] = True
    found = -1
    for value in range(len(used)):
        found += used[value]
    return found


@inner
def _missing(norms: NDArray[np.float64]) -> int:
    """How many lengths are 0, or -1 when one is not finite."""
    zeros, finite = 0, True
    for i in range(len(norms)):
        zeros += norms[i] == 0.0
        finite = finite & (norms[i] < np.inf)
    return zeros if finite else -1


@kernel(i64(read_only(f32, 2), scratch(f64, 1)), borrows=True)
def measure_rows(matrix: NDArray[np.float32], norms: NDArray[np.float64]) -> int:
    """Write the Euclidean length of each row in float64; how many are 0, or -1 when one is not finite. O(N D).

    A length is NaN or infinite exactly when the row is, 0 exactly when the row is 0.
    """
    for i in range(matrix.shape[0]):
        total = 0.0
        for c in range(matrix.shape[1]):
            value = np.float64(matrix[i, c])
            total += value * value
        norms[i] = np.sqrt(total)
    return _missing(norms)


@kernel(i64(read_only(f32, 2), scratch(f32, 2), scratch(f64, 1)), borrows=True)
def copy_rows(matrix: NDArray[np.float32], copy: NDArray[np.float32], norms: NDArray[np.float64]) -> int:
    """`measure_rows` of a matrix that goes into `copy` in the same pass: it is read once. O(N D)."""
    for i in range(matrix.shape[0]):
        total = 0.0
        for c in range(matrix.shape[1]):
            copy[i, c] = matrix[i, c]
            value = np.float64(matrix[i, c])
            total += value * value
        norms[i] = np.sqrt(total)
    return _missing(norms)
