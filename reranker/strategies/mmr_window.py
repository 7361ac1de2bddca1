"""Maximal marginal relevance that looks back: similarity to the last picks alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.kernels.mmr_window import nearest_in_window, select_mmr_window
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy


class WindowedMmrStrategy(Strategy):
    """(1 - delta) r_i - delta max_j clip(similarity(i, j), 0, 1) over the last `window` - 1 >= 1 picks j.

    Carbonell and Goldstein 1998, as `mmr.py`. O(U (D + window)), U <= N k compared pairs.
    """

    kernel = select_mmr_window

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots, width, scratch = len(problem.order), problem.slots, padded(problem.dimension), self._scratch
        rows, chosen = scratch.singles("rows", count, width), scratch.singles("chosen", slots + 3, width)
        ring = scratch.singles("ring", count, self.reach + 3)
        self._inputs: tuple[Any, ...] = (problem.embedding.matrix, problem.embedding.norms, problem.order)
        largest, since = np.zeros(count), np.full(count, 2**31 - 1, np.int32)
        self._scan: tuple[Any, ...] = (rows, chosen, ring, np.full(count, -1, np.int32), largest, since)

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`: steps of four must not see it."""
        super().retract(slot)
        self._scan[1][slot] = 0.0

    def _state(self) -> tuple[Any, ...]:
        count = len(self._relevance)
        room = self._scratch.numbers("contenders", count), self._scratch.doubles("nearest", count)
        return self.problem.diversity, self.problem.shifted, *self._scan, *self._inputs, *room

    @property
    def reach(self) -> int:
        """The picks in the window."""
        return self.problem.window - 1

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        nearest = np.empty(len(self._relevance))
        start = max(0, slot - self.reach)
        nearest_in_window(start, slot, self.problem.shifted, self.gate.picks, nearest, *self._inputs)
        return self._relevance, -self.problem.diversity * nearest
