"""The search for the knee: the highest rate at which the promise holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.modes.verdict import Verdict

GROWTH = 2.0
PRECISION = 0.06
LOWEST = 0.5  # requests a second
MOST_STEPS = 16


@dataclass(frozen=True, slots=True)
class Knee:
    """`met` is the highest rate that met the promise (0: none did); `beyond` the lowest that failed twice, and why.

    With `why` SATURATED the generator gave out first: the knee is at `met` or above it. `beyond` is infinite when the
    search ended before any rate had failed twice. `tried` is the lowest rate that was measured, infinite if none.
    """

    met: float
    beyond: float
    why: Verdict
    tried: float = math.inf

    @property
    def closed(self) -> bool:
        """Whether the search came to its end: the gap is as narrow as it should be, and a promise was broken there."""
        return self.why is Verdict.MISSED and self.met > 0 and self.beyond / self.met <= 1 + PRECISION + 1e-9


def search(measure: Callable[[float], Verdict | None], first: float, most_steps: int = MOST_STEPS) -> Knee:
    """Double from `first` until the promise breaks, then halve the gap (as a ratio) down to 6 %.

    A rate counts as too high only when it misses twice, because one stumble of the machine is no knee: a miss that
    cannot be tried again counts for nothing. `measure` says None when no more can be tried; what it does not know
    ends the search too.
    """
    met, beyond, why, tried = 0.0, math.inf, Verdict.MET, math.inf
    rate, steps = first, 0
    while steps < most_steps:
        found = measure(rate)
        steps += 1
        if found is not None:
            tried = min(tried, rate)
        if found in (Verdict.MISSED, Verdict.SATURATED):
            found = measure(rate) if steps < most_steps else None
            steps += 1
        if found is Verdict.MET:
            met = max(met, rate)
        elif found in (Verdict.MISSED, Verdict.SATURATED):
            beyond, why = rate, found
        else:
            break
        if met == 0.0:
            rate = beyond / GROWTH
        elif math.isinf(beyond):
            rate = met * GROWTH
        else:
            rate = math.sqrt(met * beyond)
        if rate < LOWEST or beyond / max(met, 1e-9) <= 1 + PRECISION:
            break
    return Knee(met, beyond, why, tried)
