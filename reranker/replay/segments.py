"""Consecutive stretches of an array, each reduced by itself: what NumPy does to one list, done to many at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Segments:
    """Stretches of these lengths (n,), one behind the other.

    Sums, products and running sums have the very bits that NumPy gives a stretch alone, so that results do not depend
    on what is replayed together: stretches of one length are the rows of a matrix, and NumPy reduces its rows alike.
    """

    def __init__(self, lengths: NDArray[np.integer]) -> None:
        self.lengths = lengths.astype(np.intp, copy=False)
        ends = np.cumsum(self.lengths)
        self.starts: Indices = ends - self.lengths
        self.total = int(ends[-1]) if len(ends) else 0

    @classmethod
    def of(cls, owners: NDArray[np.integer], count: int) -> Segments:
        """From the stretch of each entry, ascending."""
        return cls(np.bincount(owners, minlength=count))

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def owner(self) -> Indices:
        """The stretch of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def within(self) -> Indices:
        """The place of each entry in its stretch, from 0."""
        return np.arange(self.total) - np.repeat(self.starts, self.lengths)

    @cached_property
    def _is_matrix(self) -> bool:
        return bool(len(self.lengths) and (self.lengths == self.lengths[0]).all())

    def _by_length(self) -> Iterator[tuple[Indices, Indices | slice, tuple[int, int]]]:
        """Stretches of one length, where their entries are, and the shape of these; empty ones are left out."""
        if self._is_matrix:
            if self.lengths[0]:
                yield np.arange(len(self)), slice(None), (len(self), int(self.lengths[0]))
            return
        for length in np.flatnonzero(np.bincount(self.lengths)).tolist():
            if length:
                own = np.flatnonzero(self.lengths == length)
                at = (self.starts[own][:, None] + np.arange(length)).ravel()
                yield own, at, (len(own), length)

    def sum(self, values: Floats) -> Floats:
        """The sum of each stretch."""
        sums = np.zeros(len(self))
        for own, at, shape in self._by_length():
            sums[own] = values[at].reshape(shape).sum(axis=1)
        return sums

    def dot(self, one: Floats, other: Floats) -> Floats:
        """The scalar product of each stretch of the two."""
        products = np.zeros(len(self))
        for own, at, (rows, length) in self._by_length():
            left, right = one[at].reshape(rows, 1, length), other[at].reshape(rows, length, 1)
            products[own] = np.matmul(left, right)[:, 0, 0]
        return products

    def running(self, values: Floats) -> Floats:
        """The running sum within each stretch."""
        sums = np.empty(len(values))
        for _, at, shape in self._by_length():
            sums[at] = values[at].reshape(shape).cumsum(axis=1).ravel()
        return sums

    def count(self, marked: Mask) -> Indices:
        """How many entries of each stretch are marked."""
        return np.bincount(self.owner[marked], minlength=len(self))

    def least(self, values: NDArray[Any], default: float = np.inf) -> NDArray[Any]:
        """The least entry of each stretch, `default` where it has none."""
        return self._reduced(np.minimum, values, default)

    def largest(self, values: NDArray[Any], default: float = -np.inf) -> NDArray[Any]:
        """The largest entry of each stretch, `default` where it has none."""
        return self._reduced(np.maximum, values, default)

    def _reduced(self, reduce: np.ufunc, values: NDArray[Any], default: float) -> NDArray[Any]:
        found = np.full(len(self), default, values.dtype if values.dtype.kind == "f" else np.intp)
        filled = self.lengths > 0
        if filled.any():  # empty ones between two others take nothing from either
            found[filled] = reduce.reduceat(values, self.starts[filled])
        return found

    def take(self, chosen: NDArray[np.integer]) -> tuple[Segments, Indices]:
        """Some of the stretches in this order, and where their entries are."""
        taken = Segments(self.lengths[chosen])
        return taken, np.repeat(self.starts[chosen] - taken.starts, taken.lengths) + np.arange(taken.total)

    def kept(self, marked: Mask) -> Segments:
        """The stretches with the marked entries alone."""
        return Segments(self.count(marked))
