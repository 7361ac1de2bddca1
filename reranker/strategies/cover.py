"""Coverage of the list: (1 - delta) r_i + delta (f(S + i) - f(S)), f(S) = sum_c sqrt(sum_{j in S} s_jc)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.cover import coverage_gains, first_bounds, select_cover
from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem, Strategy

KEPT = 2048  # up to so many candidates all similarities are kept: 16 MiB; beyond, rows are made when they are asked for
PARTS = 4  # of a gain, at most


class CoverStrategy(Strategy):
    """Concave coverage (Lin and Bilmes 2011): picks stand for as much of the list as they can, s = clip(sim, 0, 1).

    The sum is over all candidates c, picks and i itself included, earlier pages' items not. O(N^2 D / 2) for the first
    pick and O(U N) for the others, U <= N k gains worked out; O(N D + min(N, 2048) N) memory. Beyond 2048 candidates
    each of the U costs O(N D). The window does not matter.
    """

    kernel = select_cover
    otherwise = "stand for more of the list"

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`, for a sentence about that item."""
        compared = self._last(slot, self.reach)
        return "it stands for more of the list" + (f", beyond {compared}" if compared else "")

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count = len(problem.order)
        rows = self.unit_rows(multiple=4)
        self._rows: tuple[Any, ...] = (
            rows,
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            problem.shifted,
        )
        width = max(16, -(-count // (16 * PARTS)) * 16)
        if -(-count // width) * width % 1024 == 0:
            width += 16  # rows 4 KiB apart would share few lines of the cache
        self._blocks, self._width = max(1, -(-count // width)), width
        self._bounds: tuple[Any, ...] = (np.zeros((self._blocks + 1, count)), np.zeros((3, count), np.int32))
        self._coverage: tuple[Any, ...] | None = None

    @property
    def work(self) -> int:
        """Multiply-adds of one slot, at most."""
        count, width = len(self.problem.order), self._rows[0].shape[1]
        return count * count * (1 if count <= KEPT else width)

    def _state(self) -> tuple[Any, ...]:
        coverage = self._prepared()
        blocked = coverage[2].reshape(-1, self._blocks, self._width)
        return self.problem.diversity, *self._bounds, blocked, *self._rows, *coverage

    def _prepared(self) -> tuple[Any, ...]:
        """Similarities and bounds, made when a slot is free at all: a slate that is settled needs neither."""
        if self._coverage is None:
            seen, size = self.problem.seen, self._blocks * self._width
            choices = bool((self.gate.forced < 0).any())
            kept = choices and len(self.problem.order) <= KEPT
            similarities = np.zeros((len(self._rows[0]) if kept else 4, size), np.float32)
            if choices:
                first_bounds(seen, kept, similarities, self._bounds[0], *self._rows)
            self._coverage = (seen, kept, similarities, np.zeros(size), np.zeros(1, np.int64))
        return self._coverage

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        self.select(slot, slot)  # no slot to fill: the picks so far are taken in
        gain = np.empty(len(self._relevance))
        coverage_gains(gain, *self._rows, *self._prepared()[:-1])
        return self._relevance, self.problem.diversity * gain
