"""Sliding spectrum decomposition: (1 - delta) r_i + delta sqrt(d2_i), d2_i what the last bases leave of i."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP
from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem
from reranker.strategies.spectrum import SpectrumStrategy


class SsdStrategy(SpectrumStrategy):
    """Huang et al. 2021 (KDD), in the stable form SSD*, with a ring of `window` bases (0: one a slot).

    A base is what was left of a pick when it was picked; it stays as it is when older ones leave the ring, so a pick
    out of the window still acts through bases that were made beside it. With window 0 d2 is that of a DPP.
    """

    ring = True

    def __init__(self, problem: Problem, gate: Gate) -> None:
        self._bases = max(1, min(problem.window or problem.slots, problem.slots))
        super().__init__(problem, gate, self._bases)

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`: once older bases left the ring, what was new in the last picks counts."""
        if slot <= self._bases:
            return super().reason(slot)
        compared = self._last(slot, self._bases)
        return f"it differs more from what was new in {compared}" if compared else ""

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        return self._relevance, self.problem.diversity * np.sqrt(self.left_over(slot))

    def exhausted(self, diversity_part: float) -> bool:
        """True where d2 is at most 1e-5: the candidate adds nothing that the bases do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.sqrt(CLAMP)
