"""What a server can do: the most answers in time that it gives, at whatever rate it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from examples.server_process import ServerFailed
from loadtest.modes.session import Session
from loadtest.modes.trial import Trial
from loadtest.output.document import of_outcome
from loadtest.output.live import Live
from loadtest.output.words import rate as rate_in_words
from loadtest.results.outcome import Outcome

STEP_SECONDS = 5.0
STEP_WARM_UP = 1.0
_KEPT = 0.97  # of what was offered, answered in time: the rate is within what the server does
_BROKEN = 0.85
_MOST_DOUBLINGS = 12
_STEPS_BETWEEN = 3


@dataclass(frozen=True)
class Capacity:
    """`peak` answers in time a second; `request_us` is what one costs the server's CPU while nobody is refused."""

    peak: float
    request_us: float
    runs: tuple[dict[str, Any], ...]


def in_time(outcome: Outcome) -> int:
    """Answers within the deadline, counted from when the request was due."""
    return outcome.counts.codes["OK"] - late(outcome)


def late(outcome: Outcome) -> int:
    """Answers that came when the deadline had passed."""
    return outcome.counts.deadline_misses - outcome.counts.codes["DEADLINE_EXCEEDED"]


def goodput(outcome: Outcome) -> float:
    """Answers in time, a second."""
    return in_time(outcome) / outcome.seconds


def step(session: Session, live: Live, trial: Trial, runs: list[dict[str, Any]]) -> Outcome:
    """Measure one rate, say what came of it, and keep it."""
    outcome = trial.measure(session.servers[0], live.silent)
    if outcome.machine.server_gone:
        raise ServerFailed(f"the server's process ended at {rate_in_words(outcome.rate)} requests a second")
    live.note(f"  {rate_in_words(outcome.rate):>8} a second: {rate_in_words(goodput(outcome))} in time")
    runs.append({**of_outcome(outcome, "step"), "verdict": f"{rate_in_words(goodput(outcome))} in time"})
    return outcome


def measure(session: Session, live: Live) -> Capacity:
    """Double the rate until answers fall behind it, then look between the last two rates for the most."""
    live.note("searching the most answers in time")
    runs: list[dict[str, Any]] = []
    base = session.trial.at(seconds=STEP_SECONDS, warm_up=STEP_WARM_UP)
    rate, kept, peak, cost = session.trial.run.rate, 0.0, 0.0, math.nan
    for _ in range(_MOST_DOUBLINGS):
        outcome = step(session, live, base.at(rate=rate, seed=base.run.seed + len(runs)), runs)
        peak = max(peak, goodput(outcome))
        share = goodput(outcome) / outcome.offered
        if share >= _KEPT:
            kept, cost = rate, outcome.server_us or cost
        if share < _BROKEN:
            break
        rate *= 2
    low, high = max(kept, rate / 4), rate
    for number in range(1, _STEPS_BETWEEN + 1):
        between = low * (high / low) ** (number / (_STEPS_BETWEEN + 1))
        outcome = step(session, live, base.at(rate=between, seed=base.run.seed + len(runs)), runs)
        peak = max(peak, goodput(outcome))
        if goodput(outcome) / outcome.offered >= _KEPT:
            cost = outcome.server_us or cost
    return Capacity(peak, cost, tuple(runs))
