"""How a load test ends, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from loadtest.results.gates import Gate, judge
from loadtest.results.outcome import Outcome
from loadtest.workload.scenario import Slo


class Verdict(IntEnum):
    """The value is the exit code. 2 is for scenarios and flags that are wrong."""

    MET = 0
    MISSED = 1
    SATURATED = 3
    GONE = 4
    UNKNOWN = 5


IN_WORDS = {
    Verdict.MET: "met",
    Verdict.MISSED: "missed",
    Verdict.SATURATED: "the generator was saturated: these figures say nothing about the server",
    Verdict.GONE: "the server's process ended while it was under load",
    Verdict.UNKNOWN: "not known: the figures do not decide it",
}
_GRAVEST_FIRST = (Verdict.GONE, Verdict.MISSED, Verdict.SATURATED, Verdict.UNKNOWN, Verdict.MET)


def verdict_of(slo: Slo, outcome: Outcome) -> Verdict:
    """Of one run."""
    return of_gates(judge(slo, outcome), [outcome])


def of_gates(gates: Iterable[Gate], outcomes: Iterable[Outcome]) -> Verdict:
    """Of gates and the runs they were judged by.

    A server whose process has ended is said to be gone before anything else. A generator that was saturated has
    measured itself, so its figures neither meet nor miss anything. Without a gate nothing can be met.
    """
    found, runs = list(gates), list(outcomes)
    if any(outcome.machine.server_gone for outcome in runs):
        return Verdict.GONE
    if any(outcome.saturated for outcome in runs):
        return Verdict.SATURATED
    if any(gate.missed for gate in found):
        return Verdict.MISSED
    return Verdict.MET if found and all(gate.met for gate in found) else Verdict.UNKNOWN


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several tests: what is known to be wrong comes before what is not known."""
    return min(verdicts, key=_GRAVEST_FIRST.index)
