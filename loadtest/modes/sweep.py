"""A sweep to the knee: the highest rate at which the promise holds."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from examples.server_process import ServerFailed
from loadtest.modes.knee import Knee, search
from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict, verdict_of
from loadtest.output.document import beginning, of_outcome
from loadtest.output.live import Live
from loadtest.output.words import milliseconds
from loadtest.output.words import rate as rate_in_words
from loadtest.results.gates import PERCENTS
from loadtest.workload.scenario import Slo

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
        settings = session.trial.run
        seconds = seconds_for(session.scenario.slo, rate, settings.seconds)
        if time.monotonic() + seconds - settings.seconds > until:
            return None
        trial = session.trial.at(rate=rate, seconds=seconds, seed=settings.seed + len(runs))
        outcome = trial.measure(session.servers[0], live.silent)
        verdict = verdict_of(session.scenario.slo, outcome)
        p50, p99 = outcome.latency.known([50, 99])
        live.note(
            f"  {rate_in_words(rate):>8} a second: p50 {milliseconds(p50)}, p99 {milliseconds(p99)} ms, "
            f"{outcome.counts.errors} errors: {verdict.name.lower()}"
        )
        runs.append({**of_outcome(outcome, "step"), "verdict": verdict.name.lower()})
        if verdict is Verdict.GONE:
            raise ServerFailed(f"the server's process ended at {rate_in_words(rate)} requests a second")
        return verdict

    return runs, search(measure, session.trial.run.rate)


def judged(knee: Knee, wanted: float) -> Verdict:
    """Whether the scenario's own rate is at or below the knee; unknown when it was not seen to fail twice either."""
    if knee.met >= wanted:
        return Verdict.MET
    return knee.why if knee.beyond <= wanted and knee.why is not Verdict.MET else Verdict.UNKNOWN


def in_words(knee: Knee) -> dict[str, Any]:
    """For the document."""
    return {
        "met": knee.met,
        "beyond": None if math.isinf(knee.beyond) else knee.beyond,
        "why": knee.why.name.lower(),
        "closed": knee.closed,
    }


def sentence(knee: Knee) -> str:
    """For people."""
    met, beyond = rate_in_words(knee.met), rate_in_words(knee.beyond)
    if math.isinf(knee.tried):
        return "No rate was tried: there was no time for it."
    if knee.met == 0 and math.isinf(knee.beyond):
        return f"Nothing is known: time ran out before a result at {rate_in_words(knee.tried)} a second was confirmed."
    if knee.met == 0 and knee.why is Verdict.SATURATED:
        return f"The generator was saturated at every rate, down to {beyond} a second: nothing is known of the server."
    if knee.met == 0:
        return f"No rate met the promise; {beyond} a second was the lowest that was tried twice."
    if math.isinf(knee.beyond):
        return f"The promise holds at {met} a second; the search ended before any rate had broken it twice."
    if knee.why is Verdict.SATURATED:
        return (
            f"The promise holds at {met} a second. At {beyond} the generator itself was saturated, so the knee is "
            "there or above."
        )
    if not knee.closed:
        return f"The knee lies between {met} and {beyond} a second; time ran out before it was narrowed down."
    return f"The knee: {met} a second meets the promise, {beyond} does not."


def seconds_for(slo: Slo, rate: float, seconds: float) -> float:
    """A step lasts as long as the promised percentiles need requests, with some to spare: arrivals may be random."""
    percents = [PERCENTS[name] for name, limit in asdict(slo).items() if limit is not None and name in PERCENTS]
    if not percents:
        return seconds
    wanted = 100 / (100 - max(percents))
    return max(seconds, (wanted + 4 * math.sqrt(wanted)) / rate)
