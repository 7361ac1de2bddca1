"""The service-level objective as gates: each promise beside what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.results.outcome import Outcome
from loadtest.results.saturation import allowed
from loadtest.workload.scenario import Slo

PERCENTS = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9}


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise: `measured` must not exceed `limit`. Percentiles are in milliseconds, shares from 0 to 1.

    `unknown` says why the figures do not decide it; then it is neither met nor missed.
    """

    name: str
    limit: float
    measured: float
    unknown: str = ""

    @property
    def met(self) -> bool:
        """A figure that is not a number meets nothing."""
        return not self.unknown and self.measured <= self.limit

    @property
    def missed(self) -> bool:
        """Known to be broken."""
        return not self.unknown and not self.met


def judge(slo: Slo, outcome: Outcome) -> list[Gate]:
    """Every promise that was made."""
    counts = outcome.counts
    shares = {"errors": counts.errors, "degraded": counts.degraded, "deadline_misses": counts.deadline_misses}
    gates = []
    for name in (*PERCENTS, *shares):
        limit = getattr(slo, name)
        if limit is None:
            continue
        if name in PERCENTS:
            gates.append(_of_a_percentile(name, limit, outcome))
        else:
            gates.append(Gate(name, limit, counts.share(shares[name]), "" if counts.due else "nothing was due"))
    return gates


def missed(gates: Sequence[Gate]) -> list[Gate]:
    """Those that are known not to hold."""
    return [gate for gate in gates if gate.missed]


def _of_a_percentile(name: str, limit: float, outcome: Outcome) -> Gate:
    percent, latency = PERCENTS[name], outcome.latency
    if not latency.knows(percent):
        # Even so the promise is broken where the highest percentile that can be known is too slow already.
        highest = 100 * (1 - 1 / latency.count) if latency.count > 1 else 0.0
        if highest and latency.percentile(highest) > limit:
            return Gate(name, limit, latency.percentile(percent))
        wanted = math.ceil(100 / (100 - percent) - 1e-9)
        return Gate(name, limit, math.nan, f"{latency.count} requests, it wants {wanted:,}")
    measured, left = latency.percentile(percent), outcome.service.percentile(percent)
    lateness = outcome.late.percentile(percent)
    if left <= limit < measured and lateness > allowed(latency, percent, outcome.deadline):
        return Gate(name, limit, measured, f"requests left {lateness:.1f} ms late")
    return Gate(name, limit, measured)
