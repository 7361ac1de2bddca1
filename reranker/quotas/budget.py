"""How much one request may spend on looking for a slate that keeps its bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_ADDITIONS = 20_000_000  # of one search: a few tens of milliseconds
_A_SECOND = 400_000_000  # additions that a slow core makes in it
_SHARE = 0.4  # of the time that is left: the rest is for selecting and answering
_HURRY = 0.5  # of the time that is left: from then on nothing is searched for, slots are filled from what is known


@dataclass(frozen=True, slots=True)
class Budget:
    """`additions` is what any one exact search, or a whole look-ahead, may cost.

    `hurry` is when searching has to end, on `time.perf_counter()`: a stop for whatever takes longer than it was
    reckoned to, and no part of what a request may spend.
    """

    additions: int = _ADDITIONS
    hurry: float = field(default=float("inf"), compare=False)

    @property
    def is_short(self) -> bool:
        """Whether a deadline leaves less than the whole budget."""
        return self.additions < _ADDITIONS

    @property
    def is_over(self) -> bool:
        """Whether there is no time left to search for anything."""
        return self.hurry < float("inf") and time.perf_counter() > self.hurry

    @classmethod
    def until(cls, deadline: float | None) -> Budget:
        """What is in reach of a `deadline` on `time.perf_counter()`; the whole without one, or with a distant one.

        A request with the whole budget is answered alike on every run; nearer deadlines may make a search give up.
        """
        if deadline is None:
            return _WHOLE
        now = time.perf_counter()
        left = max(0.0, deadline - now)
        return cls(min(_ADDITIONS, int(_SHARE * left * _A_SECOND)), now + _HURRY * left)


_WHOLE = Budget()
