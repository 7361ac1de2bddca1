"""Max-sum dispersion: (1 - delta) r_i + delta mean_j (1 - clip(similarity(i, j), 0, 1))."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.msd import mean_distances, select_msd
from reranker.strategies.base import Problem, Strategy


class MsdStrategy(Strategy):
    """Borodin, Lee and Ye 2012, with the mean in place of the sum, so that the knob means the same in every slot.

    The mean is over all picks, whatever the window. O(U D), U <= N k compared pairs.
    """

    kernel = select_msd

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count = len(problem.order)
        rows = self.unit_rows()
        self._scan: tuple[Any, ...] = (rows, np.zeros(count), np.zeros(count, np.int32))
        self._exact: tuple[Any, ...] = (
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            np.zeros(count),
            np.zeros(count, np.int32),
        )

    def _state(self) -> tuple[Any, ...]:
        return self.problem.diversity, self.problem.shifted, *self._scan, *self._exact

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        mean = np.empty(len(self._relevance))
        mean_distances(slot, self.problem.shifted, self.gate.picks, mean, *self._exact)
        return self._relevance, self.problem.diversity * mean
