"""Any strategy on a slate that goes on from items shown before: they are forced into slots ahead of it.

The strategy sees them as picks, so that they repel, cover and count as its own would; everybody else sees the slate
alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.policy.blocks import NO_CAP
from reranker.strategies.base import Problem, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable


class ContinuedStrategy(Strategy):
    """`make` builds a strategy for `problem`, whose first `seen` candidates were shown before; `gate` has the rest."""

    def __init__(self, make: Callable[[Problem, Gate], Strategy], problem: Problem, gate: Gate) -> None:
        self._seen = problem.seen
        self.problem = replace(
            problem, relevance=problem.relevance[self._seen :], order=problem.order[self._seen :], seen=0
        )
        self.gate, self.bonus = gate, None
        self._wide = _with_earlier(gate, self._seen)
        self._inner = make(problem, self._wide)
        self.drawn, self.otherwise = self._inner.drawn, self._inner.otherwise
        self._started = False

    @property
    def work(self) -> int:
        """Multiply-adds of one slot, at most: how far apart looks at a deadline may be."""
        return self._inner.work

    @property
    def reach(self) -> int:
        """How many of the last picks, and then of the items shown before, a candidate is compared with."""
        return self._inner.reach

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`, for a sentence about that item; empty when it does not."""
        return self._inner.reason(self._seen + slot)

    def select(self, first: int, last: int) -> None:
        """Fill slots first..last-1 of the gate's picks and gains; a pick of -1 means that no candidate was open."""
        seen, wide, gate = self._seen, self._wide, self.gate
        if not self._started:
            self._inner.select(0, seen)
            self._started = True
        wide.release[seen:] = np.minimum(gate.release, np.iinfo(np.int32).max - seen) + seen
        wide.forced[seen:] = np.where(gate.forced >= 0, gate.forced + seen, -1)
        wide.is_open[: len(gate.is_open)] = gate.is_open
        wide.taken[seen:] = gate.taken
        self._inner.select(seen + first, seen + last)
        picks = wide.picks[seen + first : seen + last]
        gate.picks[first:last] = np.where(picks >= 0, picks - seen, -1)
        gate.gains[first:last] = wide.gains[seen + first : seen + last]
        gate.is_open[:] = wide.is_open[: len(gate.is_open)]
        gate.taken[:] = wide.taken[seen:]
        gate.counts[:] = wide.counts[: len(gate.counts)]

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`, the last one made."""
        self._inner.retract(self._seen + slot)
        super().retract(slot)

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` (float64, N, upstream order) to every utility in the slots to come, until the next call."""
        if not self._started:
            self._inner.select(0, self._seen)
            self._started = True
        self.bonus = bonus
        self._wide.taken[self._seen :] = self.gate.taken
        self._inner.adjust(np.concatenate([np.zeros(self._seen), bonus]))

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility given the first `slot` picks."""
        if not self._started:
            self._inner.select(0, self._seen)
            self._started = True
        relevance, diversity = self._inner.parts(self._seen + slot)
        return relevance[self._seen :], diversity[self._seen :]

    def exhausted(self, diversity_part: float) -> bool:
        """True when diversity can no longer tell this candidate apart."""
        return self._inner.exhausted(diversity_part)

    def _state(self) -> tuple[object, ...]:
        return ()  # the strategy inside has it


def _with_earlier(gate: Gate, seen: int) -> Gate:
    """The gate with `seen` slots in front, settled for as many candidates of a kind of their own."""
    kinds = len(gate.counts)
    slots, count = len(gate.picks), len(gate.kind)

    def wider(bounds: NDArray[np.int32], free: int) -> NDArray[np.int32]:
        if not gate.bounded:
            return np.zeros((kinds + 1, 0), np.int32)
        wide = np.full((kinds + 1, seen + slots + 1), free, np.int32)
        wide[:kinds, seen:] = bounds
        return wide

    kind, release = np.full(seen + count, kinds, np.int32), np.ones(seen + count, np.int32)
    kind[seen:], release[seen:] = gate.kind, gate.release + seen
    forced = np.concatenate([np.arange(seen), np.where(gate.forced >= 0, gate.forced + seen, -1)])
    return Gate(
        kind=kind,
        release=release,
        forced=forced.astype(np.int32),
        bounded=gate.bounded,
        lower=wider(gate.lower, 0),
        upper=wider(gate.upper, NO_CAP),
        counts=np.zeros(kinds + 1, np.int32),
        is_open=np.ones(kinds + 1, bool),
        taken=np.concatenate([np.ones(seen, bool), gate.taken]),
        picks=np.full(seen + slots, -1, np.int32),
        gains=np.zeros(seen + slots),
    )
