"""The numbers of many slates: what was measured, of which slate, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reranker.replay.segments import Floats, Indices, Mask
from reranker.replay.vocabulary import Vocabulary


@dataclass(slots=True)
class Numbers:
    """Numbers in any order; `put` in order of row, measure, attribute and value, one place each."""

    vocabulary: Vocabulary
    _parts: list[tuple[Indices, Indices, Indices, Indices, Floats]] = field(default_factory=list)

    def add(
        self,
        measure: str,
        rows: Indices,
        numbers: NDArray[np.floating | np.integer],
        *,
        attribute: str = "",
        values: Indices | None = None,
        where: Mask | None = None,
    ) -> None:
        """One measure of the slates `rows`, `where` it has a meaning; `values` are texts of the vocabulary."""
        if where is not None:
            rows, numbers = rows[where], numbers[where]
            values = None if values is None else values[where]
        count = len(rows)
        name, of = self.vocabulary.number(measure), self.vocabulary.number(attribute)
        texts = np.zeros(count, np.intp) if values is None else values
        self._parts.append((rows, np.full(count, name), np.full(count, of), texts, numbers.astype(np.float64)))

    def table(self, rows: int) -> tuple[Indices, tuple[Indices, Indices, Indices], Floats]:
        """Where the numbers of each of so many rows begin, the texts that name them, and the numbers."""
        row, name, attribute, value, number = (
            (np.concatenate(column) for column in zip(*self._parts, strict=True))
            if self._parts
            else (_NONE, _NONE, _NONE, _NONE, np.zeros(0))
        )
        ranks = self.vocabulary.ranks()
        many = len(ranks)
        key = ((row * many + ranks[name]) * many + ranks[attribute]) * many + ranks[value]
        order = np.argsort(key, kind="stable")
        starts = np.zeros(rows + 1, np.intp)
        np.cumsum(np.bincount(row, minlength=rows), out=starts[1:])
        return starts, (name[order], attribute[order], value[order]), number[order]


_NONE: Indices = np.zeros(0, np.intp)
