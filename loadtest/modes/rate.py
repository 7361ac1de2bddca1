"""One rate, and the soak, which is one rate for long: an echo of the same bytes first, then the server."""

from __future__ import annotations

import math
from typing import Any

from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict, of_gates
from loadtest.output.document import beginning, number, of_outcome
from loadtest.output.document import of_gates as gates_in_words
from loadtest.output.live import Live
from loadtest.results.gates import Gate, judge
from loadtest.results.outcome import Outcome
from loadtest.results.slopes import SMALL, slope_of

MEMORY_GROWTH = 0.10
"""Of the server's memory, from the first tenth of a soak to its end."""

P99_DRIFT = 1.5
"""p99 of the last third of a soak beside that of the first third."""

SHORTEST_SOAK = 30.0
"""Seconds below which nothing is said about what lasts."""

_SECONDS_OF_ECHO = 15.0


def run(session: Session, live: Live, *, soak: bool = False) -> tuple[dict[str, Any], Verdict]:
    """Measure and judge."""
    mode = "soak" if soak else "rate"
    document = beginning(mode, session.scenario, session.trial.workload)
    document["runs"] = []
    settings = session.trial.run
    outcomes = []
    if session.echo is not None:
        seconds = min(settings.seconds, _SECONDS_OF_ECHO)
        live.begin(f"an echo of the same bytes, {settings.rate:g} a second", seconds)
        outcomes.append(session.trial.measure(session.echo, live.second, first_seconds=seconds))
        document["runs"].append(of_outcome(outcomes[0], "echo"))
    live.begin(f"the server, {settings.rate:g} a second", settings.seconds)
    outcome = session.trial.measure(session.servers[0], live.second)
    document["runs"].append(of_outcome(outcome, "server"))
    gates = judge(session.scenario.slo, outcome)
    if soak:
        gates += lasting(outcome, even=session.trial.arrivals.kind in ("constant", "poisson"))
        if outcome.machine.server_memory is None:
            document["findings"] = ["The server's memory was not watched: its process is not known; --pid tells it."]
        document["slopes"], rising = slopes(outcome)
        gates += rising
    document["gates"] = gates_in_words(gates)
    return document, of_gates(gates, [*outcomes, outcome])


def slopes(outcome: Outcome) -> tuple[list[dict[str, Any]], list[Gate]]:
    """How p99 and memory went over the run, and the promise that neither rises."""
    series = [second for second in outcome.series if not second.warm_up]
    unknown = "" if outcome.seconds >= SHORTEST_SOAK else f"it wants {SHORTEST_SOAK:.0f} s or more"
    figures = (
        ("p99", "ms", [second.p99 for second in series]),
        ("memory", "MB", [(second.server_memory or math.nan) / 1e6 for second in series]),
    )
    rows, gates = [], []
    for name, unit, values in figures:
        found = slope_of(values)
        rows.append(
            {
                "name": name,
                "unit": unit,
                **{key: number(getattr(found, key)) for key in ("mean", "change", "low", "high")},
                "verdict": found.verdict,
            }
        )
        if found.is_flat is not None:
            # What is surely there: the lower end of the interval.
            gates.append(Gate(f"{name}_rise", SMALL, 0.0 if found.is_flat else found.low, unknown))
    return rows, gates


def lasting(outcome: Outcome, even: bool = True) -> list[Gate]:
    """What a soak promises beside the rest: no growth; no slowing down, where all seconds are asked alike (`even`)."""
    series = [second for second in outcome.series if not second.warm_up]
    unknown = "" if outcome.seconds >= SHORTEST_SOAK else f"it wants {SHORTEST_SOAK:.0f} s or more"
    gates = []
    if even:
        first, _, last = outcome.thirds
        few = "" if first.knows(99) and last.knows(99) else "it wants a hundred requests in each third"
        begun, ended = first.percentile(99), last.percentile(99)
        if math.isinf(begun):
            few = "p99 of the first third is unanswered"
        gates.append(Gate("p99_drift", P99_DRIFT, math.nan if unknown or few else ended / begun, unknown or few))
    memory = [second.server_memory for second in series if second.server_memory]
    if memory:
        growth = max(0.0, memory[-1] / memory[len(memory) // 10] - 1)
        gates.append(Gate("memory_growth", MEMORY_GROWTH, math.nan if unknown else growth, unknown))
    return gates
