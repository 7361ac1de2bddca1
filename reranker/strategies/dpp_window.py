"""A determinantal point process that looks back: (1 - delta) r_i + delta log max(d2_i / L_ii, 1e-5) given the last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP, weigh
from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK
from reranker.kernels.spectrum import select_spectrum
from reranker.strategies.base import Problem
from reranker.strategies.spectrum import SpectrumStrategy


class WindowedDppStrategy(SpectrumStrategy):
    """Chen et al. 2018, algorithm 2, in the additive form: d2_i given the last `window` - 1 >= 1 picks and no others.

    Exact conditioning, by removal of the oldest pick from the factor; earlier picks have no influence left.
    O((D + window) live) a slot and O((D + window) N) memory, where live are the candidates whose relevance could win if
    nothing repelled them, and their neighbours in relevance.
    """

    kernel = select_spectrum

    def __init__(self, problem: Problem, gate: Gate) -> None:
        window = problem.window - 1
        super().__init__(problem, gate, window)
        count, blocks = len(problem.order), self._blocks
        size, dimension = blocks * BLOCK, self._inputs[0]
        self._window: tuple[Any, ...] = (
            np.empty(window),
            np.zeros((max(window, 2), max(window, 2))),
            np.zeros((window, dimension), np.float32),
            self._scratch.singles("rows", size, dimension),
            self._scratch.singles("products", window, size),
            np.empty(size, np.float32),
            np.empty(size, np.float32),
            np.empty(blocks, np.int32),
            np.full(blocks, -1, np.int32),
            np.zeros(5, np.int64),
        )
        self._worth, self._bound, self._crest = np.empty(count), np.full(size, -1.0), np.empty(blocks)
        self._weigh()

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility in the slots to come."""
        super().adjust(bonus)
        self._weigh()

    def _weigh(self) -> None:
        """What the scan compares, and bounds where nothing repels."""
        count = len(self._relevance)
        whole, weights = np.ones(count), (self._worth, self._bound, self._crest)
        with np.errstate(over="ignore", under="ignore"):  # far below the top nothing is left of a worth
            self._top, self._grow = weigh(
                self._adjusted, self.gate.taken, self.problem.diversity, whole.astype(np.float32), whole, *weights
            )

    def _state(self) -> tuple[Any, ...]:
        weights = self._worth, self._top, self.problem.diversity, self._grow, self._bound, self._crest
        return *weights, np.empty(len(self._relevance), np.int32), *self._inputs, *self._window

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
