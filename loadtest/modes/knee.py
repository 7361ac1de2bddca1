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
    """`met` is the highest rate that met the promise (0: none did); `beyond` the lowest that did not, and why.

    With `why` SATURATED the generator gave out first: the knee is at `met` or above it. `beyond` is infinite when the
    steps ran out before any rate failed.
    """

    met: float
    beyond: float
    why: Verdict


def search(measure: Callable[[float], Verdict | None], first: float, most_steps: int = MOST_STEPS) -> Knee:
    """Double from `first` until the promise breaks, then halve the gap (as a ratio) down to 6 %.

    A rate counts as too high only when it misses twice, because one stumble of the machine is no knee. `measure` says
    None when no more can be tried.
    """
    met, beyond, why = 0.0, math.inf, Verdict.MET
    rate, steps = first, 0
    while steps < most_steps:
        found = measure(rate)
        steps += 1
        if found in (Verdict.MISSED, Verdict.SATURATED) and steps < most_steps:
            again = measure(rate)
            steps += 1
            found = found if again is None else again
        if found is None:
            break
        if found is Verdict.MET:
            met = max(met, rate)
        else:
            beyond, why = rate, found
        if met == 0.0:
            rate = beyond / GROWTH
        elif math.isinf(beyond):
            rate = met * GROWTH
        else:
            rate = math.sqrt(met * beyond)
        if rate < LOWEST or beyond / max(met, 1e-9) <= 1 + PRECISION:
            break
    return Knee(met, beyond, why)
