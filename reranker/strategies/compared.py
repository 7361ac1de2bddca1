"""What strategies share that compare each candidate with each pick."""

from __future__ import annotations

from typing import Any

import numpy as np

from reranker.kernels.gate import Gate
from reranker.kernels.pick import BLOCK, MOST
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy


class ComparedStrategy(Strategy):
    """Rows of candidates and picks, in float32 and float64. O(N D) memory, of which what is looked at is touched."""

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots, width = len(problem.order), problem.slots, padded(problem.dimension)
        scratch = self._scratch
        self._compared: tuple[Any, ...] = (
            problem.shifted,
            scratch.rows("rows", count, width),
            scratch.rows("chosen", slots + 3, width),
            np.full(count, -1, np.int32),
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            scratch.sums("own", count, width),
            scratch.sums("exact", slots + 3, width),
            np.full(count, -1, np.int32),
        )
        blocks = -(-count // BLOCK)
        self._bounds: tuple[Any, ...] = (np.empty(blocks * BLOCK), np.empty(blocks))
        self._room: tuple[Any, ...] = (np.empty(count + MOST + BLOCK, np.int32), np.full(1, -1))

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`: steps of four must not see it."""
        super().retract(slot)
        _, _, chosen, _, _, _, _, _, exact, _ = self._compared
        chosen[slot], exact[slot] = 0.0, 0.0
