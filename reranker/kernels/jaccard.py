"""Jaccard similarity of sets as a few columns: an incomplete Cholesky factor with pivots, one row of it at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import f64, i32, i64, kernel, read_only, scratch

EXHAUSTED = 1e-12  # what is left of a variance of 1 below this is rounding


@kernel(i64(read_only(i32, 1), read_only(i32, 1), i64, read_only(f64, 1), scratch(f64, 2), scratch(f64, 1)))
def factor_jaccard(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int32],
    values: int,
    weight: NDArray[np.float64],
    factor: NDArray[np.float64],
    left: NDArray[np.float64],
) -> int:
    """Write `factor` (M, most columns) with factor @ factor.T = |A n B| / |A u B| as far as its columns go.

    Set s is `codes[offsets[s]:offsets[s + 1]]`, distinct codes below `values`, not empty. `left` (M,) is the variance
    of each set that the factor leaves out; no entry of the product is off by more than sqrt(left_s left_t). The next
    pivot is the set of largest `weight` (M,) times `left`; one of weight 0 never becomes one. Returns how many columns
    were written. Harbrecht, Peters, Schneider 2012, algorithm 1 (the Jaccard kernel is positive semi-definite:
    Bouchard, Jousselme, Dore 2013). O(columns (codes + M columns)), and no M x M matrix.
    """
    count, most = factor.shape
    inside = np.zeros(values, np.bool_)
    left[:] = 1.0
    column = 0
    while column < most:
        pivot, largest = -1, EXHAUSTED
        for s in range(count):
            if weight[s] > 0.0 and left[s] > EXHAUSTED and weight[s] * left[s] > largest:
                pivot, largest = s, weight[s] * left[s]
        if pivot < 0:
            break
        for e in range(offsets[pivot], offsets[pivot + 1]):
            inside[codes[e]] = True
        size = offsets[pivot + 1] - offsets[pivot]
        scale = 1.0 / np.sqrt(left[pivot])
        for s in range(count):
            common = 0
            for e in range(offsets[s], offsets[s + 1]):
                common += 1 if inside[codes[e]] else 0
            covariance = common / (size + offsets[s + 1] - offsets[s] - common)
            for c in range(column):
                covariance -= factor[s, c] * factor[pivot, c]
            factor[s, column] = covariance * scale
        for s in range(count):
            left[s] = max(left[s] - factor[s, column] * factor[s, column], 0.0)
        left[pivot] = 0.0
        for e in range(offsets[pivot], offsets[pivot + 1]):
            inside[codes[e]] = False
        column += 1
    return column
