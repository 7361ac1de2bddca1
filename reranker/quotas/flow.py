"""Exact quotas on two attributes that each partition the candidates, when all their bounds end at one prefix.

The guard asks nothing more of a flow than supply: who fails it may stand from its upstream rank on, and ranks differ,
so of the items chosen for slots up to t at most t - s + 1 have a rank in s..t. By Hall's condition they fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reranker.kernels.flow import least_flow, open_cells, take_from_cell
from reranker.kernels.gate import Gate
from reranker.policy.blocks import NO_CAP
from reranker.quotas.budget import Budget
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable


def one_span(tables: Sequence[AttributeTable], pool: Pool, budget: Budget) -> int | None:
    """The prefix at which all bounds of two partitions end; None where there is none, or where it costs too much.

    A floor that stays is met when it is met there, as counts never fall; a cap that is the same up to there likewise.
    """
    if any(not table.is_partition or table.sliding or table.relative for table in tables):
        return None
    prefixes = {prefix for table in tables for prefix in _prefixes(table)}
    if len(prefixes) != 1 or 0 in prefixes:
        return None
    rows, columns = (len(table.values) for table in tables)
    if 2 * (rows + columns + 2) ** 3 * pool.slots > budget.additions:
        return None
    return prefixes.pop()


def _prefixes(table: AttributeTable) -> set[int]:
    """The prefixes to which bounds come down; 0 for a bound that changes from prefix to prefix."""
    found = set()
    slots = table.lower.shape[1] - 1
    for row in range(1, len(table.values)):
        lower, upper = table.lower[row], table.upper[row]
        if lower[slots] > 0:
            first = int(np.argmax(lower > 0))
            found.add(first if lower[first] == lower[slots] else 0)
        capped = np.flatnonzero(upper < NO_CAP)
        if len(capped):
            last = int(capped[-1])
            found.add(last if (upper[1 : last + 1] == upper[last]).all() else 0)
    return found


class FlowGate:
    """Opens the cells from which some cheapest completion takes its next item. Cell (a, b) is a x columns + b."""

    def __init__(self, tables: Sequence[AttributeTable], pool: Pool, span: int) -> None:
        rows, columns = (len(table.values) for table in tables)
        self.kinds = rows * columns
        self.kind = (tables[0].kinds * columns + tables[1].kinds).astype(np.int32)
        self._span, self._keep_top, self._columns = span, pool.keep_top, columns
        settled = min(pool.keep_top, span)
        standing = pool.release <= span
        standing[: pool.keep_top] = False
        self._room = np.bincount(self.kind[standing], minlength=self.kinds).reshape(rows, columns).astype(np.int32)
        earlier = [np.bincount(table.kinds[:settled], minlength=len(table.values)).astype(np.int32) for table in tables]
        bounds = [np.stack([table.lower[:, span], table.upper[:, span]], axis=1) for table in tables]
        weights = [np.stack([table.bounds.lower_weight, table.bounds.upper_weight], axis=1) for table in tables]
        self._counts = earlier
        arrays = (np.ascontiguousarray(array) for array in (*bounds, *weights))
        self._table: tuple[Any, ...] = (self._room, *earlier, *arrays)
        self._flow = np.zeros((rows, columns), np.int32)
        price = np.zeros(2)
        least_flow(span - settled, *(*self._table, self._flow, price))
        self.pair = (float(price[0]), float(price[1]))

    def attach(self, gate: Gate) -> None:
        """The gate that this one opens."""
        self._gate = gate

    def open(self, slot: int) -> None:
        """Write which cells may stand in the slot; beyond the bounds' prefix all may."""
        if slot < self._span:
            open_cells(*(*self._table, self._flow, self._gate.is_open))
        else:
            self._gate.is_open[:] = True

    def accept(self, slot: int, pick: int) -> bool:
        """Every open cell can be completed."""
        return True

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick; settled ones are counted from the start."""
        if self._keep_top <= slot < self._span:
            a, b = divmod(int(self.kind[pick]), self._columns)
            take_from_cell(a, b, *(*self._table, self._flow))
            self._room[a, b] -= 1
            self._counts[0][a] += 1
            self._counts[1][b] += 1
