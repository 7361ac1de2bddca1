"""Exact draws from k-DPPs (Kulesza and Taskar 2012, algorithms 1 and 8), without an N x N matrix where D < N.

A k-DPP of the L-ensemble B B^T is a mixture of elementary DPPs, each of k eigenvectors: `Spectrum.choose` draws which,
`Elementary` draws the items one after another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NO_DIRECTION = 1e-11  # of the largest eigenvalue: below it float64 holds nothing but noise
SPANNED = 1e-10  # of a row's own squared length: what is left of it is noise


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Eigenvalues above 0 of B B^T (N x N) for the rows B, float64 (N, D), and what makes eigenvectors of them.

    `own` int (M,) are items with a direction that no other item shares, alike to nothing, and `lengths` (M,) their
    squared lengths: each is an eigenvector by itself. They come after the others.
    """

    values: Floats
    own: NDArray[np.intp]
    rows: Floats
    basis: Floats
    dual: bool

    @classmethod
    def of(cls, rows: Floats, own: NDArray[np.intp], lengths: Floats) -> Spectrum:
        """O(N D^2 + D^3) through D x D products when D < N, else O(N^2 D + N^3)."""
        dual = rows.shape[1] < rows.shape[0]
        values, basis = np.linalg.eigh(rows.T @ rows if dual else rows @ rows.T)
        least = NO_DIRECTION * max(values.max(initial=0.0), lengths.max(initial=0.0))
        kept, alone = values > least, lengths > least
        return cls(np.concatenate([values[kept], lengths[alone]]), own[alone], rows, basis[:, kept], dual)

    def choose(self, size: int, numbers: Floats) -> NDArray[np.intp]:
        """`size` of the eigenvectors, each set with probability in proportion to the product of its eigenvalues.

        `numbers` are uniform on 0..1, one an eigenvalue. Elementary symmetric polynomials in logarithms, as products of
        fifty eigenvalues leave float64's range. O(eigenvalues x size).
        """
        count = len(self.values)
        if size >= count:
            return np.arange(count)
        logs = np.log(self.values / self.values.max(initial=0.0))
        sums = np.full((count + 1, size + 1), -np.inf)  # log e_l of the first n values
        sums[:, 0] = 0.0
        for n in range(count):
            sums[n + 1, 1:] = np.logaddexp(sums[n, 1:], logs[n] + sums[n, :-1])
        chosen: list[int] = []
        for n in range(count, 0, -1):
            missing = size - len(chosen)
            if not missing:
                break
            if np.log(numbers[n - 1]) < logs[n - 1] + sums[n - 1, missing - 1] - sums[n, missing]:
                chosen.append(n - 1)
        return np.array(chosen[::-1], np.intp)

    def vectors(self, chosen: NDArray[np.intp]) -> Floats:
        """The chosen eigenvectors as columns: float64 (N, len(chosen)). O(N D len(chosen))."""
        common = len(self.values) - len(self.own)
        shared, alone = chosen[chosen < common], chosen[chosen >= common] - common
        vectors = np.zeros((self.rows.shape[0], len(chosen)))
        if self.dual:
            vectors[:, : len(shared)] = self.rows @ (self.basis[:, shared] / np.sqrt(self.values[shared]))
        else:
            vectors[:, : len(shared)] = self.basis[:, shared]
        vectors[self.own[alone], len(shared) + np.arange(len(alone))] = 1.0
        return vectors


class Directions:
    """Rows of a matrix, and what is left of each outside the span of those taken so far.

    `left` float64 (N,) are squared lengths, exactly 0 once nothing but rounding is left. O(N D) a taken row.
    """

    def __init__(self, rows: Floats) -> None:
        self.rows = rows
        self._own = np.einsum("ij,ij->i", rows, rows)
        self.left = self._own.copy()
        self._basis = np.empty((min(rows.shape), rows.shape[1]))  # no more directions than that exist
        self._rank = 0

    def take(self, index: int) -> Floats | None:
        """Add row `index` to the span; its new direction, of length 1, or None when it brings none."""
        if self.left[index] == 0.0 or self._rank == len(self._basis):
            return None
        known = self._basis[: self._rank]
        direction: Floats = self.rows[index].copy()
        for _ in range(2):  # once more, for what rounding left of the first time
            direction -= (known @ direction) @ known
        direction /= np.linalg.norm(direction)
        self._basis[self._rank] = direction
        self._rank += 1
        self.left -= (self.rows @ direction) ** 2
        self.left[self.left <= SPANNED * self._own] = 0.0
        self.left[index] = 0.0
        return direction
