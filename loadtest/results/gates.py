"""The service-level objective as gates: each promise beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.results.outcome import Outcome
from loadtest.workload.scenario import Slo

_PERCENTS = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9}


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise: `measured` must not exceed `limit`. Percentiles are in milliseconds, shares from 0 to 1."""

    name: str
    limit: float
    measured: float

    @property
    def met(self) -> bool:
        """A figure that is not a number meets nothing."""
        return self.measured <= self.limit


def judge(slo: Slo, outcome: Outcome) -> list[Gate]:
    """Every promise that was made."""
    counts = outcome.counts
    shares = {
        "errors": counts.share(counts.errors),
        "degraded": counts.share(counts.degraded),
        "deadline_misses": counts.share(counts.deadline_misses),
    }
    gates = []
    for name in (*_PERCENTS, *shares):
        limit = getattr(slo, name)
        if limit is not None:
            measured = outcome.latency.percentile(_PERCENTS[name]) if name in _PERCENTS else shares[name]
            gates.append(Gate(name, limit, measured))
    return gates


def missed(gates: Sequence[Gate]) -> list[Gate]:
    """Those that do not hold."""
    return [gate for gate in gates if not gate.met]
