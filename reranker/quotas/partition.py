"""Exact quotas on one attribute that partitions the candidates: least deficit, then one look-ahead a slot.

Bounds with supply, guard and settled slots are unit-job scheduling (`reranker/kernels/gate.py`). Relaxing row v by a
peak shortfall s_v and a peak excess e_v turns its bounds into L_v - s_v and U_v + e_v, so the least deficit (rule 5)
is the cheapest (e, s) under which every bound can hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate, least_shortfall, open_kinds_crowded, open_kinds_now, plan_bounds
from reranker.quotas.budget import Budget
from reranker.quotas.least import Ways, least_ways
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable


@dataclass(frozen=True, slots=True, eq=False)
class PartitionPlan:
    """What the bounds come down to on this list.

    `upper` (rows, slots + 1) is cap plus unavoidable excess, limited by `supply`; `shortfall` what each row must lack
    in every slate; `crowded` whether lower bounds still compete for slots. `ways` lists the cheapest relaxations
    where there may be several; None where there is one, or too many to list, and then `exact` is False.
    """

    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    supply: NDArray[np.int32]
    shortfall: NDArray[np.int32]
    crowded: bool
    ways: Ways | None
    exact: bool

    def eased_lower(self) -> NDArray[np.int32]:
        """Lower bounds less what no slate can avoid lacking."""
        if not self.shortfall.any():
            return self.lower
        eased: NDArray[np.int32] = np.maximum(self.lower - self.shortfall[:, None], 0).astype(np.int32)
        return eased


def affordable(table: AttributeTable, pool: Pool, budget: Budget, looks: int = 1) -> bool:
    """Whether `looks` exact checks of the bounds stay within the budget.

    One check is O(rows x slots), and O(rows x slots^2) when caps or a guard let supply grow from slot to slot.
    """
    rows, prefixes = table.lower.shape
    looked_at = looks * rows * prefixes
    if looked_at * prefixes <= budget.additions:
        return True
    return not table.bounds.has_caps and looked_at <= budget.additions and bool(pool.passes.all())


def plan_partition(table: AttributeTable, pool: Pool, budget: Budget) -> PartitionPlan:
    """Least excess, then each row's unavoidable shortfall. O(N + rows x slots), more with a guard or caps."""
    shape = table.lower.shape
    excess = np.zeros(shape[0], np.int32)
    supply, upper = np.empty(shape, np.int32), np.empty(shape, np.int32)
    shortfall = np.empty(shape[0], np.int32)
    inputs = (table.kinds, pool.release, pool.keep_top, table.lower, table.upper)
    unfilled, conflict, _ = plan_bounds(*inputs, excess, supply, upper, shortfall).tolist()
    ways, exact = None, True
    if unfilled or (conflict and table.bounds.has_caps):
        ways = _ways(table, pool, supply, excess, budget)
        exact = ways is not None
    return PartitionPlan(table.lower, upper, supply, shortfall, conflict > 0, ways, exact)


def _ways(
    table: AttributeTable, pool: Pool, supply: NDArray[np.int32], excess: NDArray[np.int32], budget: Budget
) -> Ways | None:
    pinned = pinned_counts(table.kinds, len(table.values), pool.keep_top)
    lacking = np.maximum(table.lower[:, : pool.keep_top + 1] - pinned, 0).max(axis=1).astype(np.int32)
    return least_ways(table, supply, pinned[:, -1].copy(), pool.keep_top, excess.copy(), lacking, budget)


def pinned_counts(kinds: NDArray[np.int32], rows: int, keep_top: int) -> NDArray[np.int32]:
    """How many of each row stand in the first t settled slots: int32 (rows, keep_top + 1)."""
    counts = np.zeros((rows, keep_top + 1), np.int32)
    counts[kinds[:keep_top], np.arange(1, keep_top + 1)] = 1
    return np.cumsum(counts, axis=1, dtype=np.int32)


class PartitionGate:
    """Drives the exact look-ahead from outside a strategy's loop, slot by slot; for explanations."""

    def __init__(self, plan: PartitionPlan, gate: Gate) -> None:
        self._lower, self._upper, self._gate = plan.eased_lower(), plan.upper, gate
        self._counts = np.zeros(len(plan.shortfall), np.int32)

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        open_kinds_now(slot, self._lower, self._upper, self._counts, self._gate.is_open)

    def accept(self, slot: int, pick: int) -> bool:
        """Every open kind can be completed."""
        return True

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick."""
        self._counts[self._gate.kind[pick]] += 1


class CrowdedGate:
    """Lower bounds that compete for slots: a kind is open if the least weighted shortfall stays in reach (rule 5)."""

    def __init__(self, plan: PartitionPlan, table: AttributeTable, gate: Gate, keep_top: int) -> None:
        self._plan, self._weight, self._gate = plan, table.bounds.lower_weight, gate
        self._by_weight = np.argsort(-table.bounds.lower_weight, kind="stable").astype(np.int32)
        self._counts = np.zeros(len(plan.shortfall), np.int32)
        self._incurred = plan.shortfall.copy()
        self._alike = _alike(plan, table.bounds.lower_weight)
        after_pins = pinned_counts(table.kinds, len(plan.shortfall), keep_top)[:, -1].copy()
        scratch = np.empty(len(plan.shortfall), np.int32)
        self._budget = least_shortfall(
            keep_top, after_pins, plan.lower, plan.upper, plan.shortfall, self._weight, self._by_weight, scratch
        )

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        open_kinds_crowded(
            slot, self._counts, self._plan.lower, self._plan.upper, self._incurred, self._weight, self._by_weight,
            self._budget, self._alike, self._gate.is_open,
        )  # fmt: skip

    def accept(self, slot: int, pick: int) -> bool:
        """Every open kind can be completed."""
        return True

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick and what is owed after it."""
        self._counts[self._gate.kind[pick]] += 1
        np.maximum(self._incurred, self._plan.lower[:, slot + 1] - self._counts, out=self._incurred)


def _alike(plan: PartitionPlan, weight: NDArray[np.float64]) -> NDArray[np.int32]:
    """A number for each row, equal for rows whose bounds, supply and weight are equal."""
    number: dict[tuple[bytes, bytes, float], int] = {}
    rows = zip(plan.lower, plan.upper, weight.tolist(), strict=True)
    signatures = [(lower.tobytes(), upper.tobytes(), weighs) for lower, upper, weighs in rows]
    return np.array([number.setdefault(signature, len(number)) for signature in signatures], np.int32)
