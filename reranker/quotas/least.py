"""Bounds on one partition that cannot all hold: the least deficit, kept within reach pick by pick.

Which of the cheapest ways to break bounds a slate takes is for the utility to decide (rule 5), so a pick is allowed
while any of them is left after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.deficit import Table
from reranker.kernels.gate import Gate
from reranker.kernels.least import FOUND, UNKNOWN, least_cost, open_kinds_least, take_kind
from reranker.policy.blocks import NO_CAP
from reranker.quotas.budget import Budget
from reranker.quotas.tables import Bounds

Ints = NDArray[np.int32]

_MILLIONTHS = 1_000_000  # weights are compared as whole numbers of them
_NODES = 5_000  # of all searches of a request, at the most
_A_NODE = 16  # times rows x slots, in additions


class LeastGate:
    """Opens a kind while the least deficit is within reach after it.

    `exact` turns False when a search runs out of its budget: what is kept to then is a deficit that can be reached, and
    a pick that may have been legal was refused. `proven` says that no slate keeps every bound. Long tables are looked
    at pick by pick (`lazy`), and kinds that cost more than is left at once are all that is shut before.
    """

    def __init__(
        self, bounds: Bounds, supply: Ints, pinned: Ints, gate: Gate, keep_top: int, budget: Budget, lazy: bool
    ) -> None:
        self._gate, self._keep_top, self._lazy = gate, keep_top, lazy
        self._table = least_table(bounds, supply)
        rows, prefixes = supply.shape
        self._nodes = np.array([min(_NODES, budget.additions // (_A_NODE * rows * prefixes))], np.int64)
        tight = self._table.tight[:, : keep_top + 1]
        # Counts of each kind, and the peaks of excess and shortfall, so far.
        self._state = (
            np.ascontiguousarray(pinned[:, -1]),
            np.maximum(pinned - tight, 0).max(axis=1).astype(np.int32),
            np.maximum(self._table.lower[:, : keep_top + 1] - pinned, 0).max(axis=1).astype(np.int32),
        )
        self._way = (np.zeros(rows, np.int32), np.zeros(rows, np.int32))
        self._cost = np.zeros(2, np.int64)
        self.exact = bool(least_cost(keep_top, *self._state, self._table, self._nodes, self._cost, *self._way))
        self.proven = self.exact and bool(self._cost.any())
        self._alike = np.zeros(0, np.int32) if lazy else _alike(self._table, self._cost)
        self._after = (self._state, self._way)

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot, as far as is looked at before a pick."""
        if self._lazy:
            self._sift(slot)
            return
        undecided = open_kinds_least(
            slot, *self._state, self._table, self._cost, self._nodes, *self._way, self._alike, self._gate.is_open
        )
        self.exact = self.exact and not undecided

    def accept(self, slot: int, pick: int) -> bool:
        """Whether the least deficit is within reach after this pick."""
        if not self._lazy:
            return True
        answer = self._take(slot, pick)
        self.exact = self.exact and answer != UNKNOWN
        return answer == FOUND

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick, and go on by the way that was found from there."""
        if slot < self._keep_top:
            return
        if not self._lazy:
            self.exact = self._take(slot, pick) == FOUND and self.exact
        self._state, self._way = self._after

    def _take(self, slot: int, pick: int) -> int:
        counts, excess, short = (each.copy() for each in self._state)
        way, way_short = (each.copy() for each in self._way)
        kind = int(self._gate.kind[pick])
        self._after = ((counts, excess, short), (way, way_short))
        return int(take_kind(slot, kind, counts, excess, short, self._table, self._cost, self._nodes, way, way_short))

    def _sift(self, slot: int) -> None:
        """Shut kinds that nobody is left of, and those after which more is broken already than the slate may cost."""
        table, (counts, excess, short) = self._table, self._state
        more = np.maximum(counts + 1 - table.tight[:, slot + 1] - excess, 0)
        over = table.high_cost @ excess + table.high_cost * more
        owed = np.maximum(table.lower[:, slot + 1] - counts - short, 0)
        under = table.low_cost @ (short + owed) - table.low_cost * (owed > 0)
        there = counts < table.supply[:, slot + 1]
        self._gate.is_open[:] = there & (over <= self._cost[0]) & (under <= self._cost[1])


def least_table(bounds: Bounds, supply: Ints) -> Table:
    """The bounds of one attribute as `kernels/deficit.py` takes them. O(rows x slots)."""
    lower = np.array(bounds.lower, np.int32)
    tight = np.minimum.accumulate(bounds.upper[:, ::-1], axis=1)[:, ::-1].astype(np.int32)
    reach = np.empty((3, *lower.shape), np.int32)
    reach[0] = np.where(tight < NO_CAP, supply - tight, 0)
    reach[1] = np.maximum.accumulate(reach[0][:, ::-1], axis=1)[:, ::-1]
    reach[2] = np.maximum.accumulate(reach[0], axis=1)
    useful = np.maximum(reach[:, :, 1:], 0)
    is_down, is_up = (bool((useful[0] == useful[layer]).all()) for layer in (1, 2))
    floored = np.flatnonzero(lower[:, -1])
    by_weight = np.argsort(-bounds.lower_weight[floored], kind="stable")
    return Table(
        lower=lower,
        tight=np.ascontiguousarray(tight),
        supply=supply,
        reach=reach,
        low_cost=in_millionths(bounds.lower_weight),
        high_cost=in_millionths(bounds.upper_weight),
        lacks=np.maximum((lower - supply)[:, 1:].max(axis=1), 0).astype(np.int32),
        clash=np.maximum((lower - tight)[:, 1:].max(axis=1), 0).astype(np.int32),
        dearest=floored[by_weight].astype(np.int32),
        closures=np.array([False, is_down or not is_up, not is_down], bool),
    )


def in_millionths(weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weights as whole numbers, so that equal deficits are equal."""
    return np.where(weight > 0, np.maximum(np.rint(weight * _MILLIONTHS), 1), 0).astype(np.int64)


def _alike(table: Table, cost: NDArray[np.int64]) -> Ints:
    """A number for each row, equal for rows of which the table says the same, as far as slates of this cost can tell.

    More of a kind than there are slots, or than its cap and all excess would let in, is as good as any number.
    """
    most = np.where(table.high_cost > 0, cost[0] // np.maximum(table.high_cost, 1), 0)
    capped = np.minimum(table.tight.astype(np.int64) + most[:, None], np.arange(table.tight.shape[1]))
    supply = np.minimum(table.supply, capped).astype(np.int32)
    weights = np.stack([table.low_cost, table.high_cost], axis=1).view(np.int32)
    rows = np.concatenate([table.lower, table.tight, supply, weights], axis=1)
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in rows], np.int32)
