"""Exact quotas on one attribute that partitions the candidates, where only its own supply makes a bound give way.

Bounds with supply, guard and settled slots are unit-job scheduling (`reranker/kernels/gate.py`). When they can hold
together, but for what each must lack by itself, one look-ahead a slot keeps them; else `quotas/least.py` takes over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate, open_kinds_now, plan_bounds
from reranker.quotas.budget import Budget
from reranker.quotas.pool import Pool
from reranker.quotas.same import ALL
from reranker.quotas.tables import AttributeTable


@dataclass(slots=True, eq=False)
class PartitionPlan:
    """What the bounds come down to on this list.

    `upper` (rows, slots + 1) is cap plus what settled items exceed, limited by `supply`; `shortfall` what each row must
    lack in every slate, `lacking` whether any must. `conflicts`: what is left of the bounds cannot hold together.
    """

    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    supply: NDArray[np.int32]
    shortfall: NDArray[np.int32]
    lacking: bool
    conflicts: bool

    def eased_lower(self) -> NDArray[np.int32]:
        """Lower bounds less what no slate can avoid lacking."""
        if not self.lacking:
            return self.lower
        eased: NDArray[np.int32] = np.maximum(self.lower - self.shortfall[:, None], 0).astype(np.int32)
        return eased


def affordable(table: AttributeTable, pool: Pool, budget: Budget, relaxed: bool = False) -> bool:
    """Whether one exact check of the bounds stays within the budget; or, `relaxed`, keeping to their least deficit.

    A check is O(rows x slots), and O(floors x slots^2) when caps or a guard let the supply of rows with floors grow.
    The least deficit takes O(rows x slots) a slot where there are floors.
    """
    rows = len(table.lower)
    prefixes: int = table.lower.shape[1]
    floors = table.bounds.floors
    grows = table.bounds.has_caps or not (ALL.lent(pool.passes) or pool.passes.all())
    if relaxed and floors:
        return rows * prefixes * prefixes <= budget.additions
    return max(rows * prefixes, floors * prefixes * (prefixes if grows else 1)) <= budget.additions


def plan_partition(table: AttributeTable, pool: Pool) -> PartitionPlan:
    """Each row's unavoidable excess and shortfall, and whether the rest can hold. As costly as `affordable` says."""
    shape = table.lower.shape
    excess = np.zeros(shape[0], np.int32)
    supply, upper = np.empty(shape, np.int32), np.empty(shape, np.int32)
    shortfall = np.empty(shape[0], np.int32)
    inputs = (table.kinds, pool.release, pool.keep_top, table.lower, table.upper)
    unfilled, conflict, _ = plan_bounds(*inputs, excess, supply, upper, shortfall).tolist()
    return PartitionPlan(table.lower, upper, supply, shortfall, any(shortfall.tolist()), bool(unfilled or conflict))


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
