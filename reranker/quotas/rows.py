"""Candidates by kind: which bounded rows each kind carries and how many of it may stand where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.layout import number_kinds, number_memberships, supply_of_kinds
from reranker.quotas.pool import Pool
from reranker.quotas.series import Series
from reranker.quotas.tables import AttributeTable

Ints = NDArray[np.int32]


class Rows:
    """The kinds of one request, in the layout of `reranker.kernels.series`; `kind` int32 (N,) is each candidate's."""

    def __init__(self, series: Series, tables: Sequence[AttributeTable], pool: Pool, item_kinds: bool) -> None:
        self._tables, self._pool = tables, pool
        single = [table.code_offsets is None for table in tables]
        codes = np.zeros((sum(single), len(pool)), np.int32)
        for index, table in enumerate(table for table, one in zip(tables, single, strict=True) if one):
            codes[index] = table.codes
        is_fixed = np.zeros(len(pool), bool)
        if pool.fixed:
            is_fixed[list(pool.fixed.values())] = True
        start, rows = self._listed_rows(series)
        base = series.base[:-1] if all(single) else series.base[:-1][np.array(single, bool)]
        self.kind, kind_start, self._kind_rows = number_kinds(
            codes, base, start, rows, is_fixed, series.first_labelled, item_kinds
        )
        self.sizes = np.diff(kind_start)
        self.kind_start, self.kind_series, self.series_start, self.series_kinds = number_memberships(
            kind_start, self._kind_rows, series.row_start, series.row_series, len(series.row)
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
        counts = np.zeros(len(self.series_start) - 1, np.int32)
        for kind in self.kind[self._pool.forced[:keep_top]].tolist():
            counts[self.kind_series[slice(*self.kind_start[kind : kind + 2])]] += 1
        return counts[members]

    def _listed_rows(self, series: Series) -> tuple[Ints, Ints]:
        """By candidate, rows of attributes with several values, of labelled items and of items that may not fall."""
        owners: list[NDArray[np.integer]] = [series.falling]
        rows: list[NDArray[np.integer]] = [series.first_falling + np.arange(len(series.falling))]
        for at, (index, cap) in enumerate(series.apart, start=series.first_falling + len(series.falling)):
            members = self._tables[index].members(cap)
            owners.append(members)
            rows.append(np.full(len(members), at))
        for index, table in enumerate(self._tables):
            if table.code_offsets is not None:
                owners.append(table.owners)
                rows.append(table.rows + (series.base[index] - 1))
            if index in series.labelled:
                labelled = np.flatnonzero(table.labelled)
                owners.append(labelled)
                rows.append(np.full(len(labelled), series.labelled[index]))
        start = np.zeros(len(self._pool) + 1, np.int32)
        if not any(len(each) for each in owners):
            return start, np.zeros(0, np.int32)
        owner, row = np.concatenate(owners), np.concatenate(rows)
        np.cumsum(np.bincount(owner, minlength=len(self._pool)), out=start[1:])
        return start, row[np.lexsort((row, owner))].astype(np.int32)
