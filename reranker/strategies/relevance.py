"""Upstream relevance: how scores become comparable numbers, and the strategy that uses nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.relevance import select_adjusted, select_relevance
from reranker.strategies.base import Problem, Strategy


def normalised(scores: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Relevance r (float64, N) from scores in upstream order, over all candidates (rule 1).

    zscore uses the population's deviation; all-equal scores give 0 everywhere; rank is linear from 1 (the first) to 0
    (the last). Invariant to shift and to positive scale, except for "none". O(N).
    """
    count = len(scores)
    if count == 0 or method == "none":
        return scores.copy()
    if method == "rank":
        return np.linspace(1.0, 0.0, count) if count > 1 else np.zeros(1)
    top, bottom = scores[0], scores[-1]
    largest = max(abs(top), abs(bottom))
    if top == bottom or largest == 0.0:
        return np.zeros(count)
    # Division first: the range of two finite scores may itself be infinite.
    unit = scores / largest
    if method == "minmax":
        spread: NDArray[np.float64] = (unit - unit[-1]) / (unit[0] - unit[-1])
        return spread
    centred = unit - unit.mean()
    deviation = float(np.sqrt(np.mean(centred * centred)))
    return centred / deviation if deviation > 0.0 else np.zeros(count)


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
