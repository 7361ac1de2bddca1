"""What a request knows of time: until when its answer is of use, and to whom."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from reranker.engine.pace import Paces
from reranker.errors import CallerGone, DeadlinePassed


class Presence:
    """Whether the caller still waits; whoever notices that it does not sets `gone`."""

    __slots__ = ("gone",)

    def __init__(self) -> None:
        self.gone = False

    def leave(self) -> None:
        """The caller does not wait any more."""
        self.gone = True


class Schedule(NamedTuple):
    """Until when an answer is of use: `deadline` on `clock`, None for ever, and while its caller is `present`.

    `paces` know how long things take and learn from what this request takes; without them nothing is expected of
    anything. `reserve` is the seconds that the answer takes once its slots are filled. Where `degrades`, a request that
    has too little time for its whole strategy gets the best slate that there is time for.
    """

    deadline: float | None = None
    present: Presence | None = None
    paces: Paces | None = None
    reserve: float = 0.0
    degrades: bool = False
    clock: Callable[[], float] = time.perf_counter

    @property
    def left(self) -> float:
        """Seconds until slots have to be filled; infinite without a deadline."""
        return float("inf") if self.deadline is None else self.deadline - self.reserve - self.clock()

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock() > self.deadline

    def until(self, seconds: float) -> Schedule:
        """The same for a part of the work that has to leave so many seconds to others, beside the reserve."""
        if self.deadline is None:
            return self
        end = self.deadline - self.reserve - seconds
        return Schedule(end, self.present, self.paces, 0.0, self.degrades, self.clock)

    def check(self, slots: int, filled: int) -> None:
        """Raises `DeadlinePassed` or `CallerGone` where no more of the slots need be filled."""
        if self.is_over:
            raise DeadlinePassed(slots, filled)
        if self.present is not None and self.present.gone:
            raise CallerGone(slots, filled)


UNHURRIED = Schedule()
"""Of a request without a deadline."""
