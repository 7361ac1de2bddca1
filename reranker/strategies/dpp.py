"""Greedy MAP of a determinantal point process: (1 - delta) r_i + delta log max(d2_i / L_ii, 1e-5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP, SCAN_ERROR, TINY, residual_variances, select_dpp
from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem, Strategy


class DppStrategy(Strategy):
    """Chen et al. 2018, algorithm 1, in the additive form (rule 1). O(U (D + k)), U <= N k refreshed entries."""

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots = len(problem.order), problem.slots
        self._relevance = problem.weighted_relevance()
        self._rows, self._dimension = problem.unit_rows(extra=slots)
        self._scan: tuple[Any, ...] = (
            np.empty((slots, self._rows.shape[1]), np.float32),
            np.ones(count, np.float32),
            np.zeros(count, np.int32),
            np.empty(count, np.float64),
            np.zeros(1, np.int64),
        )
        self._inputs: tuple[Any, ...] = (problem.embedding.matrix, problem.embedding.norms, problem.order)
        self._exact: tuple[Any, ...] = (
            np.empty(slots, np.float64),
            np.empty((count, slots), np.float64),  # touched only for contenders, so most of its pages never exist
            np.ones(count, np.float64),
            np.zeros(count, np.int32),
        )

        self._weigh(self._relevance)

    def select(self, first: int, last: int) -> None:
        """Fill slots first..last-1."""
        self._length = int(self._scan[4][0])
        select_dpp(
            first, last, *self.gate.arrays, self._adjusted, self._worth, self._top, self.problem.diversity, self._slack,
            self._dimension, self.problem.shifted, self._rows, *self._scan, *self._inputs, *self._exact,
        )  # fmt: skip

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every candidate's utility: the scan's bounds are made anew."""
        self.bonus = bonus
        self._weigh(self._relevance + bonus)

    def _weigh(self, relevance: NDArray[np.float64]) -> None:
        """Take `relevance`, weighted and adjusted, into the scan: its worth and the bounds that follow from it."""
        diversity = self.problem.diversity
        self._adjusted = relevance
        self._top = float(relevance.max(initial=-np.inf)) if len(relevance) else 0.0
        # What the grid of utilities and float64 rounding may hide; at a half the bounds are loose but still bounds.
        hidden = 4e-9 + 1e-15 * float(np.abs(relevance).max(initial=0.0))
        self._slack = min(hidden / diversity, 0.5) + 1e-12
        with np.errstate(over="ignore", under="ignore"):
            self._worth = np.exp((relevance - self._top) / diversity)
        most = np.maximum(self._scan[1].astype(np.float64) + SCAN_ERROR, CLAMP)
        np.multiply(most * np.maximum(self._worth, TINY), 1.0 + self._slack, out=self._scan[3])

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`; no residual has seen it yet, as only later slots condition on it."""
        super().retract(slot)
        self._scan[4][0] = self._length

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        residual_variances(slot, self.problem.shifted, self.gate.picks, *self._inputs, *self._exact)
        variance: NDArray[np.float64] = self._exact[2]
        return self._relevance, self.problem.diversity * np.log(np.maximum(variance, CLAMP))

    def exhausted(self, diversity_part: float) -> bool:
        """True at the clamp: the candidate adds nothing that earlier picks do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.log(CLAMP) * (1 - 1e-12)
