"""Two servers side by side: in turn, the same questions at the same times, and how sure the difference is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loadtest.errors import LoadtestError
from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict
from loadtest.output.document import beginning, number, of_outcome
from loadtest.output.live import Live
from loadtest.output.words import milliseconds
from loadtest.results.confidence import FEWEST_PAIRS, ratio_of
from loadtest.results.outcome import Outcome

PAIRS = 8
BLOCK_SECONDS = 4.0
BLOCK_WARM_UP = 1.0
MOST_PAIRS = 200
TOLERANCE = 0.05
"""How much worse the second may be: the promise is missed when even the interval's lower end is beyond it."""

_FIGURES: tuple[tuple[str, str, Callable[[Outcome], float]], ...] = (
    ("p50", "ms", lambda outcome: outcome.latency.percentile(50)),
    ("p95", "ms", lambda outcome: outcome.latency.percentile(95)),
    ("p99", "ms", lambda outcome: outcome.latency.percentile(99)),
    ("server CPU", "µs", lambda outcome: float("nan") if outcome.server_us is None else outcome.server_us),
)


def run(session: Session, live: Live, pairs: int = PAIRS) -> tuple[dict[str, Any], Verdict]:
    """Measure in pairs, each in the opposite order of the one before: what drifts with time falls on both."""
    if not FEWEST_PAIRS <= pairs <= MOST_PAIRS:
        raise LoadtestError(f"pairs must be from {FEWEST_PAIRS} to {MOST_PAIRS}")
    first, second = session.servers
    document = beginning("compare", session.scenario, session.trial.workload)
    document["servers"] = [first.name, second.name]
    document["runs"] = []
    outcomes: tuple[list[Outcome], list[Outcome]] = ([], [])
    live.note(f"{pairs} pairs of {first.name} and {second.name}, {session.trial.run.rate:g} a second")
    for pair in range(pairs):
        trial = session.trial.at(seed=session.trial.run.seed + pair)
        for which in (0, 1) if pair % 2 == 0 else (1, 0):
            outcome = trial.measure(session.servers[which], live.silent)
            outcomes[which].append(outcome)
            document["runs"].append({**of_outcome(outcome, "block"), "server": which, "pair": pair})
        p50, p99 = ([found[-1].latency.percentile(p) for found in outcomes] for p in (50, 99))
        live.note(
            f"  pair {pair + 1}: p50 {' and '.join(map(milliseconds, p50))} ms, "
            f"p99 {' and '.join(map(milliseconds, p99))} ms"
        )
    document["comparison"] = [_row(name, unit, figure, *outcomes) for name, unit, figure in _FIGURES]
    worse = [row["name"] for row in document["comparison"] if (row["low"] or 0.0) > 1 + TOLERANCE]
    document["findings"] = [_sentence(second.name, worse, document["comparison"])]
    if any(outcome.saturated for found in outcomes for outcome in found):
        return document, Verdict.SATURATED
    errors = [sum(outcome.counts.errors for outcome in found) for found in outcomes]
    return document, Verdict.MISSED if worse or errors[1] > errors[0] else Verdict.MET


def _row(
    name: str, unit: str, figure: Callable[[Outcome], float], first: list[Outcome], second: list[Outcome]
) -> dict[str, Any]:
    values = [[figure(outcome) for outcome in found] for found in (first, second)]
    ratio = ratio_of(*values)
    return {
        "name": name,
        "unit": unit,
        "first": number(float(np.median(values[0]))),
        "second": number(float(np.median(values[1]))),
        "ratio": number(ratio.ratio),
        "low": number(ratio.low),
        "high": number(ratio.high),
        "pairs": ratio.pairs,
        "verdict": ratio.verdict,
    }


def _sentence(second: str, worse: list[str], rows: list[dict[str, Any]]) -> str:
    if worse:
        return f"{second} is worse by more than {TOLERANCE:.0%}: {', '.join(worse)}."
    shown = [f"{row['name']} {row['verdict']}" for row in rows if row["verdict"] in ("less", "more")]
    return f"{second} beside the first: {', '.join(shown)}." if shown else "No difference is shown."
