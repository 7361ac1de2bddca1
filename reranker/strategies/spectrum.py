"""What two strategies share that measure a candidate by what a window of picks leaves of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.bases import leftovers
from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy


class SpectrumStrategy(Strategy):
    """(1 - delta) r_i + delta times a rising function of d2_i, the squared residual of i beside the window's bases."""

    def __init__(self, problem: Problem, gate: Gate, window: int) -> None:
        """A window of at most `window` >= 1 bases."""
        super().__init__(problem, gate)
        assert problem.embedding is not None
        self._blocks = -(-len(problem.order) // BLOCK)
        dimension = padded(problem.dimension)
        size = dimension + (padded(problem.slots) if problem.mixed else 0)  # room for the picks' own directions
        self._bases = np.zeros((window, size))
        self._inputs: tuple[Any, ...] = (
            dimension,
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            problem.shifted,
            self._bases,
            np.zeros((1, size)),
        )

    def left_over(self, slot: int) -> NDArray[np.float64]:
        """d2 of every candidate after `slot` picks: float64 (N,), 0..1."""
        self.select(slot, slot)  # no slot to fill: the picks so far are taken in
        left = np.empty(len(self._relevance))
        leftovers(min(slot, len(self._bases)), left, *self._inputs)
        return left
