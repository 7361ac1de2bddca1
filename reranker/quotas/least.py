"""Bounds on one partition that cannot all hold: keep to the cheapest ways to relax them, while any is left.

Which of the cheapest ways the slate takes is for the utility to decide (rule 5), so a pick is allowed while any of
them is still feasible after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.least import least_excesses, least_shortfalls, open_kinds_least
from reranker.quotas.tables import AttributeTable

_STEPS = 4000  # of the search, a few microseconds each: what a request can afford
_WAYS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Every cheapest relaxation: peak excess and peak shortfall by row, int32 (ways, rows) each."""

    excesses: NDArray[np.int32]
    shortfalls: NDArray[np.int32]


def least_ways(
    table: AttributeTable,
    supply: NDArray[np.int32],
    settled: NDArray[np.int32],
    keep_top: int,
    excess_floor: NDArray[np.int32],
    shortfall_floor: NDArray[np.int32],
) -> Ways | None:
    """All cheapest ways from the state after `keep_top` settled slots with counts `settled`; None beyond the budget.

    The floors are what the settled slots themselves exceed and lack.
    """
    bounds = table.bounds
    excesses = np.empty((_WAYS, len(settled)), np.int32)
    count = least_excesses(keep_top, settled, bounds.upper, supply, bounds.upper_weight, excess_floor, _STEPS, excesses)
    if count < 1:
        return None
    best = np.inf
    found: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
    shortfalls, cost = np.empty((_WAYS, len(settled)), np.int32), np.zeros(1)
    for excess in excesses[:count]:
        rows = least_shortfalls(
            keep_top, settled, bounds.lower, bounds.upper, supply, excess, bounds.lower_weight, shortfall_floor,
            best, _STEPS // count, cost, shortfalls,
        )  # fmt: skip
        if rows < 0 or len(found) > _WAYS:
            return None
        if rows and cost[0] < best - 1e-9:
            best, found = float(cost[0]), []
        found += [(excess, shortfall) for shortfall in shortfalls[:rows].copy()]
    return Ways(np.array([way[0] for way in found]), np.array([way[1] for way in found]))


class LeastGate:
    """Opens a kind while some cheapest way is feasible after it."""

    def __init__(self, ways: Ways, table: AttributeTable, supply: NDArray[np.int32], gate: Gate) -> None:
        self._ways, self._bounds, self._supply, self._gate = ways, table.bounds, supply, gate
        rows = len(table.values)
        self._counts = np.zeros(rows, np.int32)
        self._alive = np.ones((len(ways.excesses), 1 + rows), bool)

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        if self._gate.forced[slot] >= 0:
            return
        open_kinds_least(
            slot, self._counts, self._bounds.lower, self._bounds.upper, self._supply, self._ways.excesses,
            self._ways.shortfalls, self._alive, self._gate.is_open,
        )  # fmt: skip

    def commit(self, slot: int) -> None:
        """Count the slot's pick and forget the ways that it rules out."""
        kind = self._gate.kind[self._gate.picks[slot]]
        self._counts[kind] += 1
        if self._gate.forced[slot] < 0:
            self._alive[:, 0] = self._alive[:, 1 + kind]
