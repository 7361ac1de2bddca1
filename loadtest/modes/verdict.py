"""How a load test ends, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from loadtest.results.gates import Gate, judge, missed
from loadtest.results.outcome import Outcome
from loadtest.workload.scenario import Slo


class Verdict(IntEnum):
    """The value is the exit code. 2 is for scenarios and flags that are wrong, 4 for servers that do not come up."""

    MET = 0
    MISSED = 1
    SATURATED = 3


def verdict_of(slo: Slo, outcome: Outcome) -> Verdict:
    """A generator that was saturated has measured itself, so its figures neither meet nor miss anything."""
    if outcome.saturated:
        return Verdict.SATURATED
    return Verdict.MISSED if missed(judge(slo, outcome)) else Verdict.MET


def of_gates(gates: Iterable[Gate], saturated: bool) -> Verdict:
    """The same for gates that are there already."""
    if saturated:
        return Verdict.SATURATED
    return Verdict.MISSED if any(not gate.met for gate in gates) else Verdict.MET
