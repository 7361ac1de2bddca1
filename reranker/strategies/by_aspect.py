"""What the strategies over explicit aspects share: state that follows the picks, and slots that are theirs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.aspects import aspect_parts, select_by_aspects
from reranker.kernels.gate import Gate
from reranker.strategies.aspects import Floats
from reranker.strategies.base import Problem, Strategy

_HUGE = 1e100
_DENOMINATOR = 10**6  # a diversity is read as the nearest fraction with at most this, as shares are


class AspectStrategy(Strategy):
    """(1 - delta) r_i + delta gain_i, where the gain is a sum over the aspects that candidate i carries."""

    kernel = select_by_aspects
    otherwise = "are wanted more there"
    form: ClassVar[int]

    @classmethod
    def applies(cls, problem: Problem) -> bool:
        """Whether anybody carries an aspect."""
        return problem.aspects is not None

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        assert problem.aspects is not None
        self._aspects = problem.aspects
        self._known: tuple[Any, ...] | None = None
        self._part = np.zeros(len(problem.order))
        self._progress = np.array([0, -1], np.int64)

    def reason(self, slot: int) -> str:
        """Why it lifts an item into `slot`."""
        return f"its {self._aspects.attribute} is wanted more in this slot"

    def retract(self, slot: int) -> None:
        """Undo the pick of `slot`, which no aspect counts yet."""
        assert self._progress[0] <= slot, "only the last pick can be undone"
        super().retract(slot)

    def parts(self, slot: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relevance and diversity part of every candidate's utility after `slot` picks."""
        aspect_parts(slot, self.gate.forced, self.gate.picks, *self._state())
        return self._relevance, self._part

    def _state(self) -> tuple[Any, ...]:
        if self._known is None:  # not before the first slot: until then the gate may be another one
            aspects, forced = self._aspects, self.gate.forced
            count = len(aspects.shares)
            free = np.ones(len(aspects.carried), bool)
            free[forced[forced >= 0]] = False
            supply = np.bincount(aspects.aspect[free[aspects.owners]], minlength=count).astype(np.int32)
            terms, aspect, amount = aspects.terms(self._amounts())
            self._known = (
                self.form, self._weight(), self._lead(), self._owned(), aspects.offsets, terms, aspect, amount,
                self._wanted(), self._nothing_yet(), supply, np.empty(len(aspect)), self._part, self._progress,
            )  # fmt: skip
        return self._known

    def _weight(self) -> float:
        return self.problem.diversity

    def _lead(self) -> float:
        return 0.0

    def _owned(self) -> NDArray[np.bool_]:
        return np.ones(self.problem.slots + 1, bool)

    def _amounts(self) -> Floats:
        """What each entry counts: float64 (entries,)."""
        return self._aspects.amount

    def _wanted(self) -> Floats:
        """What is wanted of each aspect."""
        return self._aspects.shares

    def _nothing_yet(self) -> Floats:
        """What no picks at all have of each aspect."""
        return np.zeros(len(self._aspects.shares))


class SlotStrategy(AspectStrategy):
    """r_i - lead x (how far candidate i's best aspect is from its turn) in the slots that are the strategy's own.

    Slot j is its own when floor(j delta) > floor((j - 1) delta), counted from the first slot after the items of earlier
    pages; the other slots go to relevance. The lead exceeds every difference of relevance, so turns come first.
    """

    def __init__(self, problem: Problem, gate: Gate) -> None:
        super().__init__(problem, gate)
        # In a slot one of the two decides, so nothing is weighed; only sums beyond float64 must not arise.
        largest = float(np.abs(problem.relevance).max(initial=0.0))
        self._relevance = self._adjusted = problem.relevance / (largest if largest > _HUGE else 1.0)

    def _weight(self) -> float:
        return 1.0

    def _lead(self) -> float:
        return float(np.ptp(self._relevance)) + 1.0

    def _owned(self) -> NDArray[np.bool_]:
        return owned_slots(self.problem.diversity, self.problem.slots, self.problem.seen)

    def _amounts(self) -> Floats:
        return np.ones(len(self._aspects.aspect))


def owned_slots(diversity: float, slots: int, seen: int) -> NDArray[np.bool_]:
    """Which slots are the strategy's own: bool (slots + 1,), the slot after the last too; exact for decimal numbers."""
    share = Fraction(diversity).limit_denominator(_DENOMINATOR)
    number = np.arange(1 - seen, slots + 2 - seen)
    steps = number * share.numerator // share.denominator - (number - 1) * share.numerator // share.denominator
    owned: NDArray[np.bool_] = (steps > 0) & (number > 0)
    return owned
