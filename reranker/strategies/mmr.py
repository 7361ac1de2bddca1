"""Maximal marginal relevance: (1 - delta) r_i - delta max_j clip(similarity(i, j), 0, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.mmr import bound_by_similarity, nearest_similarities, select_mmr
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.compared import ComparedStrategy
from reranker.strategies.mmr_window import WindowedMmrStrategy
from reranker.strategies.relevance import RelevanceStrategy


class MmrStrategy(ComparedStrategy):
    """Carbonell and Goldstein 1998, with the pinned normalisation (rule 1). O(U D), U <= N k compared pairs."""

    kernel = select_mmr

    @classmethod
    def suited(cls, problem: Problem) -> type[Strategy]:
        """Relevance where the window leaves no pick to repel from; this where no pick ever leaves it."""
        if problem.window == 1:
            return RelevanceStrategy
        return WindowedMmrStrategy if 0 < problem.window < problem.slots else cls

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        self._bound()

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`; nobody was compared with it yet."""
        super().retract(slot)
        self._bound()

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility in the slots to come."""
        super().adjust(bonus)
        self._bound()

    def _bound(self) -> None:
        bound_by_similarity(self._adjusted, self.problem.diversity, self._alike, *self._bounds)

    def _state(self) -> tuple[Any, ...]:
        return self.problem.diversity, *self._compared, self._alike, self._exactly, *self._bounds, *self._room

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        shifted, _, _, _, *inputs = self._compared
        nearest_similarities(slot, shifted, self._exactly, *inputs)
        return self._relevance, -self.problem.diversity * np.minimum(self._exactly, 1.0)
