"""A determinantal point process that looks back: (1 - delta) r_i + delta log max(d2_i / L_ii, 1e-5) given the last."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP
from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem
from reranker.strategies.spectrum import SpectrumStrategy


class WindowedDppStrategy(SpectrumStrategy):
    """Chen et al. 2018, algorithm 2, in the additive form: d2_i given the last `window` - 1 >= 1 picks and no others.

    Exact conditioning, by removal of the oldest pick from the factor; earlier picks have no influence left.
    """

    ring = False

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate, problem.window - 1)

    @property
    def reach(self) -> int:
        """The picks in the window."""
        return self.problem.window - 1

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        return self._relevance, self.problem.diversity * np.log(np.maximum(self.left_over(slot), CLAMP))

    def exhausted(self, diversity_part: float) -> bool:
        """True at the clamp: the candidate adds nothing that the picks in the window do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.log(CLAMP) * (1 - 1e-12)
