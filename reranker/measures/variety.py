"""How much variety the embeddings of a list hold: its effective size and the volume that it spans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EXHAUSTED = 1e-12  # squared distance from the span of the items before: rounding to float32 leaves less of equal ones


def vendi_score(unit: Floats) -> float | None:
    """The effective number of different items, from 1 (all alike) to n (all orthogonal).

    exp of the Shannon entropy of the eigenvalues of K / n, where K holds the cosines of the n rows of `unit` (n, D),
    each of length 1 (Friedman and Dieng, TMLR 2023). Duplicates add nothing: two copies of a list have
    its score. So do opposites, which lie on one line. None without rows. O(n D min(n, D) + min(n, D)^3): the smaller of
    K and its dual D x D matrix has the same eigenvalues.
    """
    count = len(unit)
    if count == 0:
        return None
    small = unit @ unit.T if count <= unit.shape[1] else unit.T @ unit
    shares = np.linalg.eigvalsh(small) / count
    shares = shares[shares > 0.0]
    return float(min(max(np.exp(-(shares * np.log(shares)).sum()), 1.0), count))


def log_determinant(unit: Floats) -> float | None:
    """Natural logarithm of the squared volume that the rows span, at most 0, which a single item has.

    The matrix is the one whose determinant the strategy `dpp` raises: S = (1 + cosine) / 2 of the n rows of `unit`
    (n, D), each of length 1 (Kulesza and Taskar 2012, section 2.2). None without rows, and where the rank is exhausted,
    as with duplicates or more than D + 1 rows: the determinant is 0 and has no logarithm. Exhausted means that an item
    has a squared distance of less than 1e-12 from the span of those before it. O(n^2 (D + n)).
    """
    count = len(unit)
    if count == 0 or count > unit.shape[1] + 1:
        return None
    try:
        pivots = np.diagonal(np.linalg.cholesky((1.0 + unit @ unit.T) / 2.0)) ** 2
    except np.linalg.LinAlgError:  # a pivot that rounding made 0 or negative
        return None
    return min(float(np.log(pivots).sum()), 0.0) if pivots.min() > _EXHAUSTED else None
