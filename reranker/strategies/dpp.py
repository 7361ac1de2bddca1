"""Greedy MAP of a determinantal point process: (1 - delta) r_i + delta log max(d2_i / L_ii, 1e-5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.cholesky import SCAN_PIVOT
from reranker.kernels.dpp import CLAMP, TINY, begin_dpp, residual_variances, select_dpp, weigh
from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK, MOST
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.dpp_window import WindowedDppStrategy
from reranker.strategies.relevance import RelevanceStrategy


class DppStrategy(Strategy):
    """Chen et al. 2018, algorithm 1, in the additive form (rule 1). O(U (D + k)), U <= N k refreshed entries."""

    kernel = select_dpp

    @classmethod
    def suited(cls, problem: Problem) -> type[Strategy]:
        """Relevance where the window leaves no pick to repel from; this where no pick ever leaves it."""
        if problem.window == 1:
            return RelevanceStrategy
        return WindowedDppStrategy if 0 < problem.window < problem.slots else cls

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots = len(problem.order), problem.slots
        blocks = -(-count // BLOCK)
        self._dimension = padded(problem.dimension)
        width = self._dimension + padded(slots + 3)
        scratch = self._scratch
        self._rows = scratch.singles("rows", count, width)
        self._scan: tuple[Any, ...] = (
            scratch.singles("pivots", slots + 3, width),
            scratch.singles("residual", count),
            scratch.numbers("seen", count),
            scratch.doubles("bound", blocks * BLOCK),
            scratch.doubles("crest", blocks),
            scratch.numbers("chain", 2),
        )
        self._inputs: tuple[Any, ...] = (problem.embedding.matrix, problem.embedding.norms, problem.order)
        self._exact: tuple[Any, ...] = (
            scratch.doubles("own", count, width),  # written only for contenders
            scratch.doubles("exact", slots, width),
            scratch.doubles("variance", count),
            scratch.numbers("done", count),
        )
        self._worth = scratch.doubles("worth", count)
        self._contenders = scratch.numbers("contenders", count + MOST + BLOCK)
        _, residual, seen, bound, crest, chain = self._scan
        _, _, variance, done = self._exact
        self._top, self._grow = begin_dpp(
            self._adjusted, gate.taken, problem.diversity, residual, variance, self._worth, bound, crest, seen, done,
            chain,
        )  # fmt: skip

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`; no residual has seen it yet, as only later slots condition on it."""
        pivots, residual, _, bound, crest, chain = self._scan
        pick = self.gate.picks[slot]
        if float(residual[pick]) >= SCAN_PIVOT:
            chain[0] -= 1
            pivots[chain[0]] = 0.0
        bound[pick] = max(self._worth[pick], TINY) * self._grow
        crest[pick // BLOCK] = max(crest[pick // BLOCK], bound[pick])
        super().retract(slot)

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility; the scan's bounds are made anew from what is known of the residuals."""
        super().adjust(bonus)
        self._weigh()

    def _weigh(self) -> None:
        _, residual, _, bound, crest, _ = self._scan
        _, _, variance, _ = self._exact
        self._top, self._grow = weigh(
            self._adjusted, self.gate.taken, self.problem.diversity, residual, variance, self._worth, bound, crest
        )

    def _state(self) -> tuple[Any, ...]:
        return (
            self._worth, self._top, self.problem.diversity, self._grow, self._dimension, self.problem.shifted,
            self._rows, *self._scan, *self._inputs, *self._exact, self._contenders,
        )  # fmt: skip

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        chain = (*self._inputs, self.problem.shifted, *self._exact)
        residual_variances(slot, self._dimension, *chain)
        variance: NDArray[np.float64] = self._exact[2]
        return self._relevance, self.problem.diversity * np.log(np.maximum(variance, CLAMP))

    def exhausted(self, diversity_part: float) -> bool:
        """True at the clamp: the candidate adds nothing that earlier picks do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.log(CLAMP) * (1 - 1e-12)
