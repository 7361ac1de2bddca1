"""Coverage of the list: (1 - delta) r_i + delta (f(S + i) - f(S)), f(S) = sum_c sqrt(sum_{j in S} s_jc)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.alike import all_beside_all
from reranker.kernels.cover import ROOM, bounds_by_the_way, bounds_from_all, coverage_gains, select_cover
from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK
from reranker.kernels.tiles import PANEL, TALL, TINY, roots_error
from reranker.strategies.base import Problem, Strategy

KEPT = 2048  # up to so many candidates all similarities are kept, 24 MiB; beyond, rows are made when they are asked for
PARTS = 5  # of a gain, at most


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
        panels = -(-count // PANEL)
        self._span = max(2, -(-panels // PARTS)) * PANEL
        self._parts = -(-panels * PANEL // self._span)
        rows = self.unit_rows(multiple=PANEL, beyond=TALL)
        self._rows: tuple[Any, ...] = (
            rows,
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            problem.shifted,
        )
        self._coverage: tuple[Any, ...] | None = None

    @property
    def work(self) -> int:
        """Multiply-adds of one slot, at most."""
        count, width = len(self.problem.order), self._rows[0].shape[1]
        return count * count * (1 if count <= KEPT else width)

    def _state(self) -> tuple[Any, ...]:
        coverage = self._prepared()
        count = len(self.problem.order)
        blocks = -(-count // BLOCK)
        return (
            self.problem.diversity, roots_error(self._span), self._bounds, np.full(blocks * BLOCK, -np.inf),
            np.empty(blocks), np.zeros(count, np.int32), self._rough, np.empty(self._parts),
            np.empty(count + ROOM + BLOCK, np.int32), self._shorts, *self._rows, *coverage,
        )  # fmt: skip

    def _prepared(self) -> tuple[Any, ...]:
        """Similarities and bounds, made when a slot is free at all: a slate that is settled needs neither."""
        if self._coverage is None:
            seen, span, parts, rows = self.problem.seen, self._span, self._parts, self._rows[0]
            count = len(self.problem.order)
            size = count + -count % PANEL
            choices = bool((self.gate.forced < 0).any())
            kept = choices and count <= KEPT
            similarities = self._scratch.singles("similarities", parts * (len(rows) if kept else 1), span)
            self._shorts = self._scratch.shorts("shorts", *(similarities.shape if kept else (1, 1)))
            self._bounds = self._scratch.doubles("bounds", parts + 1, count)
            self._rough = np.full((3, size), TINY, np.float32)
            if choices:
                panels = self._scratch.singles("panels", size // PANEL * rows.shape[1], PANEL)
                lines = self._scratch.singles("lines", TALL, PANEL)
                if kept:
                    all_beside_all(seen, similarities, self._shorts, panels, lines, *self._rows)
                    bounds_from_all(self._rough, self._shorts, self._bounds)
                else:
                    bounds_by_the_way(seen, span, lines, panels, self._bounds, rows)
            self._coverage = (seen, kept, similarities, np.zeros(size), np.array([0, -1]))
        return self._coverage

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        self.select(slot, slot)  # no slot to fill: the picks so far are taken in
        gain = np.empty(len(self._relevance))
        coverage_gains(gain, *self._rows, *self._prepared()[:-1])
        return self._relevance, self.problem.diversity * gain
