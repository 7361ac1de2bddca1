"""Soft quotas: what a candidate's utility gains by the shortfall it removes and loses by excess it adds (rule 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.quotas.tables import AttributeTable


class SoftQuotas:
    """Soft bounds over the slate as it grows."""

    def __init__(self, tables: Sequence[AttributeTable], count: int, slots: int) -> None:
        self._count = count
        self._tables = [_SoftTable(table, slots) for table in tables]

    def bonus(self, slot: int) -> NDArray[np.float64]:
        """The additive term of every candidate in `slot` (from 0): float64 (N,). O(N x tables)."""
        bonus = np.zeros(self._count)
        for table in self._tables:
            table.add(slot, bonus)
        return bonus

    def commit(self, slot: int, pick: int, fixed: bool) -> None:
        """Count the slot's pick; a fixed item counts for caps and windows and never for floors."""
        for table in self._tables:
            table.commit(slot, pick, fixed)


class _SoftTable:
    """The soft bounds on one attribute or intersection."""

    def __init__(self, table: AttributeTable, slots: int) -> None:
        self._table = table
        self._lower = table.lower.copy()
        if table.relative:
            self._lower[:, -1] = np.maximum(self._lower[:, -1], table.bounds.due)
        self._earned, self._counts = np.zeros(len(table.values), np.int32), np.zeros(len(table.values), np.int32)
        self._labelled = 0
        self._windows = [(window, np.zeros(len(table.values), np.int32)) for window in table.sliding]
        self._rows_at: list[NDArray[np.int32]] = [np.zeros(0, np.int32)] * slots

    def add(self, slot: int, bonus: NDArray[np.float64]) -> None:
        """Add this table's part."""
        table = self._table
        prefix = self._labelled + 1 if table.relative else slot + 1
        worth = np.where(self._due_now(prefix), table.bounds.lower_weight, 0.0)
        worth -= np.where(self._counts + 1 > table.upper[:, prefix], table.bounds.upper_weight, 0.0)
        for window, recent in self._windows:
            leaving = slot - window.window
            if leaving >= 0:
                recent[self._rows_at[leaving]] -= 1
            full = recent >= window.limit
            full[[0, table.bounds.free_row]] = False
            worth -= window.weight * full
        worth[0] = 0.0
        if table.code_offsets is None:
            bonus += worth[table.kinds]
        else:
            bonus += np.bincount(table.owners, weights=worth[table.rows], minlength=len(bonus))

    def _due_now(self, prefix: int) -> NDArray[np.bool_]:
        """The rows of which an item here removes shortfall: those owed by the first prefix that has no slot to spare.

        Any earlier, a later slot could still pay; any later, something would be lacking for good.
        """
        owed = np.maximum(self._lower[:, prefix:] - self._earned[:, None], 0)
        tight = np.flatnonzero(owed.sum(axis=0) >= np.arange(1, owed.shape[1] + 1))
        due: NDArray[np.bool_] = owed[:, tight[0]] > 0 if len(tight) else np.zeros(len(owed), bool)
        return due

    def commit(self, slot: int, pick: int, fixed: bool) -> None:
        """Count one pick."""
        rows = self._table.rows_of(pick)
        self._rows_at[slot] = rows
        self._counts[rows] += 1
        if not fixed:
            self._earned[rows] += 1
        self._labelled += int(self._table.labelled[pick])
        for _, recent in self._windows:
            recent[rows] += 1
