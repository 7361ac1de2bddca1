"""Bounds on one partition that cannot all hold: keep to the cheapest ways to relax them, while any is left.

Which of the cheapest ways the slate takes is for the utility to decide (rule 5), so a pick is allowed while any of
them is still feasible after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.least import keep_feasible, least_excesses, least_shortfalls, open_kinds_least
from reranker.quotas.budget import Budget
from reranker.quotas.tables import AttributeTable

_STEPS, _WAYS = 4000, 2048  # of the search, at the most


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
    budget: Budget,
) -> Ways | None:
    """All cheapest ways from the state after `keep_top` settled slots with counts `settled`; None beyond the budget.

    The floors are what the settled slots themselves exceed and lack.
    """
    bounds = table.bounds
    rows, prefixes = bounds.lower.shape
    effort = rows * prefixes * prefixes
    if rows * prefixes * effort > 4 * budget.additions:  # looking ahead in every slot would cost more than the search
        return None
    steps = min(_STEPS, budget.additions // effort)
    most_ways = max(1, min(_WAYS, steps))
    excesses = np.empty((most_ways, rows), np.int32)
    count = least_excesses(keep_top, settled, bounds.upper, supply, bounds.upper_weight, excess_floor, steps, excesses)
    if count < 1:
        return None
    best = np.inf
    found: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
    shortfalls, cost = np.empty((most_ways, rows), np.int32), np.zeros(1)
    for excess in excesses[:count]:
        count_of = least_shortfalls(
            keep_top, settled, bounds.lower, bounds.upper, supply, excess, bounds.lower_weight, shortfall_floor,
            best, max(1, steps // count), cost, shortfalls,
        )  # fmt: skip
        if count_of < 0 or len(found) > most_ways:
            return None
        if count_of and cost[0] < best - 1e-9:
            best, found = float(cost[0]), []
        found += [(excess, shortfall) for shortfall in shortfalls[:count_of].copy()]
    return Ways(np.array([way[0] for way in found]), np.array([way[1] for way in found]))


class LeastGate:
    """Opens a kind while some cheapest way is feasible after it."""

    def __init__(self, ways: Ways, table: AttributeTable, supply: NDArray[np.int32], gate: Gate, keep_top: int) -> None:
        self._ways, self._bounds, self._supply, self._gate = ways, table.bounds, supply, gate
        self._keep_top = keep_top
        self._counts = np.zeros(len(table.values), np.int32)
        self._alive = np.ones(len(ways.excesses), bool)

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot."""
        open_kinds_least(
            slot, self._counts, self._bounds.lower, self._bounds.upper, self._supply, self._ways.excesses,
            self._ways.shortfalls, self._alive, self._gate.is_open,
        )  # fmt: skip

    def accept(self, slot: int, pick: int) -> bool:
        """Every open kind can be completed."""
        return True

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick and forget the ways that it rules out."""
        self._counts[self._gate.kind[pick]] += 1
        if slot >= self._keep_top:
            keep_feasible(
                slot + 1, self._counts, self._bounds.lower, self._bounds.upper, self._supply, self._ways.excesses,
                self._ways.shortfalls, self._alive,
            )  # fmt: skip
