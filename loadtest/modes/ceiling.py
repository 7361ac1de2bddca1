"""The generator alone against an echo: how much one client process can drive, and that it says so beyond."""

from __future__ import annotations

import math
import os
from typing import Any

from loadtest.modes.knee import search
from loadtest.modes.session import echo_alone
from loadtest.modes.verdict import Verdict
from loadtest.output.document import beginning, of_outcome
from loadtest.output.live import Live
from loadtest.output.words import milliseconds
from loadtest.output.words import rate as rate_in_words
from loadtest.results.outcome import Outcome
from loadtest.workload.scenario import Scenario

STEP_SECONDS = 4.0
STEP_WARM_UP = 1.0
_MOST_ERRORS = 0.01


def run(scenario: Scenario, live: Live) -> tuple[dict[str, Any], Verdict]:
    """Search the highest rate at which the generator keeps its schedule.

    One client process stays on one core; the echo has another where there is one. Finding the limit is the purpose,
    so the verdict is MET when the generator was seen to say that it is saturated, and SATURATED when it never was.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    runs: list[dict[str, Any]] = []
    live.note(f"one client process against an echo, on cores {cores}")
    with echo_alone(scenario, cores) as (trial, echo):
        document = beginning("ceiling", scenario, trial.workload)

        def measure(rate: float) -> Verdict:
            outcome = trial.at(rate=rate).measure(echo, live.silent)
            verdict = _verdict(outcome)
            busiest = max(usage.share for usage in outcome.machine.clients)
            live.note(
                f"  {rate_in_words(rate):>8} a second: late p99 {milliseconds(outcome.late.percentile(99))} ms, "
                f"client {busiest:.0%} of a core, {outcome.counts.errors} errors: {_WORDS[verdict]}"
            )
            runs.append({**of_outcome(outcome, "step"), "verdict": _WORDS[verdict]})
            return verdict

        knee = search(measure, scenario.run.rate)
    document["runs"] = runs
    document["knee"] = {
        "met": knee.met,
        "beyond": None if math.isinf(knee.beyond) else knee.beyond,
        "why": _WORDS[knee.why],
    }
    document["findings"] = [_sentence(knee.met, knee.beyond, knee.why)]
    return document, Verdict.MET if knee.why is Verdict.SATURATED else Verdict.SATURATED


_WORDS = {Verdict.MET: "kept", Verdict.MISSED: "the echo gave out", Verdict.SATURATED: "saturated"}


def _verdict(outcome: Outcome) -> Verdict:
    """Whether the schedule was kept; MISSED stands for an echo that gave out first."""
    if outcome.saturated:
        return Verdict.SATURATED
    return Verdict.MISSED if outcome.counts.share(outcome.counts.errors) > _MOST_ERRORS else Verdict.MET


def _sentence(met: float, beyond: float, why: Verdict) -> str:
    kept = f"One client process on one core keeps {rate_in_words(met)} requests a second."
    if why is Verdict.SATURATED:
        return f"{kept} At {rate_in_words(beyond)} it says that it is saturated."
    if why is Verdict.MISSED:
        return f"{kept} At {rate_in_words(beyond)} the echo gave out, not the generator: its limit is there or above."
    return f"{kept} Its limit was not reached."
