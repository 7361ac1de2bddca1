"""Max-sum dispersion: (1 - delta) r_i + delta mean_j (1 - clip(similarity(i, j), 0, 1))."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.msd import bound_by_relevance, mean_distances, select_msd
from reranker.strategies.base import Problem
from reranker.strategies.compared import ComparedStrategy


class MsdStrategy(ComparedStrategy):
    """Borodin, Lee and Ye 2012, with the mean in place of the sum, so that the knob means the same in every slot.

    The mean is over all picks, whatever the window. O(U D), U <= N k compared pairs.
    """

    kernel = select_msd

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        self._best_of_block = self._scratch.doubles("best_of_block", len(self._bounds[1]))
        self._bound()

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility in the slots to come."""
        super().adjust(bonus)
        self._bound()

    def _bound(self) -> None:
        bound_by_relevance(self._adjusted, self.problem.diversity, self._best_of_block)

    def _state(self) -> tuple[Any, ...]:
        sums = (self._alike, self._exactly, self._best_of_block)
        return self.problem.diversity, *self._compared, *sums, *self._bounds, *self._room

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        shifted, _, _, _, *inputs = self._compared
        mean = np.empty(len(self._relevance))
        mean_distances(slot, shifted, mean, self._exactly, *inputs)
        return self._relevance, self.problem.diversity * mean
