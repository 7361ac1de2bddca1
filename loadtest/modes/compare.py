"""Two servers side by side: in turn, the same questions at the same times, and how sure the difference is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loadtest.errors import LoadtestError
from loadtest.modes.session import Session
from loadtest.modes.verdict import Verdict
from loadtest.output.document import beginning, number, of_outcome
from loadtest.output.live import Live
from loadtest.output.words import milliseconds
from loadtest.results.confidence import FEWEST_PAIRS, more_by_chance, ratio_of
from loadtest.results.outcome import Outcome

PAIRS = 8
BLOCK_SECONDS = 4.0
BLOCK_WARM_UP = 1.0
MOST_PAIRS = 200
TOLERANCE = 0.05
"""How much worse the second may be: the promise is missed when even the interval's lower end is beyond it."""

LIKELY_BY_CHANCE = 0.025
"""Errors and the like are more only when chance alone gives so many less often than this."""

_FIGURES: tuple[tuple[str, str, Callable[[Outcome], float]], ...] = (
    ("p50", "ms", lambda outcome: outcome.latency.known([50])[0]),
    ("p95", "ms", lambda outcome: outcome.latency.known([95])[0]),
    ("p99", "ms", lambda outcome: outcome.latency.known([99])[0]),
    ("server CPU", "µs", lambda outcome: math.nan if outcome.server_us is None else outcome.server_us),
)
_COUNTS: tuple[tuple[str, Callable[[Outcome], int]], ...] = (
    ("errors", lambda outcome: outcome.counts.errors),
    ("degraded", lambda outcome: outcome.counts.degraded),
    ("too late", lambda outcome: outcome.counts.deadline_misses),
)
NOT_KNOWN = "not known"


def check_pairs(pairs: int) -> None:
    """Raises `LoadtestError` for too few to say anything, or too many."""
    if not FEWEST_PAIRS <= pairs <= MOST_PAIRS:
        raise LoadtestError(f"pairs must be from {FEWEST_PAIRS} to {MOST_PAIRS}")


def run(session: Session, live: Live, pairs: int = PAIRS) -> tuple[dict[str, Any], Verdict]:
    """Measure in pairs, each in the opposite order of the one before: what drifts with time falls on both."""
    check_pairs(pairs)
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
        p50, p99 = ([found[-1].latency.known([p])[0] for found in outcomes] for p in (50, 99))
        errors = [found[-1].counts.errors for found in outcomes]
        live.note(
            f"  pair {pair + 1}: p50 {' and '.join(map(milliseconds, p50))} ms, "
            f"p99 {' and '.join(map(milliseconds, p99))} ms, errors {' and '.join(map(str, errors))}"
        )
    rows, findings, verdict = compared(second.name, *outcomes)
    document["comparison"], document["findings"] = rows, findings
    return document, verdict


def compared(
    name: str, first: Sequence[Outcome], second: Sequence[Outcome]
) -> tuple[list[dict[str, Any]], list[str], Verdict]:
    """The rows, what they say of the second server (`name`), and the verdict.

    Not known to be worse is only called met when every figure could be compared.
    """
    rows = [_row(*figure, first, second) for figure in _FIGURES]
    rows += [_counted(*figure, first, second) for figure in _COUNTS]
    worse = [row["name"] for row in rows if row["worse"]]
    needed = [row for row in rows if row["name"] != "server CPU" or row["known"]]  # nobody may know the process
    unknown = [f"{row['name']} {row['verdict']}" for row in needed if not row["known"]]
    findings = [_sentence(name, worse, rows, unknown)]
    everything = [*first, *second]
    if any(outcome.machine.server_gone for outcome in everything):
        return rows, findings, Verdict.GONE
    if any(outcome.saturated for outcome in everything):
        return rows, findings, Verdict.SATURATED
    if worse:
        return rows, findings, Verdict.MISSED
    return rows, findings, Verdict.UNKNOWN if unknown else Verdict.MET


def _row(
    name: str, unit: str, figure: Callable[[Outcome], float], first: Sequence[Outcome], second: Sequence[Outcome]
) -> dict[str, Any]:
    values = [[figure(outcome) for outcome in found] for found in (first, second)]
    pairs = len(first)
    without = [sum(math.isinf(value) for value in found) for found in values]
    ratio = ratio_of(*values)
    known = ratio.pairs == pairs  # to leave out the pairs that went wrong would be to choose
    if known:
        verdict = ratio.verdict
    elif any(without):
        verdict = f"{NOT_KNOWN}: unanswered in {without[0]} and {without[1]} of {pairs}"
    else:
        verdict = f"{NOT_KNOWN}: too little was measured"
    return {
        "name": name,
        "unit": unit,
        "first": number(float(np.median(values[0]))),
        "second": number(float(np.median(values[1]))),
        **{key: number(getattr(ratio, key)) if known else None for key in ("ratio", "low", "high")},
        "pairs": ratio.pairs,
        "known": known,
        "worse": known and ratio.low > 1 + TOLERANCE,
        "verdict": verdict,
    }


def _counted(
    name: str, figure: Callable[[Outcome], int], first: Sequence[Outcome], second: Sequence[Outcome]
) -> dict[str, Any]:
    """Both servers were asked the same number of times, so that counts can be compared as they are."""
    one, other = (sum(figure(outcome) for outcome in found) for found in (first, second))
    more = more_by_chance(one, other) < LIKELY_BY_CHANCE
    less = more_by_chance(other, one) < LIKELY_BY_CHANCE
    return {
        "name": name,
        "unit": "requests",
        "first": one,
        "second": other,
        "ratio": None,
        "low": None,
        "high": None,
        "pairs": len(first),
        "known": True,
        "worse": more,
        "verdict": "more" if more else "less" if less else "no difference shown",
    }


def _sentence(second: str, worse: list[str], rows: list[dict[str, Any]], unknown: list[str]) -> str:
    parts = []
    if worse:
        parts.append(f"{second} is worse: {', '.join(worse)}.")
    shown = [f"{row['name']} {row['verdict']}" for row in rows if row["known"] and row["verdict"] in ("less", "more")]
    if shown:
        parts.append(f"{second} beside the first: {', '.join(shown)}.")
    if unknown:
        parts.append(f"{'; '.join(unknown)}.")
    if not parts:
        widest = max((row for row in rows if row["high"]), key=lambda row: float(row["high"]))
        parts.append(f"No difference is shown; {widest['name']} may be up to {widest['high']:.2f} times the first's.")
    if any(row["first"] or row["second"] for row in rows if row["name"] == "errors"):
        errors = next(row for row in rows if row["name"] == "errors")
        parts.append(f"Requests without an answer: {errors['first']:,} and {errors['second']:,}.")
    return " ".join(parts)
