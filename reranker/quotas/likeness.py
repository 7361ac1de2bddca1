"""Items too alike within a window of slots (`max_similarity`): who is closed, and what became of the bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.policy.blocks import SimilarityBound
from reranker.quotas.budget import Budget
from reranker.quotas.pool import Pool
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome

TOLERANCE = 1e-6  # of a cosine in float32: two copies of one vector are not above a limit of 1
_VECTORISED = 8  # multiply-adds of a matrix product in the time of one addition elsewhere
_NEVER = np.iinfo(np.int32).max // 2


class Likeness:
    """Bounds on likeness over one list. `unit` float32 (N, D): unit rows in upstream order, zero when missing.

    `earlier` (items, D) are those of items shown before, oldest first.
    """

    def __init__(
        self, bounds: Sequence[SimilarityBound], unit: NDArray[np.float32], slots: int, earlier: NDArray[np.float32]
    ) -> None:
        self.bounds, self._unit, self._slots = tuple(bounds), unit, slots
        self._spans = [bound.window or slots for bound in bounds]
        self._conflicts = np.zeros(len(unit), np.int32)
        self._leaving: list[list[NDArray[np.bool_]]] = [[] for _ in range(slots + 1)]
        for bound in self.bounds:
            for back, row in enumerate(earlier[::-1], start=1):
                if bound.window and back >= bound.window:
                    break
                alike = unit @ row > bound.limit + TOLERANCE
                self._conflicts += alike
                if bound.window and bound.window - back <= slots:
                    self._leaving[bound.window - back].append(alike)

    def pairs(self, budget: Budget) -> tuple[NDArray[np.bool_], int]:
        """Who is too alike to whom, bool (N, N), and within how many slots; (0, 0) and 0 where that costs too much."""
        count, width = self._unit.shape
        if len(self.bounds) != 1 or count * count * width > _VECTORISED * budget.additions:
            return np.zeros((0, 0), bool), 0
        alike = self._unit @ self._unit.T > self.bounds[0].limit + TOLERANCE
        np.fill_diagonal(alike, False)
        return alike | alike.T, self._spans[0]

    def close(self, slot: int, pool: Pool, gate: Gate) -> None:
        """Let nobody stand in `slot` who is too alike to an item before it."""
        gate.release[:] = np.where(self.conflicts_at(slot) > 0, _NEVER, pool.release)

    def ease(self, slot: int, pool: Pool, gate: Gate) -> bool:
        """What quotas allow in `slot` is too alike: let in whom the fewest items resemble; False if nobody is left.

        Kinds that were refused stay closed, so that asking again lets more in.
        """
        standing = ~gate.taken & gate.is_open[gate.kind] & (pool.release <= slot + 1)
        fewest = int(self._conflicts[standing].min(initial=_NEVER))
        gate.release[:] = np.where(self._conflicts <= fewest, pool.release, _NEVER)
        return bool(standing.any())

    def commit(self, slot: int, pick: int) -> None:
        """Count who is too alike to the slot's pick."""
        cosines = self._unit @ self._unit[pick]
        for bound, span in zip(self.bounds, self._spans, strict=True):
            alike = cosines > bound.limit + TOLERANCE
            alike[pick] = False
            self._conflicts += alike
            if slot + span <= self._slots:
                self._leaving[slot + span].append(alike)

    def conflicts_at(self, slot: int) -> NDArray[np.int32]:
        """How many picks in the window of `slot` each candidate is too alike to: int32 (N,). Slots never go back."""
        for row in self._leaving[slot]:
            self._conflicts -= row
        self._leaving[slot] = []
        return self._conflicts


def unit_rows(matrix: NDArray[np.float32], norms: NDArray[np.float64], order: NDArray[np.int32]) -> NDArray[np.float32]:
    """Rows of unit length in upstream order; a zero row stays zero and is alike to nothing."""
    scale = np.where(norms > 0, norms, 1.0)[order]
    unit: NDArray[np.float32] = (matrix[order] / scale[:, None]).astype(np.float32)
    return unit


def likeness_outcome(
    bound: SimilarityBound,
    unit: NDArray[np.float32],
    pool: Pool,
    picks: NDArray[np.int32],
    earlier: NDArray[np.float32],
) -> QuotaOutcome:
    """What became of one bound on a finished slate, `earlier` items' rows in front of it."""
    slots = len(picks)
    before = pool.earlier.shown if pool.earlier is not None else 0
    span = bound.window or slots + len(earlier)
    cosines = (unit[picks] @ np.concatenate([earlier, unit[picks]]).T).astype(np.float64)
    distance = len(earlier) + np.arange(slots)[:, None] - np.arange(len(earlier) + slots)[None, :]
    near = (distance > 0) & (distance < span)
    cosines[~near] = -1.0
    most = cosines.max(axis=1, initial=-1.0)
    failing = np.flatnonzero(most > bound.limit + TOLERANCE)
    at = int(failing[0]) if len(failing) else int(most.argmax()) if slots else 0
    return QuotaOutcome(
        attribute="similarity",
        value="",
        bound=BoundKind.SIMILARITY,
        required=bound.limit,
        achieved=float(most[at]) if slots and slots + len(earlier) > 1 else 0.0,
        share=0.0,
        first_failing_prefix=before + at + 1 if len(failing) else 0,
        status=OutcomeStatus.BROKEN if len(failing) else OutcomeStatus.MET,
        reason=_reason(bound, unit, pool, failing) if len(failing) else None,
        over_fetch=0,
    )


def _reason(bound: SimilarityBound, unit: NDArray[np.float32], pool: Pool, failing: NDArray[np.intp]) -> OutcomeReason:
    """PINNED when a settled item breaks it; SUPPLY when even the bound by itself runs out of items that differ."""
    if all(pool.forced[slot] >= 0 for slot in failing.tolist()):
        return OutcomeReason.PINNED
    for release, reason in ((np.ones_like(pool.release), OutcomeReason.SUPPLY), (pool.release, OutcomeReason.GUARD)):
        if not _fills_alone(bound, unit, pool, release):
            return reason
    return OutcomeReason.CONFLICT


def _fills_alone(bound: SimilarityBound, unit: NDArray[np.float32], pool: Pool, release: NDArray[np.int32]) -> bool:
    """Whether taking the best item that differs enough, slot after slot, fills the slate."""
    span = bound.window or pool.slots
    until = np.zeros(len(unit), np.int64)
    free = np.ones(len(unit), bool)
    for slot in range(pool.slots):
        standing = np.flatnonzero(free & (until <= slot) & (release <= slot + 1))
        if not len(standing):
            return False
        pick = int(standing[0])
        free[pick] = False
        alike = unit @ unit[pick] > bound.limit + TOLERANCE
        until[alike] = slot + span
    return True
