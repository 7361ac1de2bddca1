"""Folds records into figures while they arrive, so that an hour of load takes no more memory than a minute."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.generator.records import DEADLINE_EXCEEDED, NOT_SENT, OK, STAGES, Order, Records, Usage, code_name
from loadtest.results.latencies import Latencies, enough
from loadtest.results.outcome import Counts, Machine, Outcome, Second
from loadtest.results.saturation import reasons
from loadtest.servers.target import Target
from loadtest.servers.usage import Used, ended, machine_busy, used

_SECOND = 1_000_000_000
_MOST_STAGE_ROWS = 200_000  # of the stages a sample is kept: the first so many


class Collector:
    """Takes the records and the ticks of one run. `on_second` is told each second once, soon after its end."""

    def __init__(
        self,
        order: Order,
        groups: Sequence[str],
        group_of: NDArray[np.uint8],
        seconds: float,
        server: int | None,
        on_second: Callable[[Second, int], None],
    ) -> None:
        self._order = order
        self._warm_up, self._seconds = order.measured_from, seconds
        self._group_names, self._group_of = tuple(groups), group_of
        self._server = server
        self._on_second = on_second
        whole = math.ceil(self._warm_up / _SECOND + seconds)
        self._due = np.bincount(order.due // _SECOND, minlength=whole)  # seconds in which nothing is due are there too
        self._counts = Counts(due=int(np.count_nonzero(order.due >= self._warm_up)))
        self._latency, self._service, self._late = Latencies(), Latencies(), Latencies()
        self._groups = {name: Latencies() for name in self._group_names}
        self._thirds = (Latencies(), Latencies(), Latencies())
        self._open: dict[int, _OpenSecond] = {}
        self._series: list[Second] = []
        self._told = 0
        self._stages: list[NDArray[np.uint32]] = []
        self._stage_rows = 0
        self._samples: dict[int, _Sample] = {}

    def add(self, records: Records) -> None:
        """Records of any client, in any order."""
        for second in np.unique(records["due"] // _SECOND).tolist():
            inside = records[records["due"] // _SECOND == second]
            self._open.setdefault(second, _OpenSecond()).add(inside)
        measured = records[records["due"] >= self._warm_up]
        if not len(measured):
            return
        answered = measured[measured["code"] == OK]
        latency = answered["done"] - answered["due"]
        self._latency.add(latency)
        self._service.add(answered["done"] - answered["sent"])
        self._late.add(measured["sent"] - measured["due"])
        groups = self._group_of[answered["request"]]
        for number, name in enumerate(self._group_names):
            self._groups[name].add(latency[groups == number])
        thirds = self._third_of(answered["due"])
        for number, third in enumerate(self._thirds):
            third.add(latency[thirds == number])
        self._count(measured, latency)
        if self._stage_rows < _MOST_STAGE_ROWS:
            self._stages.append(answered["stages"])
            self._stage_rows += len(answered)

    def tick(self, seconds: float) -> None:
        """Sample what the processes use at every whole second, and tell of seconds that are over."""
        second = int(np.floor(seconds))
        if second not in self._samples:
            self._samples[second] = _Sample.now(seconds, self._server)
        while self._told < min(second, len(self._due)):
            self._tell(self._told)
            self._open.setdefault(self._told, _OpenSecond())
            self._told += 1
        # Closed once and for all, so not before everything of it is here: a client may be far behind.
        for old in [key for key, found in self._open.items() if key < second and found.count >= self._due[key]]:
            self._close(old)

    def outcome(self, target: Target, rate: float, end: float, clients: Sequence[Usage]) -> Outcome:
        """The figures, when all records are there: `end` seconds after the start."""
        last = _Sample.now(end, self._server)
        for second in range(self._told, len(self._due)):
            self._tell(second)
            self._open.setdefault(second, _OpenSecond())
        for second in sorted(self._open):
            self._close(second)
        unanswered = self._counts.due - self._latency.answered
        self._latency.add_unanswered(unanswered)
        self._service.add_unanswered(unanswered)
        for number, name in enumerate(self._group_names):
            asked = self._order.requests[self._order.due >= self._warm_up]
            due = int(np.count_nonzero(self._group_of[asked] == number))
            self._groups[name].add_unanswered(due - self._groups[name].answered)
        measured = np.bincount(self._third_of(self._order.due[self._order.due >= self._warm_up]), minlength=3).tolist()
        for third, due in zip(self._thirds, measured, strict=True):
            third.add_unanswered(due - third.answered)
        stages = np.concatenate(self._stages) if self._stages else np.zeros((0, len(STAGES)), np.uint32)
        return Outcome(
            target=target.name,
            rate=rate,
            seconds=self._seconds,
            deadline=self._order.deadline,
            counts=self._counts,
            latency=self._latency,
            service=self._service,
            late=self._late,
            groups=self._groups,
            thirds=self._thirds,
            series=tuple(sorted(self._series, key=lambda second: second.second)),
            stages=None if target.is_echo else _summary(stages),
            machine=self._machine(last, clients),
            saturated=reasons(
                self._late, self._latency, clients, self._counts.codes[code_name(NOT_SENT)], self._order.deadline
            ),
        )

    def _third_of(self, due: NDArray[np.int64]) -> NDArray[np.int64]:
        share = (due - self._warm_up) / (self._seconds * _SECOND)
        return np.clip(share * 3, 0, 2).astype(np.int64)

    def _count(self, measured: Records, latency: NDArray[np.int64]) -> None:
        counts = self._counts
        codes = Counter(measured["code"].tolist())
        counts.codes.update({code_name(code): number for code, number in codes.items()})
        counts.degraded += int(np.count_nonzero(measured["degraded"]))
        late = int(np.count_nonzero(latency > self._order.deadline * 1e9))
        counts.deadline_misses += codes[DEADLINE_EXCEEDED] + late

    def _tell(self, second: int) -> None:
        told = self._figures(second, self._open.get(second, _OpenSecond()))
        self._on_second(told, told.due - told.answered - told.errors)

    def _close(self, second: int) -> None:
        found = self._open.pop(second)
        self._series.append(self._figures(second, found, missing=int(self._due[second]) - found.count))

    def _figures(self, second: int, found: _OpenSecond, missing: int = 0) -> Second:
        """`missing` requests were never heard of again."""
        latency, late = found.latencies()
        latency.add_unanswered(missing)
        p50, p99 = latency.known([50, 99])
        cores, memory = self._between(second)
        return Second(
            second=second,
            warm_up=(second + 1) * _SECOND <= self._warm_up,
            due=int(self._due[second]),
            answered=latency.answered,
            errors=latency.unanswered,
            degraded=found.degraded,
            p50=p50,
            p99=p99,
            longest=latency.longest,
            late_p99=late.known([99])[0],
            server_cores=cores,
            server_memory=memory,
        )

    def _between(self, second: int) -> tuple[float | None, int | None]:
        """Cores that the server kept busy in one second, and its memory at the end of it."""
        before, after = self._samples.get(second), self._samples.get(second + 1)
        if before is None or after is None or before.server is None or after.server is None:
            return None, None
        return (after.server.cpu - before.server.cpu) / (after.at - before.at), after.server.memory

    def _machine(self, last: _Sample, clients: Sequence[Usage]) -> Machine:
        """From the first sample after the warm-up to the end."""
        first = next((sample for sample in self._samples.values() if sample.at * _SECOND >= self._warm_up), last)
        wall = last.at - first.at
        cpu = memory = others = None
        if first.server is not None and last.server is not None:
            cpu, memory = last.server.cpu - first.server.cpu, last.server.memory
        if (
            wall
            and first.busy is not None
            and last.busy is not None
            and first.ours is not None
            and last.ours is not None
        ):
            theirs = last.busy - first.busy - (last.ours.cpu - first.ours.cpu)
            others = max(0.0, theirs / (wall * (os.cpu_count() or 1)))
        # The first sample comes a moment after the warm-up: answers of that moment are left out by their share.
        asked = np.count_nonzero(self._order.due >= first.at * _SECOND) / max(1, self._counts.due)
        gone = self._server is not None and ended(self._server)
        return Machine(wall, round(asked * self._latency.answered), cpu, memory, tuple(clients), others, gone)


@dataclass(frozen=True)
class _Sample:
    """What was used up to a time: by the server, by all of the load test with it, by the whole machine."""

    at: float
    server: Used | None
    ours: Used | None
    busy: float | None

    @classmethod
    def now(cls, at: float, server: int | None) -> _Sample:
        return cls(at, used(server), used(os.getpid(), server), machine_busy())


class _OpenSecond:
    """What is known so far of the requests that were due in one second: plain numbers, as there may be many of it."""

    def __init__(self) -> None:
        self._latency: list[NDArray[np.int64]] = []
        self._late: list[NDArray[np.int64]] = []
        self.count, self.degraded = 0, 0

    def add(self, records: Records) -> None:
        answered = records[records["code"] == OK]
        self._latency.append(answered["done"] - answered["due"])
        self._late.append(records["sent"] - records["due"])
        self.count += len(records)
        self.degraded += int(np.count_nonzero(records["degraded"]))

    def latencies(self) -> tuple[Latencies, Latencies]:
        """Since they were due, and how late they left."""
        latency, late = Latencies(), Latencies()
        for of_answers, of_all in zip(self._latency, self._late, strict=True):
            latency.add(of_answers)
            late.add(of_all)
        latency.add_unanswered(self.count - latency.answered)
        return latency, late


def _summary(stages: NDArray[np.uint32]) -> NDArray[np.float64] | None:
    """Mean, median and 99th percentile of each stage; NaN for the last when there are fewer than a hundred."""
    if not len(stages) or not stages.any():
        return None
    middle, high = np.percentile(stages, [50, 99], axis=0)
    if not enough(len(stages), 99):
        high = np.full_like(high, math.nan)
    return np.stack([stages.mean(axis=0), middle, high], axis=1)
