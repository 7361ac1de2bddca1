"""A sweep to the knee: the highest rate at which the promise holds."""

from __future__ import annotations

import math
import time
from typing import Any

from loadtest.modes.knee import Knee, search
from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict, verdict_of
from loadtest.output.document import beginning, of_outcome
from loadtest.output.live import Live
from loadtest.output.words import milliseconds
from loadtest.output.words import rate as rate_in_words

STEP_SECONDS = 5.0
STEP_WARM_UP = 1.0
LONGEST = 90.0
"""Seconds after which no further rate is tried."""


def run(session: Session, live: Live, longest: float = LONGEST) -> tuple[dict[str, Any], Verdict]:
    """Search. The promise is met when the knee is not below the scenario's own rate."""
    document = beginning("sweep", session.scenario, session.trial.workload)
    document["runs"], knee = steps_to_the_knee(session, live, longest)
    document["knee"] = in_words(knee)
    document["findings"] = [sentence(knee)]
    return document, judged(knee, session.trial.run.rate)


def steps_to_the_knee(session: Session, live: Live, longest: float = LONGEST) -> tuple[list[dict[str, Any]], Knee]:
    """Every rate that was tried, and the knee."""
    runs: list[dict[str, Any]] = []
    until = time.monotonic() + longest
    live.note("searching the knee")

    def measure(rate: float) -> Verdict | None:
        if time.monotonic() > until:
            return None
        trial = session.trial.at(rate=rate, seed=session.trial.run.seed + len(runs))
        outcome = trial.measure(session.servers[0], live.silent)
        verdict = verdict_of(session.scenario.slo, outcome)
        p50, p99 = outcome.latency.percentiles([50, 99])
        live.note(
            f"  {rate_in_words(rate):>8} a second: p50 {milliseconds(p50)}, p99 {milliseconds(p99)} ms, "
            f"{outcome.counts.errors} errors: {verdict.name.lower()}"
        )
        runs.append({**of_outcome(outcome, "step"), "verdict": verdict.name.lower()})
        return verdict

    return runs, search(measure, session.trial.run.rate)


def judged(knee: Knee, wanted: float) -> Verdict:
    """Whether the scenario's own rate is at or below the knee."""
    if knee.met >= wanted:
        return Verdict.MET
    return Verdict.SATURATED if knee.why is Verdict.SATURATED else Verdict.MISSED


def in_words(knee: Knee) -> dict[str, Any]:
    """For the document."""
    return {
        "met": knee.met,
        "beyond": None if math.isinf(knee.beyond) else knee.beyond,
        "why": knee.why.name.lower(),
    }


def sentence(knee: Knee) -> str:
    """For people."""
    if knee.met == 0:
        return f"No rate met the promise; {rate_in_words(knee.beyond)} a second was the lowest that was tried."
    if math.isinf(knee.beyond):
        return f"The promise holds at {rate_in_words(knee.met)} a second; time ran out before any rate broke it."
    if knee.why is Verdict.SATURATED:
        return (
            f"The promise holds at {rate_in_words(knee.met)} a second. At {rate_in_words(knee.beyond)} the generator "
            "itself was saturated, so the knee is there or above."
        )
    return f"The knee: {rate_in_words(knee.met)} a second meets the promise, {rate_in_words(knee.beyond)} does not."
