"""All bounded rows of one request side by side, in the layout of `reranker.kernels.series`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.layout import number_kinds, number_memberships, supply_of_kinds
from reranker.policy.blocks import NO_CAP
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable

Ints = NDArray[np.int32]

_CAP_COST = 64  # how much more a unit above a cap costs the search than one below a floor of equal weight
_FALL_COST = 1 << 20  # and an item that falls too far: placement comes before quotas (rule 2)


class Rows:
    """Series of bounds and kinds of candidate.

    `kind` int32 (N,) is each candidate's kind. Rows are numbered over all tables, their row 0 left out; then come rows
    that count labelled items, for tables whose prefixes count no others, and those of items that may not fall further.
    The first series are each row's prefix bound, then windows, one series a row.
    """

    def __init__(self, tables: Sequence[AttributeTable], pool: Pool, item_kinds: bool, max_fall: int) -> None:
        self._tables, self._pool = tables, pool
        self.base = np.cumsum([0, *(len(table.values) - 1 for table in tables)]).astype(np.int32)
        self.count = int(self.base[-1])
        self._more_rows(max_fall)
        self._bounds_of_rows()
        self._windows()
        if pool.fixed:
            self._shift_by_fixed()
        single = [table.code_offsets is None for table in tables]
        codes = np.zeros((sum(single), len(pool)), np.int32)
        for index, table in enumerate(table for table, one in zip(tables, single, strict=True) if one):
            codes[index] = table.codes
        is_fixed = np.zeros(len(pool), bool)
        is_fixed[list(pool.fixed.values())] = True
        start, rows = self._listed_rows()
        base = self.base[:-1][np.array(single, bool)]
        self.kind, kind_start, self._kind_rows = number_kinds(
            codes, base, start, rows, is_fixed, self._first_labelled, item_kinds
        )
        self.sizes = np.diff(kind_start)
        self.kind_start, self.kind_series, self.series_start, self.series_kinds = number_memberships(
            kind_start, self._kind_rows, self._row_start, self._row_series, len(self.row)
        )
        self.avail, self.first_kinds = supply_of_kinds(self.kind, len(self), pool.release, pool.forced)
        self.settled = np.zeros(pool.slots + 1, bool)
        self.settled[1:] = pool.forced >= 0

    def __len__(self) -> int:
        return len(self.sizes)

    def numbered(self, names: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """What each kind carries, in the words of `names`, one a row of the tables."""
        carried: list[list[tuple[int, int]]] = [[] for _ in range(len(self))]
        kinds = np.repeat(np.arange(len(self)), self.sizes)
        for kind, row in zip(kinds.tolist(), self._kind_rows.tolist(), strict=True):
            if row < len(names):
                carried[kind].append(names[row])
        return carried

    def settled_counts(self, members: NDArray[np.intp], keep_top: int) -> Ints:
        """How many items of each of these rows the first `keep_top` slots hold."""
        kinds = self.kind[self._pool.forced[:keep_top]]
        return np.array(
            [np.isin(kinds, self.series_kinds[slice(*self.series_start[s : s + 2])]).sum() for s in members], np.int32
        )

    def peaks(self, by_series: NDArray[np.int32]) -> Ints:
        """The largest of each row's series, for each of its series."""
        peak = np.zeros(self.count, np.int32)
        np.maximum.at(peak, self.row, by_series)
        largest: Ints = peak[self.row]
        return largest

    def _more_rows(self, max_fall: int) -> None:
        """Rows for labelled items, and for each item that has to be on the slate by a certain slot (rule 2)."""
        self._first_labelled = self.count
        self._labelled = {}
        for index, table in enumerate(self._tables):
            if table.relative:
                self._labelled[index] = self.count
                self.count += 1
        self.first_falling = self.count
        self._falling = np.zeros(0, np.intp)
        if max_fall:
            self._falling = np.setdiff1d(np.arange(max(0, self._pool.slots - max_fall)), self._pool.forced)
        self._due = self._falling + 1 + max_fall
        self.count += len(self._falling)

    def _listed_rows(self) -> tuple[Ints, Ints]:
        """By candidate, rows of attributes with several values, of labelled items and of items that may not fall."""
        owners: list[NDArray[np.integer]] = [self._falling]
        rows: list[NDArray[np.integer]] = [self.first_falling + np.arange(len(self._falling))]
        for index, table in enumerate(self._tables):
            if table.code_offsets is not None:
                owners.append(table.owners)
                rows.append(table.rows + (self.base[index] - 1))
            if index in self._labelled:
                labelled = np.flatnonzero(table.labelled)
                owners.append(labelled)
                rows.append(np.full(len(labelled), self._labelled[index]))
        start = np.zeros(len(self._pool) + 1, np.int32)
        if len(rows) == 1 and not len(self._falling):
            return start, np.zeros(0, np.int32)
        owner, row = np.concatenate(owners), np.concatenate(rows)
        np.cumsum(np.bincount(owner, minlength=len(self._pool)), out=start[1:])
        return start, row[np.lexsort((row, owner))].astype(np.int32)

    def _bounds_of_rows(self) -> None:
        slots, tables = self._pool.slots, self._tables
        extra = self.count - int(self.base[-1])
        low = np.zeros((extra, slots + 1), np.int32)
        for row, due in enumerate(self._due.tolist(), start=len(self._labelled)):
            low[row, due:] = 1
        self.low = np.concatenate([*(table.lower[1:] for table in tables), low])
        self.high = np.concatenate(
            [*(table.upper[1:] for table in tables), np.full((extra, slots + 1), NO_CAP, np.int32)]
        )
        ones = np.ones(extra)
        self.low_weight = np.concatenate([*(table.bounds.lower_weight[1:] for table in tables), ones])
        self.high_weight = np.concatenate([*(table.bounds.upper_weight[1:] for table in tables), ones])
        self.low_cost, self.high_cost = _costs(self.low_weight), _CAP_COST * _costs(self.high_weight)
        self.low_cost[self.first_falling :] = _FALL_COST
        sizes = np.diff(self.base)
        self.group = np.concatenate([np.repeat(np.arange(len(tables)), sizes), np.full(extra, -1)]).astype(np.int32)
        self.group[self.first_falling :] = len(tables)
        self.partition = np.array([*(table.is_partition for table in tables), True])
        self.relative, self.due = np.full(self.count, -1, np.int32), np.zeros(self.count, np.int32)
        for index, labelled in self._labelled.items():
            mine = slice(self.base[index], self.base[index + 1])
            self.relative[mine] = self.relative[labelled] = labelled
            self.due[mine] = self._tables[index].bounds.due[1:]
            self.group[mine] = -1

    def _windows(self) -> None:
        """A series more for each row that a sliding window bounds."""
        rows, slots = np.arange(self.count, dtype=np.int32), self._pool.slots
        self.row, self.span = rows, np.full(self.count, slots, np.int32)
        self._row_start, self._row_series = np.arange(self.count + 1, dtype=np.int32), rows
        windows = [
            (np.setdiff1d(np.arange(start, stop), [start + table.bounds.free_row - 1]), window)
            for table, start, stop in zip(self._tables, self.base.tolist(), self.base[1:].tolist(), strict=False)
            for window in table.sliding
        ]
        if not windows:
            return
        bounded = np.concatenate([found for found, _ in windows])
        sizes = [len(found) for found, _ in windows]
        self.row = np.concatenate([rows, bounded]).astype(np.int32)
        self.span = np.concatenate([self.span, np.repeat([w.window for _, w in windows], sizes)]).astype(np.int32)
        limits = np.repeat([window.limit for _, window in windows], sizes).astype(np.int32)
        self.low = np.concatenate([self.low, np.zeros((len(bounded), slots + 1), np.int32)])
        self.high = np.concatenate([self.high, np.repeat(limits[:, None], slots + 1, axis=1)])
        by_row = np.argsort(self.row, kind="stable")
        self._row_series = by_row.astype(np.int32)
        self._row_start = np.searchsorted(self.row[by_row], np.arange(self.count + 1)).astype(np.int32)
        self.low_cost, self.high_cost = self.low_cost[self.row], self.high_cost[self.row]
        self.group = np.concatenate([self.group, np.full(len(bounded), -1, np.int32)])
        self.relative = np.concatenate([self.relative, np.full(len(bounded), -1, np.int32)])
        self.due = np.concatenate([self.due, np.zeros(len(bounded), np.int32)])

    def _shift_by_fixed(self) -> None:
        """Fixed items use up caps and windows where they stand, and count for nothing else."""
        for slot, candidate in self._pool.fixed.items():
            for table, base in zip(self._tables, self.base.tolist(), strict=False):
                for row in (table.rows_of(candidate) + (base - 1)).tolist():
                    for s in np.flatnonzero(self.row == row).tolist():
                        reach = self.high[s, slot + 1 : slot + 1 + int(self.span[s])]
                        reach[reach < NO_CAP] -= 1


def _costs(weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weights as small integers, 1 to 16, for the search alone: deficits are compared by the weights themselves."""
    return np.maximum(1, np.rint(16 * weight / max(float(weight.max(initial=0.0)), 1e-300))).astype(np.int64)
