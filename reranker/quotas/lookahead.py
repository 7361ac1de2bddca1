"""Quotas beyond one partition: kinds of candidate over all bounded attributes, driven slot by slot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate, least_shortfall
from reranker.kernels.lookahead import open_kinds_ahead
from reranker.quotas.partition import affordable, pinned_counts, plan_partition
from reranker.quotas.tables import AttributeTable, Pool


class Kinds:
    """Distinct sets of bounded values that candidates carry, over all attributes.

    `of` int32 (N,) is each candidate's kind; `rows[offsets[q]:offsets[q + 1]]` are the rows of kind q, numbered over
    all attributes with row 0 of each left out.
    """

    def __init__(self, tables: Sequence[AttributeTable]) -> None:
        count = len(tables[0].labelled)
        codes = np.zeros((count, len(tables)), np.int64)
        row_sets: list[list[tuple[int, ...]]] = []
        base = 0
        for column, table in enumerate(tables):
            codes[:, column], sets = _row_sets(table, base)
            row_sets.append(sets)
            base += len(table.values) - 1
        distinct, kind_of = np.unique(codes, axis=0, return_inverse=True)
        self.of = kind_of.reshape(-1).astype(np.int32)
        rows = [
            [row for sets, code in zip(row_sets, line, strict=True) for row in sets[code]] for line in distinct.tolist()
        ]
        self.rows = np.array([row for line in rows for row in line], np.int32)
        self.offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum([len(line) for line in rows], out=self.offsets[1:])

    def __len__(self) -> int:
        return len(self.offsets) - 1


def _row_sets(table: AttributeTable, base: int) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """A number for each candidate's set of rows in one attribute, and the sets; rows are shifted by `base`."""
    if table.is_partition:
        return table.kinds.astype(np.int64), [(), *((base + row,) for row in range(len(table.values) - 1))]
    number: dict[tuple[int, ...], int] = {}
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    rows = (table.rows + (base - 1)).tolist()
    codes = [number.setdefault(tuple(sorted(rows[start:stop])), len(number)) for start, stop in bounds]
    return np.array(codes, np.int64), list(number)


class LookaheadGate:
    """Drives `open_kinds_ahead`: bounds are first eased by what supply, guard and crowding make unavoidable."""

    def __init__(self, tables: Sequence[AttributeTable], pool: Pool, kinds: Kinds, gate: Gate) -> None:
        self._gate, self._kinds, self._pool = gate, kinds, pool
        eased = [_eased(table, pool) for table in tables]
        self._lower = np.concatenate([lower[1:] for lower, _ in eased])
        self._upper = np.concatenate([upper[1:] for _, upper in eased])
        self._attribute = np.repeat(np.arange(len(tables), dtype=np.int32), [len(t.values) - 1 for t in tables])
        self._partition = np.array([table.is_partition for table in tables])
        self._lower_weight = np.concatenate([table.bounds.lower_weight[1:] for table in tables])
        self._upper_weight = np.concatenate([table.bounds.upper_weight[1:] for table in tables])
        windows = [(index, w.limit, w.window) for index, table in enumerate(tables) for w in table.sliding]
        self._windows = np.array(windows, np.int32).reshape(-1, 3)
        self._owing = np.flatnonzero(self._lower.any(axis=1)).astype(np.int32)
        self._counts = np.zeros(len(self._lower), np.int32)
        self._left = np.zeros(len(kinds), np.int32)
        self._arrivals: list[list[int]] = [[] for _ in range(pool.slots + 1)]
        waiting = pool.release <= 1
        np.add.at(self._left, kinds.of[waiting], 1)
        for index in np.flatnonzero(~waiting & (pool.release <= pool.slots)).tolist():
            self._arrivals[pool.release[index]].append(index)

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        for index in self._arrivals[slot + 1]:
            if not self._gate.taken[index]:
                self._left[self._kinds.of[index]] += 1
        if self._gate.forced[slot] >= 0:
            return
        open_kinds_ahead(
            slot, self._kinds.rows, self._kinds.offsets, self._left, self._attribute, self._partition, self._owing,
            self._lower, self._upper, self._lower_weight, self._upper_weight, self._windows, self._counts,
            self._kinds.of, self._gate.picks, self._gate.is_open, )  # fmt: skip

    def commit(self, slot: int) -> None:
        """Count the slot's pick."""
        pick = self._gate.picks[slot]
        kind = self._kinds.of[pick]
        self._counts[self._kinds.rows[self._kinds.offsets[kind] : self._kinds.offsets[kind + 1]]] += 1
        self._left[kind] -= 1


def _eased(table: AttributeTable, pool: Pool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The table's bounds with lower ones reduced by each row's unavoidable shortfall."""
    if not table.is_partition or not affordable(table, pool):
        supply = table.supply(pool.release)
        prefixes = np.arange(pool.slots + 1, dtype=np.int32)
        reach = np.minimum(np.minimum(table.upper, supply), prefixes)
        shortfall = np.maximum(table.lower - reach, 0).max(axis=1).astype(np.int32)
    else:
        plan = plan_partition(table, pool)
        shortfall = plan.shortfall
        if plan.crowded:
            shortfall = np.empty_like(plan.shortfall)
            by_weight = np.argsort(-table.bounds.lower_weight, kind="stable").astype(np.int32)
            settled = pinned_counts(table.kinds, len(table.values), pool.keep_top)[:, -1].copy()
            weights = (plan.shortfall, table.bounds.lower_weight, by_weight)
            least_shortfall(pool.keep_top, settled, plan.lower, plan.upper, *weights, shortfall)
    return np.maximum(table.lower - shortfall[:, None], 0).astype(np.int32), table.upper
