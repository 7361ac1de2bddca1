"""What strategies share that compare each candidate with each pick."""

from __future__ import annotations

from typing import Any

from reranker.kernels.gate import Gate
from reranker.kernels.mmr import begin_compared
from reranker.kernels.pick import BLOCK, MOST
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy


class ComparedStrategy(Strategy):
    """Rows of candidates and picks, and by candidate how alike it is to the picks, in float32 and float64.

    O(N D) memory, of which what is looked at is touched.
    """

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots, width = len(problem.order), problem.slots, padded(problem.dimension)
        scratch, blocks = self._scratch, -(-count // BLOCK)
        self._compared: tuple[Any, ...] = (
            problem.shifted,
            scratch.singles("rows", count, width),
            scratch.singles("chosen", slots + 3, width),
            scratch.numbers("seen", count),
            problem.embedding.matrix,
            problem.embedding.norms,
            problem.order,
            scratch.doubles("own", count, width),
            scratch.doubles("exact", slots + 3, width),
            scratch.numbers("done", count),
        )
        self._alike, self._exactly = scratch.singles("alike", count), scratch.doubles("exactly", count)
        self._bounds: tuple[Any, ...] = (scratch.doubles("bound", blocks * BLOCK), scratch.doubles("crest", blocks))
        self._room: tuple[Any, ...] = (scratch.numbers("contenders", count + MOST + BLOCK), scratch.numbers("guess", 1))
        _, _, _, seen, _, _, _, _, _, done = self._compared
        begin_compared(seen, done, self._alike, self._exactly, self._room[1])

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`: steps of four must not see it."""
        super().retract(slot)
        _, _, chosen, _, _, _, _, _, exact, _ = self._compared
        chosen[slot], exact[slot] = 0.0, 0.0
