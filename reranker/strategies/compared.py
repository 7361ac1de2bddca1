"""What strategies share that compare each candidate with each pick."""

from __future__ import annotations

from typing import Any

from reranker.kernels.gate import Gate
from reranker.kernels.mmr import begin_compared
from reranker.kernels.pick import BLOCK, MOST
from reranker.kernels.vectors import padded
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.scratch import Scratch


class ComparedStrategy(Strategy):
    """Rows of candidates and picks, and by candidate how alike it is to the picks, in float32 and float64.

    O(N D) memory, of which what is looked at is touched.
    """

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.embedding is not None
        count, slots, width = len(problem.order), problem.slots, padded(problem.dimension)
        scan, exact, self._alike, self._exactly, self._bounds, self._room = self._scratch.together(
            ("compared", count, slots, width), lambda: _room(self._scratch, count, slots, width)
        )
        embedding = problem.embedding
        self._compared: tuple[Any, ...] = (
            problem.shifted, *scan, embedding.matrix, embedding.norms, problem.order, *exact,
        )  # fmt: skip
        begin_compared(scan[2], exact[2], self._alike, self._exactly, self._room[1])

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`: steps of four must not see it."""
        super().retract(slot)
        _, _, chosen, _, _, _, _, _, exact, _ = self._compared
        chosen[slot], exact[slot] = 0.0, 0.0


def _room(scratch: Scratch, count: int, slots: int, width: int) -> tuple[Any, ...]:
    """Rows, picks and how many of them were seen, in float32 and in float64; similarities, bounds, and the rest."""
    blocks = -(-count // BLOCK)
    scan = (
        scratch.singles("rows", count, width),
        scratch.singles("chosen", slots + 3, width),
        scratch.numbers("seen", count),
    )
    exact = (
        scratch.doubles("own", count, width),
        scratch.doubles("exact", slots + 3, width),
        scratch.numbers("done", count),
    )
    bounds = scratch.doubles("bound", blocks * BLOCK), scratch.doubles("crest", blocks)
    rest = scratch.numbers("contenders", count + MOST + BLOCK), scratch.numbers("guess", 1)
    return scan, exact, scratch.singles("alike", count), scratch.doubles("exactly", count), bounds, rest
