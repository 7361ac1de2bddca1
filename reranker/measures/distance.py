"""How far apart the items of a slate are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(
    matrix: NDArray[np.float32], norms: NDArray[np.float64], positions: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The directions of a list's embeddings, float64 (n, D): items without an embedding are left out.

    `matrix` (N, D) holds the embeddings and `norms` (N,) their lengths, 0 where an embedding is missing.
    """
    present = positions[norms[positions] > 0.0]
    unit: NDArray[np.float64] = matrix[present].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit


def intra_list_distances(
    matrix: NDArray[np.float32], norms: NDArray[np.float64], positions: NDArray[np.integer]
) -> tuple[float | None, float | None]:
    """Mean and least distance 1 - cosine over all pairs of the slate's items, each from 0 to 2.

    `matrix` (N, D) holds the embeddings and `norms` (N,) their lengths, 0 where an embedding is missing; such items are
    left out. None twice when fewer than two items are left. O(k^2 D).
    """
    unit = unit_rows(matrix, norms, positions)
    count = len(unit)
    if count < 2:
        return None, None
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0.0)
    mean = 1.0 - float(cosines.sum()) / (count * (count - 1))
    np.fill_diagonal(cosines, -1.0)
    least = 1.0 - float(cosines.max())
    return min(max(mean, 0.0), 2.0), min(max(least, 0.0), 2.0)
