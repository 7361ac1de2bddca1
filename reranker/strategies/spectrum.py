"""What two strategies share that measure a candidate by what a window of picks leaves of it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.bases import LENGTH
from reranker.kernels.dpp import weigh
from reranker.kernels.gate import Gate
from reranker.kernels.spectrum import leftovers, select_spectrum
from reranker.strategies.base import Problem, Strategy


class SpectrumStrategy(Strategy):
    """(1 - delta) r_i + delta times a rising function of d2_i, the squared residual of i beside the window's bases.

    O(D (window + live)) a slot and O((D + window) N) memory, where the live candidates are those whose relevance could
    win if nothing repelled them.
    """

    kernel = select_spectrum
    ring: ClassVar[bool]

    def __init__(self, problem: Problem, gate: Gate, window: int) -> None:
        """A window of at most `window` >= 1 bases."""
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count = len(problem.order)
        rows = np.ascontiguousarray(self.unit_rows()[:, : problem.dimension])
        size = problem.dimension
        size += problem.slots if problem.mixed else 0  # room for the picks' own directions
        self._place = np.full(count, -1, np.int32)
        self._window: tuple[Any, ...] = (
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            problem.shifted,
            rows,
            np.zeros((window, size)),
            np.zeros((window, size), np.float32),
            np.zeros((1, 1) if self.ring else (max(window, 2), max(window, 2))),
            np.empty((window, count), np.float32),
            np.empty(count, np.float32),
            np.empty(count, np.int32),
            np.zeros(5, np.int64),
        )
        self._weights: tuple[Any, ...] = (np.zeros(count), 0.0, problem.diversity, 0.0)
        self._weigh()

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility in the slots to come."""
        super().adjust(bonus)
        self._weigh()

    def _weigh(self) -> None:
        """What the scan of a DPP compares; an SSD's compares utilities themselves."""
        if self.ring:
            return
        count, diversity = len(self._place), self.problem.diversity
        worth, bound, whole = np.empty(count), np.empty(count), np.ones(count)
        with np.errstate(over="ignore", under="ignore"):  # far below the top nothing is left of a worth
            top, grow = weigh(
                self._adjusted,
                self.gate.taken,
                diversity,
                whole.astype(np.float32),
                whole,
                worth,
                bound,
                np.empty(count),
            )
        self._weights = (worth, top, diversity, grow)

    def _state(self) -> tuple[Any, ...]:
        return (*self._weights, self.ring, self._place, *self._window)

    def left_over(self, slot: int) -> NDArray[np.float64]:
        """d2 of every candidate after `slot` picks: float64 (N,), 0..1."""
        self.select(slot, slot)  # no slot to fill: the picks so far are taken in
        matrix, norms, order, shifted, _, bases, *_, state = self._window
        left = np.empty(len(self._place))
        leftovers(int(state[LENGTH]), left, matrix, norms, order, shifted, bases)
        return left
