"""Records and outcomes made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadtest.generator.records import OK, RECORD, STAGES, Order, Records, Usage
from loadtest.results.collector import Collector
from loadtest.results.outcome import Outcome, Second
from loadtest.servers.target import Target

MS = 1_000_000
SECOND = 1_000_000_000
SERVER = Target("server", "127.0.0.1:1")
ECHO = Target("echo", "127.0.0.1:2", is_echo=True)


def order_of(due: NDArray[np.int64], warm_up: float = 0.0, deadline: float = 1.0) -> Order:
    requests = np.arange(len(due), dtype=np.int32) % 2
    return Order("127.0.0.1:1", due, requests, deadline, 1, round(warm_up * SECOND))


def records(
    due: NDArray[np.int64],
    latency_ms: float | NDArray[np.float64],
    late_ms: float | NDArray[np.float64] = 0.0,
    codes: int | Sequence[int] = OK,
    degraded: bool | Sequence[bool] = False,
    stages: Sequence[int] = (0,) * len(STAGES),
) -> Records:
    made = np.zeros(len(due), RECORD)
    made["due"] = due
    made["sent"] = due + np.rint(np.asarray(late_ms) * MS).astype(np.int64)
    made["done"] = due + np.rint(np.asarray(latency_ms) * MS).astype(np.int64)
    made["request"] = np.arange(len(due)) % 2
    made["code"] = codes
    made["degraded"] = degraded
    made["stages"] = stages
    return made


def outcome(
    made: Records,
    seconds: float,
    warm_up: float = 0.0,
    deadline: float = 1.0,
    cpu: float = 0.1,
    target: Target = SERVER,
    told: list[Second] | None = None,
) -> Outcome:
    """What a collector makes of the records, given in order of their ends."""
    told = [] if told is None else told
    order = order_of(np.sort(made["due"]), warm_up, deadline)
    collector = Collector(
        order, ("even", "odd"), np.array([0, 1], np.uint8), seconds, target.pid, lambda second, _: told.append(second)
    )
    collector.tick(-0.1)
    for part in np.array_split(made[np.argsort(made["done"])], 7):
        collector.add(part)
        if len(part):
            collector.tick(float(part["done"][-1]) / SECOND)
    return collector.outcome(target, 100.0, float(made["done"].max()) / SECOND, [Usage(cpu * seconds, seconds)])
