"""How long to wait before what ended is started again."""

from __future__ import annotations

import random

FIRST = 0.1
MOST = 10.0
LAST_ONE = 1.0
"""The most seconds to wait where nothing else serves."""
_CALM = 60.0  # seconds of life after which an end is no longer part of a series


class Backoff:
    """Seconds to wait: twice as long each time, from a tenth of a second to ten, and a random half of it less.

    The random part keeps what fell together from coming back together. Who lived for a minute begins anew.
    """

    def __init__(self) -> None:
        self._ends = 0

    def after(self, lived: float) -> float:
        """The wait after a life of so many seconds."""
        self._ends = 1 if lived >= _CALM else self._ends + 1
        longest = min(MOST, FIRST * 2.0 ** min(self._ends - 1, 20))
        return longest * random.uniform(0.5, 1.0)
