"""What every strategy is given and what it must do: fill slots with the best candidates that the gate lets through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import EmbeddingColumn
from reranker.kernels.gate import Gate
from reranker.kernels.jit import Kernel
from reranker.kernels.rows import unit_rows
from reranker.kernels.vectors import padded
from reranker.strategies.aspects import Aspects
from reranker.strategies.scratch import Scratch, borrow, give_back

_LARGEST = np.finfo(np.float64).max


@dataclass(slots=True, eq=False)
class Problem:
    """What is maximised over candidates in upstream order.

    `relevance` float64 (N,), `diversity` 0..1, `embedding` in input order (None: there is none), `order` int32 (N,)
    from upstream rank to input row, `shifted` whether similarity is (1 + cosine) / 2. `window` 0 is the whole slate; w
    looks at the last w - 1 picks alone, or holds w bases (ssd). `sample`: draw from the DPP with `seed`, for its mode.
    The first `seen` candidates were shown before: they fill the first `seen` slots and are in nobody's pool. `aspects`
    are what strategies over attribute values look at (None: there are none). `mixed`: rows may be shorter than their
    norms, which leaves candidates directions of their own.
    """

    relevance: NDArray[np.float64]
    diversity: float
    embedding: EmbeddingColumn | None
    order: NDArray[np.int32]
    shifted: bool
    slots: int
    window: int = 0
    sample: bool = False
    seed: int = 0
    seen: int = 0
    aspects: Aspects | None = None
    mixed: bool = False

    def weighted_relevance(self) -> NDArray[np.float64]:
        """(1 - diversity) x relevance."""
        return (1.0 - self.diversity) * self.relevance

    @property
    def dimension(self) -> int:
        """Columns of a candidate's unit row."""
        assert self.embedding is not None
        columns: int = self.embedding.matrix.shape[1]
        return columns + int(self.shifted)


class Strategy(ABC):
    """A resumable greedy selection: `kernel` fills slots under `gate`.

    The gate's arrays may be replaced until the first `select`; from then on only their contents may change.
    """

    kernel: ClassVar[Kernel[..., None]]
    _scratch: Scratch
    drawn: bool = False
    """True when picks are drawn at random, with the problem's seed."""

    otherwise: str = "are less alike"
    """What, beside their worth, may have put other items above one that fell; for a sentence."""

    @property
    def reach(self) -> int:
        """How many of the last picks a candidate is compared with: as many as there are slots where with all."""
        return self.problem.slots

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`, for a sentence about that item; empty when it does not."""
        compared = self._last(slot, self.reach)
        return f"it differs more from {compared}" if compared else ""

    def _last(self, slot: int, reach: int) -> str:
        """The last `reach` picks before `slot` in words; empty where there is nothing to compare with."""
        seen = self.problem.seen
        above = min(slot - seen, reach)
        last = min(seen, reach - above)
        words = []
        if above:
            words.append("what stands above it" if above == slot - seen else f"the last {_items(above)} above it")
        if last and self._comparable(seen - last, seen):
            words.append("what was shown before" if last == seen else f"the last {_items(last)} shown before")
        return " and ".join(words)

    def _comparable(self, first: int, last: int) -> bool:
        """Whether any of the candidates `first`..`last` - 1 has an embedding."""
        embedding, order = self.problem.embedding, self.problem.order
        return embedding is not None and bool((embedding.norms[order[first:last]] > 0).any())

    @classmethod
    def applies(cls, problem: Problem) -> bool:
        """Whether the problem has what the strategy looks at; otherwise relevance decides alone."""
        return problem.embedding is not None

    @classmethod
    def suited(cls, problem: Problem) -> type[Strategy]:
        """The class that does it for this problem: a window may ask for another algorithm with the same aim."""
        return cls

    def __init__(self, problem: Problem, gate: Gate) -> None:
        self._scratch = borrow()
        self.problem = problem
        self.gate = gate
        self.bonus: NDArray[np.float64] | None = None
        self._kernel = self.kernel
        self._relevance = self._adjusted = problem.weighted_relevance()
        self._arguments: tuple[Any, ...] | None = None  # kept from call to call: slots may be filled one at a time

    def __del__(self) -> None:
        borrowed = self.__dict__.get("_scratch")  # a strategy around another one has none
        if borrowed is not None:
            give_back(borrowed)

    def unit_rows(self, multiple: int = 1, beyond: int = 0) -> NDArray[np.float32]:
        """Rows whose dot products are similarities, upstream order, padded with zeros to whole registers.

        A row may be shorter than 1: the rest of it is the candidate's own direction, which adds to its similarity with
        itself, always 1, and to no other. Rows of zeros follow until there is a `multiple` of so many, and `beyond`
        more.
        """
        embedding, order = self.problem.embedding, self.problem.order
        assert embedding is not None
        count = len(order)
        rows = self._scratch.singles("rows", count + -count % multiple + beyond, padded(self.problem.dimension))
        rows[count:] = 0.0
        unit_rows(embedding.matrix, embedding.norms, order, self.problem.shifted, rows)
        return rows

    @property
    def work(self) -> int:
        """Multiply-adds of one slot, at most: how far apart looks at a deadline may be."""
        embedding = self.problem.embedding
        width = 1 if embedding is None else embedding.matrix.shape[1] + self.problem.slots
        return width * len(self.problem.order)

    def select(self, first: int, last: int) -> None:
        """Fill slots first..last-1 of the gate's picks and gains; a pick of -1 means that no candidate was open."""
        if self._arguments is None:
            self._arguments = (*self.gate.arrays, self._adjusted, *self._state())
        self._kernel(first, last, *self._arguments)

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`, the last one made, so that it can be filled anew as if for the first time. O(1)."""
        gate = self.gate
        pick = gate.picks[slot]
        assert pick >= 0, "only a pick can be undone"
        gate.taken[pick] = False
        if gate.bounded:
            gate.counts[gate.kind[pick]] -= 1
        gate.picks[slot] = -1
        gate.gains[slot] = 0.0

    def adjust(self, bonus: NDArray[np.float64]) -> None:
        """Add `bonus` (float64, N, upstream order) to every utility in the slots to come, until the next call. O(N)."""
        self.bonus = bonus
        with np.errstate(over="ignore"):  # scores that fill the whole range of numbers
            self._adjusted = np.clip(self._relevance + bonus, -_LARGEST, _LARGEST)
        self._arguments = None

    @abstractmethod
    def _state(self) -> tuple[Any, ...]:
        """What the kernel takes after the gate and the relevance."""

    @abstractmethod
    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility given the first `slot` picks; for explanations.

        `bonus` comes on top where `adjust` was called.
        """

    def exhausted(self, diversity_part: float) -> bool:
        """True when diversity can no longer tell this candidate apart."""
        return False


def _items(count: int) -> str:
    return "item" if count == 1 else f"{count} items"
