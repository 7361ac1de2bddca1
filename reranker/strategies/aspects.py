"""Explicit aspects: which candidate carries which values of one attribute, and in which shares they are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Aspects:
    """The wanted values of `attribute`, over N candidates in upstream order.

    Candidate i carries `aspect[offsets[i]:offsets[i + 1]]` (int32, below C), `amount` (float64, 0..1, above 0) of each:
    1 for a hard label, A(i, c) in the papers. `carried` float64 (N,) is what it carries in all, of values that nobody
    wants too; 0 for an unknown label. `shares` float64 (C,), each above 0, add up to 1. Aspects are numbered as they
    occur upstream first, so that neither names nor the order of input decide between equals.
    """

    attribute: str
    offsets: Indices
    aspect: Indices
    amount: Floats
    carried: Floats
    shares: Floats

    @property
    def owners(self) -> Indices:
        """The candidate of each entry: int32 (entries,)."""
        return np.repeat(np.arange(len(self.carried), dtype=np.int32), np.diff(self.offsets))

    def parts(self) -> Floats:
        """p(c|i) of each entry: its amount as a part of all that the candidate carries (Steck 2018)."""
        parts: Floats = self.amount / self.carried[self.owners]
        return parts

    def terms(self, amount: Floats) -> tuple[Indices, Indices, Floats]:
        """Entries by distinct pair of aspect and `amount`: the pair of each entry, each pair's aspect and amount."""
        count = len(self.shares)
        if (amount == 1.0).all():
            return self.aspect, np.arange(count, dtype=np.int32), np.ones(count)
        values, which = np.unique(amount, return_inverse=True)
        pairs, entries = np.unique(self.aspect * np.int64(len(values)) + which, return_inverse=True)
        return entries.astype(np.int32), (pairs // len(values)).astype(np.int32), values[pairs % len(values)]
