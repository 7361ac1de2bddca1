"""The figures of one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadtest.generator.records import STAGES, Usage
from loadtest.results.latencies import Latencies

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)


def percentile_name(percent: float) -> str:
    """p99.9 for 99.9."""
    return f"p{percent:g}"


@dataclass(frozen=True, slots=True)
class Second:
    """Requests that were due in one second of the run (the first is 0); milliseconds."""

    second: int
    warm_up: bool
    due: int
    answered: int
    errors: int
    degraded: int
    p50: float
    p99: float
    longest: float
    late_p99: float
    server_cores: float | None
    server_memory: int | None


@dataclass(slots=True)
class Counts:
    """The measured requests."""

    due: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    deadline_misses: int = 0

    @property
    def errors(self) -> int:
        """Requests without an answer."""
        return self.due - self.codes["OK"]

    def share(self, count: int) -> float:
        """Of what was due."""
        return count / self.due if self.due else 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU seconds within `wall` seconds of the measured time, during which so many `requests` were due.

    `others_share` is what processes that are not ours took of all cores, `server_memory` bytes at the end. None where
    the system does not say, or where we do not know the server's process.
    """

    wall: float
    requests: int
    server_cpu: float | None
    server_memory: int | None
    clients: tuple[Usage, ...]
    others_share: float | None


@dataclass(frozen=True)
class Outcome:
    """One run against one server. `latency` counts from when a request was due, `service` from when it left.

    `late` is the time between the two. `stages` are the server's own clock in microseconds, a row for each of STAGES:
    mean, median, 99th percentile; None where no server filled it in.
    """

    target: str
    rate: float
    seconds: float
    deadline: float
    counts: Counts
    latency: Latencies
    service: Latencies
    late: Latencies
    groups: dict[str, Latencies]
    series: tuple[Second, ...]
    stages: NDArray[np.float64] | None
    machine: Machine
    saturated: tuple[str, ...]

    @property
    def offered(self) -> float:
        """Requests a second that were due."""
        return self.counts.due / self.seconds

    @property
    def server_us(self) -> float | None:
        """CPU microseconds of the server for each request that was due."""
        cpu, requests = self.machine.server_cpu, self.machine.requests
        return None if cpu is None or not requests else cpu / requests * 1e6

    def stage(self, name: str) -> NDArray[np.float64] | None:
        """Mean, median and 99th percentile of one stage, in microseconds."""
        return None if self.stages is None else self.stages[STAGES.index(name)]
