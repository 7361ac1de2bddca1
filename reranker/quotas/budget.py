"""How much one request may spend on looking for a slate that keeps its bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass

_ADDITIONS = 20_000_000  # of one search: a few tens of milliseconds
_A_SECOND = 400_000_000  # additions that a slow core makes in it
_SHARE = 0.4  # of the time that is left: the rest is for selecting and answering


@dataclass(frozen=True, slots=True)
class Budget:
    """`additions` is what any one exact search, or a whole look-ahead, may cost."""

    additions: int = _ADDITIONS

    @classmethod
    def until(cls, deadline: float | None) -> Budget:
        """What is in reach of a `deadline` on `time.perf_counter()`; the whole without one, or with a distant one.

        A request with the whole budget is answered alike on every run; nearer deadlines may make a search give up.
        """
        if deadline is None:
            return cls()
        left = max(0.0, deadline - time.perf_counter())
        return cls(min(_ADDITIONS, int(_SHARE * left * _A_SECOND)))
