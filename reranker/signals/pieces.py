"""Items as they came from the store: tables of items of one shape, and where each stands in the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.signals.packed import Shape, texts_of


class Fields:
    """The label fields of one attribute, each stored once: code 0 is the empty field, of an unknown value."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, ...]] = [()]
        self._code_of: dict[bytes, int] = {b"": 0}

    def __len__(self) -> int:
        return len(self.texts)

    def codes(self, fields: Sequence[bytes]) -> NDArray[np.int32]:
        """The code of each field; raises `StoreLied` for one that cannot be read."""
        known = self._code_of
        return np.array([known[each] if each in known else self._add(each) for each in fields], np.int32)

    def _add(self, each: bytes) -> int:
        self.texts.append(texts_of(each))
        self._code_of[each] = len(self.texts) - 1
        return len(self.texts) - 1


class Piece(NamedTuple):
    """Items of one shape: where they stand in the request, their table (N,), and codes of each label field (N,)."""

    shape: Shape
    at: NDArray[np.int64]
    table: NDArray[np.void]
    codes: list[NDArray[np.int32]]
    fields: list[Fields]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_], at: NDArray[np.int64]) -> Piece:
        """Some of the items, standing elsewhere."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Piece(self.shape, at, self.table.take(rows), [codes.take(rows) for codes in self.codes], self.fields)


@dataclass(slots=True, eq=False)
class StoredFound:
    """What the store has of N ids: `pieces` are the items, `erased` bool (N,) says who has none and is to have none.

    `degraded` says that some could not be read, or not lately enough; `counts` are the ids by where they were found.
    """

    pieces: list[Piece]
    erased: NDArray[np.bool_]
    degraded: bool
    counts: dict[str, int]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whom the store has an item of: bool (N,)."""
        present = np.zeros(len(self.erased), bool)
        for piece in self.pieces:
            present[piece.at] = True
        return present
