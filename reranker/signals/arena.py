"""Remembered items of one shape: a table of rows, the codes of their label fields, and three numbers a row.

The numbers say when it was fetched, when it was used last, and whether it was erased. Arrays grow with what they hold
and shrink when asked to, so that what an arena says it takes is what the process has from the system.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Id
from reranker.signals.packed import Shape
from reranker.signals.pieces import Fields

_ENTRY_BYTES = 250  # of the dictionary, an id as most are and the bookkeeping of one item
_ID_BYTES = 100  # of an id as most are
_FIRST_ROWS = 64


def beyond(ids: Iterable[Id]) -> int:
    """The bytes of ids that are longer than most."""
    return sum([max(0, size - _ID_BYTES) for size in map(getsizeof, ids)])


class Arena:
    """Rows of one shape. Not for several threads at once."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.row_bytes = shape.row.itemsize + 4 * len(shape.labels) + _ENTRY_BYTES
        self.last_used = 0
        self.clear()

    def clear(self) -> None:
        """Begin anew, and give the memory back."""
        shape = self.shape
        self.table = np.zeros(0, shape.row)
        self.codes = np.zeros((len(shape.labels), 0), np.int32)
        self.fetched = np.zeros(0)
        self.used = np.zeros(0, np.int64)  # 0 where the row is free
        self.erased = np.zeros(0, bool)
        self.keys: list[Id | None] = []
        self.fields = [Fields() for _ in shape.labels]
        self.free: list[int] = []
        self._beyond = 0

    @property
    def taken(self) -> int:
        """Items."""
        return len(self.keys) - len(self.free)

    @property
    def room(self) -> int:
        """Rows that it has memory for."""
        return len(self.used)

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return self.room * self.row_bytes + self._beyond + sum([own.size for own in self.fields])

    @property
    def is_slack(self) -> bool:
        """Whether a quarter of the rows or more are nobody's."""
        return 4 * self.taken <= 3 * self.room

    def lacking(self, count: int) -> int:
        """Bytes more that it takes for so many more items with ids as most are."""
        return max(0, count - (self.room - self.taken)) * self.row_bytes

    def grow(self, count: int, most_bytes: int) -> None:
        """Make room for so many more items, and for some that may follow, with at most so many bytes more."""
        if self.lacking(count):
            wanted = max(_FIRST_ROWS, self.room + self.room // 2, self.taken + count)
            self._resize(min(wanted, self.room + max(0, most_bytes) // self.row_bytes))

    def add(self, item: Id) -> int:
        """A row for an item; -1 when there is none left."""
        if self.free:
            row = self.free.pop()
            self.keys[row] = item
        elif len(self.keys) < self.room:
            row = len(self.keys)
            self.keys.append(item)
        else:
            return -1
        self._beyond += beyond([item])
        return row

    def release(self, row: int) -> None:
        """Nobody's from now on."""
        item = self.keys[row]
        if item is not None:
            self._beyond -= beyond([item])
        self.keys[row], self.used[row] = None, 0
        self.free.append(row)

    def least_used(self, share: int, before: int) -> list[Id]:
        """The items of the longest unused rows, one in `share`, of those not used at tick `before`."""
        used = self.used[: len(self.keys)]
        rows = np.flatnonzero((used > 0) & (used < before))
        if not len(rows):
            return []
        count = max(1, len(rows) // share)
        oldest = rows[np.argpartition(used[rows], count - 1)[:count]]
        return [key for row in oldest.tolist() if (key := self.keys[row]) is not None]

    def items(self) -> list[Id]:
        """All items."""
        return [key for key in self.keys if key is not None]

    def compact(self) -> list[Id]:
        """Keep no row and no label field that no item has; the items in the order of their new rows."""
        rows = np.flatnonzero([key is not None for key in self.keys])
        self.keys = [*self.items()]
        self.free = []
        self.table, self.codes = self.table.take(rows), self.codes.take(rows, axis=1)
        self.fetched, self.used, self.erased = self.fetched.take(rows), self.used.take(rows), self.erased.take(rows)
        kept = [own.only(codes) for own, codes in zip(self.fields, self.codes, strict=True)]
        self.fields = [fields for fields, _ in kept]
        for n, (_, codes) in enumerate(kept):
            self.codes[n] = codes
        return self.items()

    def _resize(self, rows: int) -> None:
        self.table, self.codes = _longer(self.table, rows), _longer(self.codes, rows)
        self.fetched, self.used = _longer(self.fetched, rows), _longer(self.used, rows)
        self.erased = _longer(self.erased, rows)


def _longer(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The same with more columns, or rows where it has one dimension, of zeros."""
    longer = np.zeros((*array.shape[:-1], rows), array.dtype)
    longer[..., : array.shape[-1]] = array
    return longer
