"""The generator alone against an echo: how much one client process can drive, and that it says so beyond."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from loadtest.errors import GeneratorFailed
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
MOST_OF_THE_FLOOR = 2.0
"""How many times its lowest median a rate may have that counts as usable."""


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
    document["usable"] = usable(runs)
    document["findings"] = [_sentence(knee.met, knee.beyond, knee.why), *_usable_in_words(document["usable"])]
    return document, Verdict.MET if knee.why is Verdict.SATURATED else Verdict.SATURATED


_WORDS = {Verdict.MET: "kept", Verdict.MISSED: "the echo gave out", Verdict.SATURATED: "saturated"}


def _verdict(outcome: Outcome) -> Verdict:
    """Whether the schedule was kept; MISSED stands for an echo that gave out first."""
    if outcome.machine.server_gone:
        raise GeneratorFailed(f"measured nothing: the echo's process ended at {rate_in_words(outcome.rate)} a second")
    if outcome.saturated:
        return Verdict.SATURATED
    return Verdict.MISSED if outcome.counts.share(outcome.counts.errors) > _MOST_ERRORS else Verdict.MET


def usable(runs: Sequence[dict[str, Any]]) -> float | None:
    """The highest rate that was kept with a median within twice the lowest one: beyond it answers wait for the client.

    A generator may keep its schedule for the sending and still be slow to take answers in. None when nothing was kept.
    """
    kept = {float(run["rate"]): run["latency_ms"].get("p50") for run in runs if run["verdict"] == _WORDS[Verdict.MET]}
    medians = {rate: p50 for rate, p50 in kept.items() if isinstance(p50, float)}
    if not medians:
        return None
    most = MOST_OF_THE_FLOOR * min(medians.values())
    beyond = min((rate for rate, p50 in medians.items() if p50 > most), default=math.inf)
    return max((rate for rate in medians if rate < beyond), default=None)


def _usable_in_words(rate: float | None) -> list[str]:
    if rate is None:
        return []
    return [f"Up to {rate_in_words(rate)} a second the median stays within {MOST_OF_THE_FLOOR:g} times its lowest."]


def _sentence(met: float, beyond: float, why: Verdict) -> str:
    if met == 0:
        return f"No rate was kept; {rate_in_words(beyond)} a second was the lowest that was tried twice."
    kept = f"One client process on one core keeps {rate_in_words(met)} requests a second."
    if why is Verdict.SATURATED:
        return f"{kept} At {rate_in_words(beyond)} it says that it is saturated."
    if why is Verdict.MISSED:
        return f"{kept} At {rate_in_words(beyond)} the echo gave out, not the generator: its limit is there or above."
    return f"{kept} Its limit was not reached."
