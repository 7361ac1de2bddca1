"""The figures of one run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadtest.generator.records import Usage
from loadtest.results.latencies import Latencies

LEAST_CPU = 0.1
"""Seconds: the system counts CPU in ticks of 10 ms, so that less than ten of them say little."""

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)


def percentile_name(percent: float) -> str:
    """p99.9 for 99.9."""
    return f"p{percent:g}"


@dataclass(frozen=True, slots=True)
class Second:
    """Requests that were due in one second of the run (the first is 0); milliseconds.

    A percentile is NaN when too few were due in that second for it: p99 wants a hundred.
    """

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
        """Of what was due; NaN when nothing was."""
        return count / self.due if self.due else math.nan


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU seconds within `wall` seconds of the measured time, in which so many requests were answered.

    `others_share` is what processes that are not ours took of all cores, `server_memory` bytes at the end. None where
    the system does not say, or where we do not know the server's process. `server_gone`: its process has ended.
    """

    wall: float
    answered: int
    server_cpu: float | None
    server_memory: int | None
    clients: tuple[Usage, ...]
    others_share: float | None
    server_gone: bool = False


@dataclass(frozen=True)
class Outcome:
    """One run against one server. `latency` counts from when a request was due, `service` from when it left.

    `late` is the time between the two. `stages` are the server's own clock in microseconds, a row for each of STAGES:
    mean, median, 99th percentile; None where no server filled it in. `thirds` are the latencies of the first, second
    and last third of the measured time.
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
    thirds: tuple[Latencies, ...]
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
        """CPU microseconds of the server for each request that it answered; None where too little can be told apart."""
        cpu, answered = self.machine.server_cpu, self.machine.answered
        return None if cpu is None or not answered or cpu < LEAST_CPU else cpu / answered * 1e6
