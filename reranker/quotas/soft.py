"""Soft quotas: what a candidate's utility gains by the shortfall it removes and loses by excess it adds (rule 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.policy.blocks import NO_CAP, WindowBound
from reranker.quotas.tables import AttributeTable


class SoftQuotas:
    """Soft bounds over a slate of `slots` slots as it grows, for `count` candidates."""

    def __init__(self, tables: Sequence[AttributeTable], count: int, slots: int) -> None:
        self._count = count
        self._tables = [_SoftTable(table, slots) for table in tables]

    def bonus(self, slot: int) -> NDArray[np.float64]:
        """The additive term of every candidate in `slot` (from 0) after the picks so far: float64 (N,), a new array.

        O(N x tables + floors x slots).
        """
        bonus = np.zeros(self._count)
        for table in self._tables:
            table.add(slot, bonus)
        return bonus

    def commit(self, slot: int, pick: int, fixed: bool = False) -> None:
        """Count the slot's pick; slots come in order. A `fixed` item counts for caps and windows, never for floors."""
        for table in self._tables:
            table.commit(slot, pick, fixed)


class _SoftTable:
    """The soft bounds on one attribute or intersection."""

    def __init__(self, table: AttributeTable, slots: int) -> None:
        bounds, rows = table.bounds, len(table.values)
        self._table, self._slots = table, slots
        self._floored = np.flatnonzero((bounds.lower > 0).any(axis=1) | (bounds.due > 0))
        self._lower, self._due = bounds.lower[self._floored], bounds.due[self._floored]
        self._lower_weight = bounds.lower_weight[self._floored]
        self._earned = np.zeros(rows, np.int32)
        self._capped = np.flatnonzero((bounds.upper < NO_CAP).any(axis=1))
        self._upper_by_prefix = np.ascontiguousarray(bounds.upper[self._capped].T)
        self._upper_weight = bounds.upper_weight[self._capped]
        self._counts = np.zeros(rows, np.int32)
        self._labelled = 0
        everyone = np.ones(rows, bool)
        everyone[[0, bounds.free_row]] = False
        self._windows = [_Window(window, everyone) for window in table.sliding]
        self._picked_rows: list[NDArray[np.int32]] = []

    def add(self, slot: int, bonus: NDArray[np.float64]) -> None:
        """Add this table's part of every candidate's term in `slot`."""
        table = self._table
        worth = self._worth(slot)
        if not worth.any():
            return
        if table.is_partition:
            bonus += worth[table.kinds]
        else:
            bonus += np.bincount(table.owners, weights=worth[table.rows], minlength=len(bonus))

    def commit(self, slot: int, pick: int, fixed: bool) -> None:
        """Count one pick."""
        rows = self._table.rows_of(pick)
        self._picked_rows.append(rows)
        self._counts[rows] += 1
        if not fixed:
            self._earned[rows] += 1
        self._labelled += int(self._table.labelled[pick])
        for window in self._windows:
            window.enter(rows)
            left = slot + 1 - window.bound.window
            if left >= 0:
                window.leave(self._picked_rows[left])

    def _worth(self, slot: int) -> NDArray[np.float64]:
        """What one more item of each row is worth in `slot`: float64 (rows,)."""
        worth = np.zeros(len(self._counts))
        prefix = self._labelled + 1 if self._table.relative else slot + 1
        if len(self._floored):
            worth[self._floored] = self._lower_weight * self._due_now(slot, prefix)
        if len(self._capped):
            full = self._counts[self._capped] >= self._upper_by_prefix[prefix]
            worth[self._capped] -= self._upper_weight * full
        for window in self._windows:
            worth -= window.bound.weight * window.full()
        return worth

    def _due_now(self, slot: int, prefix: int) -> NDArray[np.bool_]:
        """The floored rows of which an item here removes shortfall: those that the first tight prefix owes.

        Tight is a prefix that owes as many items as it has slots left. Any earlier, a later slot could still pay; any
        later, something would be lacking for good.
        """
        last = prefix + self._slots - slot - 1  # the prefix at the end of the slate if everyone from here on counts
        owed = self._lower[:, prefix : last + 1] - self._earned[self._floored][:, None]
        if self._table.relative:
            owed[:, -1] = np.maximum(owed[:, -1], self._due - self._earned[self._floored])
        np.maximum(owed, 0, out=owed)
        tight = owed.sum(axis=0) >= np.arange(1, last - prefix + 2)
        first = int(tight.argmax())
        due: NDArray[np.bool_] = (owed[:, first] > 0) & tight[first]
        return due


class _Window:
    """How many items of each row stand in the window of the next slot. `everyone` bool: the rows that it binds."""

    def __init__(self, bound: WindowBound, everyone: NDArray[np.bool_]) -> None:
        self.bound, self._everyone = bound, everyone
        self._recent = np.zeros(len(everyone), np.int32)

    def enter(self, rows: NDArray[np.int32]) -> None:
        """An item of these rows has been placed."""
        self._recent[rows] += 1

    def leave(self, rows: NDArray[np.int32]) -> None:
        """An item of these rows is too far back to count in the next slot."""
        self._recent[rows] -= 1

    def full(self) -> NDArray[np.bool_]:
        """The rows of which one more item would be one too many."""
        return (self._recent >= self.bound.limit) & self._everyone
