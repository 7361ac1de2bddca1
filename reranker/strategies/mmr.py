"""Maximal marginal relevance: (1 - delta) r_i - delta max_j clip(similarity(i, j), 0, 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.mmr import nearest_similarity, select_mmr
from reranker.strategies.base import Problem, Strategy


class MmrStrategy(Strategy):
    """Carbonell and Goldstein 1998, with the pinned normalisation (rule 1). O(U D), U <= N k refreshed pairs."""

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        self._relevance = problem.weighted_relevance()
        self._rows, _ = problem.unit_rows()
        self._similarity = np.zeros(len(self._relevance), np.float32)
        self._seen = np.zeros(len(self._relevance), np.int32)

    def select(self, first: int, last: int) -> None:
        """Fill slots first..last-1."""
        select_mmr(
            first,
            last,
            *self.gate.arrays,
            self._relevance,
            self.problem.diversity,
            self._rows,
            self._similarity,
            self._seen,
        )

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        nearest_similarity(slot, self.gate.picks, self._rows, self._similarity, self._seen)
        return self._relevance, -self.problem.diversity * self._similarity.astype(np.float64)
