"""Items as they came from the store: tables of items of one shape, and where each stands in the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.signals.packed import Shape, texts_of

_ENTRY_BYTES = 120  # of the dictionary and the list


class Fields:
    """The label fields of one attribute, each stored once: code 0 is the empty field, of an unknown value."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, ...]] = [()]
        self._code_of: dict[bytes, int] = {b"": 0}
        self.size = 0
        """Bytes of all but the empty one, roughly."""

    def codes(self, fields: Sequence[bytes]) -> NDArray[np.int32]:
        """The code of each field; raises `StoreLied` for one that cannot be read."""
        known = self._code_of
        return np.array([known[each] if each in known else self._add(each) for each in fields], np.int32)

    def only(self, codes: NDArray[np.int32]) -> tuple[Fields, NDArray[np.int32]]:
        """The fields that these codes stand for, and the codes that these have there."""
        kept, fields = Fields(), list(self._code_of)
        used, places = np.unique(codes, return_inverse=True)
        return kept, kept.codes([fields[code] for code in used.tolist()]).take(places)

    def _add(self, each: bytes) -> int:
        texts = texts_of(each)
        self.texts.append(texts)
        self._code_of[each] = len(self.texts) - 1
        self.size += _ENTRY_BYTES + getsizeof(each) + getsizeof(texts) + sum(map(getsizeof, texts))
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
