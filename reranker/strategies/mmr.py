"""Maximal marginal relevance: (1 - delta) r_i - delta max_j clip(similarity(i, j), 0, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.mmr import nearest_similarities, select_mmr
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.mmr_window import WindowedMmrStrategy
from reranker.strategies.relevance import RelevanceStrategy


class MmrStrategy(Strategy):
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
        assert problem.embedding is not None
        count = len(problem.order)
        rows = self.unit_rows()
        self._scan: tuple[Any, ...] = (rows, np.zeros(count, np.float32), np.zeros(count, np.int32))
        self._inputs: tuple[Any, ...] = (problem.embedding.matrix, problem.embedding.norms, problem.order)
        self._exact: tuple[Any, ...] = (np.zeros(count), np.zeros(count, np.int32))

    def _state(self) -> tuple[Any, ...]:
        return self.problem.diversity, self.problem.shifted, *self._scan, *self._inputs, *self._exact

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        nearest_similarities(slot, self.problem.shifted, self.gate.picks, *self._inputs, *self._exact)
        nearest: NDArray[np.float64] = self._exact[0]
        return self._relevance, -self.problem.diversity * np.minimum(nearest, 1.0)
