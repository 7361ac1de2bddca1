"""Upstream relevance: how scores become comparable numbers, and the strategy that uses nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.ranking import normalise
from reranker.kernels.relevance import select_adjusted, select_relevance
from reranker.strategies.base import Problem, Strategy


def normalised(scores: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Relevance r (float64, N) from scores in upstream order, over all candidates (rule 1).

    zscore uses the population's deviation; rank is linear from 1 (the first) to 0 (the last), with the mean rank for
    equal scores; all-equal scores give 0 everywhere. Invariant to shift and to positive scale, except for "none". O(N).
    """
    if method == "none":
        return scores.copy()
    if method == "rank":
        return _by_rank(scores)
    relevance = np.empty(len(scores))
    normalise(scores, method == "zscore", relevance)
    return relevance


def _by_rank(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the first of falling scores, 0 for the last, and in between by the mean rank of equal ones."""
    if not len(scores) or scores[0] == scores[-1]:
        return np.zeros(len(scores))
    _, first, counts = np.unique(-scores, return_index=True, return_counts=True)
    ranks = np.repeat(first + (counts - 1) / 2.0, counts)
    relevance: NDArray[np.float64] = 1.0 - (ranks - ranks[0]) / (ranks[-1] - ranks[0])
    return relevance


class RelevanceStrategy(Strategy):
    """Picks by `problem.relevance` alone: the best open candidate. O(N) a slot."""

    kernel = select_relevance

    def reason(self, slot: int) -> str:
        """Nothing: it never lifts an item by itself."""
        return ""

    @classmethod
    def applies(cls, problem: Problem) -> bool:
        """Always: it looks at relevance alone."""
        return True

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility; they no longer follow the upstream order then."""
        super().adjust(bonus)
        self._kernel = select_adjusted

    def _state(self) -> tuple[Any, ...]:
        return ()

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        return self._relevance, np.zeros(len(self._relevance))
