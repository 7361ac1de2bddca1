"""How long things take here, learned from what they took, by kind and size."""

from __future__ import annotations

from collections.abc import Hashable
from math import exp, log

_CELLS = 128  # two for each power of two of work
_LARGEST = 2**62
_LEAST = 1e-9  # seconds
_STEP = log(2.0)  # of one sample, at most, before it is weighed: one that took ages moves no estimate far
_UP, _DOWN = 0.3, 0.1  # weights of samples above and below: the estimate is one that three of four keep to
_FIRST = 8  # samples that count more, because the first of all may have been an odd one
_AT_FIRST = 0.5
_KINDS = 1_024  # far more than there are; a bound all the same
_SOONEST, _LATEST = 8, 512  # what does not seem to fit is tried all the same, one in so many times


class Pace:
    """Seconds of one kind of work by its size, in cells of about the same size. O(1) to ask and to learn.

    What is not tried because it seems too slow would seem so for ever, also when one bad minute made it seem so: now
    and then it is tried all the same. Threads may race for a cell: what is lost is one sample of many.
    """

    __slots__ = ("_counts", "_is_new", "_passed", "_seconds", "_turn")

    def __init__(self) -> None:
        self._seconds = [0.0] * _CELLS  # 0: nothing is known
        self._counts = [0] * _CELLS
        self._is_new = True
        self._passed, self._turn = 0, _SOONEST

    def expected(self, work: int) -> float | None:
        """Seconds that `work` will take, as three of four do; None where nothing was learned.

        A size that was not met yet takes what the nearest larger one does at most, and as many times what the nearest
        smaller one does as it is larger at most.
        """
        if self._is_new:
            return None
        cell = _cell(work)
        known = self._seconds[cell]
        if known:
            return known
        larger = next((seconds for seconds in self._seconds[cell + 1 :] if seconds), None)
        for below in range(cell - 1, -1, -1):
            if self._seconds[below]:
                scaled = self._seconds[below] * max(1, work) / _least_of(below)
                return scaled if larger is None else min(scaled, larger)
        return larger

    def learn(self, work: int, seconds: float) -> None:
        """It took so many seconds."""
        cell = _cell(work)
        known, count = self._seconds[cell], self._counts[cell]
        self._counts[cell] = count + 1
        seconds = max(seconds, _LEAST)
        if not known:
            self._seconds[cell], self._is_new = seconds, False
            return
        off = max(-_STEP, min(_STEP, log(seconds / known)))
        weight = _AT_FIRST if count < _FIRST else _UP if off > 0 else _DOWN
        self._seconds[cell] = known * exp(weight * off)

    def learn_at_least(self, work: int, seconds: float) -> None:
        """It was given up after so many seconds: that says something only where less was expected."""
        expected = self.expected(work)
        if expected is None or seconds > expected:
            self.learn(work, seconds)

    def may_try(self) -> bool:
        """Whether it is the turn of what does not seem to fit: one in 8 times, up to 512 where trying is in vain."""
        self._passed += 1
        if self._passed < self._turn:
            return False
        self._passed, self._turn = 0, min(_LATEST, 2 * self._turn)
        return True

    def relearn(self, work: int, seconds: float) -> None:
        """What was tried against all expectation did fit: what was known of it is out of date."""
        cell = _cell(work)
        self._seconds[cell], self._counts[cell], self._is_new = max(seconds, _LEAST), 1, False
        self._passed, self._turn = 0, _SOONEST


class Paces:
    """The paces of all kinds of work of one process."""

    def __init__(self) -> None:
        self._of: dict[Hashable, Pace] = {}

    def of(self, kind: Hashable) -> Pace:
        """The pace of one kind."""
        pace = self._of.get(kind)
        if pace is None:
            if len(self._of) >= _KINDS:
                self._of.clear()
            pace = self._of.setdefault(kind, Pace())
        return pace


def _cell(work: int) -> int:
    work = min(max(work, 2), _LARGEST)
    top = work.bit_length() - 1
    return 2 * top + (work >> (top - 1) & 1)


def _least_of(cell: int) -> int:
    """The least work in a cell."""
    top = cell // 2
    return (2 + cell % 2) << (top - 1) if top else 1
