"""Sliding spectrum decomposition: (1 - delta) r_i + delta sqrt(d2_i), d2_i what the last bases leave of i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP
from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK
from reranker.kernels.ssd import select_ssd
from reranker.strategies.base import Problem
from reranker.strategies.spectrum import SpectrumStrategy


class SsdStrategy(SpectrumStrategy):
    """Huang et al. 2021 (KDD), in the stable form SSD*, with a ring of `window` bases (0: one a slot).

    A base is what was left of a pick when it was picked; it stays as it is when older ones leave the ring, so a pick
    out of the window still acts through bases that were made beside it. With window 0 d2 is that of a DPP.
    O(U D + N) a slot, for U <= N times that a candidate catches up with four bases, and O((D + window) N) memory.
    """

    kernel = select_ssd

    def __init__(self, problem: Problem, gate: Gate) -> None:
        self._most = max(1, min(problem.window or problem.slots, problem.slots))
        super().__init__(problem, gate, self._most)
        size, dimension = self._blocks * BLOCK, self._inputs[0]
        rounded = self._scratch.singles("rounded", problem.slots + 3, dimension)
        rounded[:] = 0.0
        self._ring: tuple[Any, ...] = (
            np.empty(self._most),
            np.zeros((1, 1)),
            rounded,
            self._scratch.singles("rows", size, dimension),
            self._scratch.singles("products", self._most + 3, size),
            np.empty(size, np.float32),
            np.full(size, -1, np.int32),
            np.array([0, 0, 0, -1, 0]),
        )

    def _state(self) -> tuple[Any, ...]:
        count, size = len(self._relevance), self._blocks * BLOCK
        room = np.empty(size), np.empty(size), np.empty(self._blocks), np.empty(count + 2 * BLOCK, np.int32)
        return self.problem.diversity, *room, *self._inputs, *self._ring

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`: once older bases left the ring, what was new in the last picks counts."""
        if slot <= self._most:
            return super().reason(slot)
        compared = self._last(slot, self._most)
        return f"it differs more from what was new in {compared}" if compared else ""

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        return self._relevance, self.problem.diversity * np.sqrt(self.left_over(slot))

    def exhausted(self, diversity_part: float) -> bool:
        """True where d2 is at most 1e-5: the candidate adds nothing that the bases do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.sqrt(CLAMP)
