"""One rate, and the soak, which is one rate for long: an echo of the same bytes first, then the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict, of_gates
from loadtest.output.document import beginning, of_outcome
from loadtest.output.document import of_gates as gates_in_words
from loadtest.output.live import Live
from loadtest.results.gates import Gate, judge
from loadtest.results.outcome import Outcome, Second

MEMORY_GROWTH = 0.10
"""Of the server's memory, from the first tenth of a soak to its end."""

P99_DRIFT = 1.5
"""The median second's p99 in the last third of a soak beside that of the first third."""

_SECONDS_OF_ECHO = 15.0


def run(session: Session, live: Live, *, soak: bool = False) -> tuple[dict[str, Any], Verdict]:
    """Measure and judge."""
    mode = "soak" if soak else "rate"
    document = beginning(mode, session.scenario, session.trial.workload)
    document["runs"] = []
    settings = session.trial.run
    saturated = False
    if session.echo is not None:
        seconds = min(settings.seconds, _SECONDS_OF_ECHO)
        live.begin(f"an echo of the same bytes, {settings.rate:g} a second", seconds)
        floor = session.trial.at(seconds=seconds).measure(session.echo, live.second)
        document["runs"].append(of_outcome(floor, "echo"))
        saturated = bool(floor.saturated)
    live.begin(f"the server, {settings.rate:g} a second", settings.seconds)
    outcome = session.trial.measure(session.servers[0], live.second)
    document["runs"].append(of_outcome(outcome, "server"))
    gates = judge(session.scenario.slo, outcome)
    if soak:
        gates += lasting(outcome, even=session.trial.arrivals.kind in ("constant", "poisson"))
    document["gates"] = gates_in_words(gates)
    return document, of_gates(gates, saturated or bool(outcome.saturated))


def lasting(outcome: Outcome, even: bool = True) -> list[Gate]:
    """What a soak promises beside the rest: no growth; no slowing down, where all seconds are asked alike (`even`)."""
    series = [second for second in outcome.series if not second.warm_up]
    third = max(1, len(series) // 3)
    gates = []
    if even:
        gates.append(Gate("p99_drift", P99_DRIFT, _middle(series[-third:]) / _middle(series[:third])))
    memory = [second.server_memory for second in series if second.server_memory]
    if memory:
        gates.append(Gate("memory_growth", MEMORY_GROWTH, max(0.0, memory[-1] / memory[len(memory) // 10] - 1)))
    return gates


def _middle(series: Sequence[Second]) -> float:
    return float(np.median([second.p99 for second in series if second.due]))
