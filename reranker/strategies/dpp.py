"""Greedy MAP of a determinantal point process: (1 - delta) r_i + delta log max(d2_i / L_ii, 1e-5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.dpp import CLAMP, TINY, residual_variances, select_dpp, weigh_dpp
from reranker.kernels.gate import Gate
from reranker.kernels.panels import wide
from reranker.kernels.pick import BLOCK
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.dpp_window import WindowedDppStrategy
from reranker.strategies.relevance import RelevanceStrategy
from reranker.strategies.scratch import Scratch


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
        count, slots, columns = len(problem.order), problem.slots, problem.dimension
        self._scan, self._exact, self._worth, self._ceiling, self._contenders = self._scratch.together(
            ("dpp", count, slots, columns), lambda: _room(self._scratch, count, slots, columns)
        )
        self._inputs: tuple[Any, ...] = (problem.embedding.matrix, problem.embedding.norms, problem.order)
        self._rank = columns if not problem.mixed else count + 1  # own directions are never spanned
        self._weigh(begins=True)

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`; no residual has seen it yet, as only later slots condition on it."""
        _, _, rounded, _, _, bound, crest, state = self._scan
        _, norms, order = self._inputs
        _, _, variance, _ = self._exact
        pick = self.gate.picks[slot]
        if not state[2] and variance[pick] > CLAMP and norms[order[pick]] > 0.0:
            state[0] -= 1
        rounded[slot] = 0.0
        bound[pick] = self._ceiling[pick] = max(self._worth[pick], TINY) * self._grow
        crest[pick // BLOCK] = max(crest[pick // BLOCK], bound[pick])
        super().retract(slot)

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` to every utility; the scan's bounds are made anew from what is known of the residuals."""
        super().adjust(bonus)
        self._weigh(begins=False)

    def _weigh(self, begins: bool) -> None:
        _, _, _, residual, seen, bound, crest, state = self._scan
        _, _, variance, done = self._exact
        self._grow = weigh_dpp(
            begins, self._adjusted, self.gate.taken, self.problem.diversity, residual, variance, self._worth,
            self._ceiling, bound, crest, seen, done, state,
        )  # fmt: skip

    def _state(self) -> tuple[Any, ...]:
        return (
            self._worth, self._ceiling, self.problem.diversity, self._grow, self._rank, self.problem.shifted,
            *self._scan, *self._inputs, *self._exact, self._contenders,
        )  # fmt: skip

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        chain = (*self._inputs, self.problem.shifted, *self._exact)
        residual_variances(slot, *chain)
        variance: NDArray[np.float64] = self._exact[2][: len(self.problem.order)]
        return self._relevance, self.problem.diversity * np.log(np.maximum(variance, CLAMP))

    def exhausted(self, diversity_part: float) -> bool:
        """True at the clamp: the candidate adds nothing that earlier picks do not span."""
        return self.problem.diversity > 0 and diversity_part <= self.problem.diversity * math.log(CLAMP) * (1 - 1e-12)


def _room(scratch: Scratch, count: int, slots: int, columns: int) -> tuple[Any, ...]:
    """What the scan and exact residuals are kept in, and by candidate worth, ceiling and room for contenders."""
    blocks, width, dimension = -(-count // BLOCK), wide(columns), padded(columns)
    scan = (
        scratch.singles("room", BLOCK, dimension),
        scratch.singles("panels", blocks * width, BLOCK),
        scratch.singles("rounded", slots + 3, width),
        scratch.singles("residual", blocks * BLOCK),
        scratch.numbers("seen", blocks),
        scratch.doubles("bound", blocks * BLOCK),
        scratch.doubles("crest", blocks),
        scratch.numbers("state", 3),
    )
    exact = (
        scratch.doubles("own", count, dimension + slots),  # written only for contenders
        scratch.doubles("bases", slots, dimension),
        scratch.doubles("variance", blocks * BLOCK),
        scratch.numbers("done", count),
    )
    worth, ceiling = scratch.doubles("worth", count), scratch.doubles("ceiling", blocks * BLOCK)
    return scan, exact, worth, ceiling, scratch.numbers("contenders", count + 1)
