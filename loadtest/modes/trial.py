"""One measured run: a schedule, a server, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loadtest.arrivals import Arrivals
from loadtest.errors import LoadtestError
from loadtest.generator.fleet import Fleet
from loadtest.generator.records import Order, Usage
from loadtest.results.collector import Collector
from loadtest.results.outcome import Outcome, Second
from loadtest.servers.target import Target
from loadtest.workload.bodies import Workload
from loadtest.workload.scenario import Run

OnSecond = Callable[[Second, int], None]
"""Told of each second soon after it: its figures so far, and how many of its requests are still under way."""


@dataclass(frozen=True)
class Trial:
    """The generator with a workload and the settings of its runs; `measure` may be called again and again."""

    fleet: Fleet
    workload: Workload
    arrivals: Arrivals
    run: Run
    is_flood: bool = False

    def at(self, **changes: Any) -> Trial:
        """The same with other settings (`rate`, `seconds`, `warm_up`, `seed` …)."""
        return replace(self, run=replace(self.run, **changes))

    def measure(self, target: Target, on_second: OnSecond, first_seconds: float | None = None) -> Outcome:
        """Run once against one server, or only the `first_seconds` of the measured time of the same schedule.

        Raises `GeneratorFailed` when there are no figures, `LoadtestError` when nothing would be measured.
        """
        run = self.run
        seconds = run.seconds if first_seconds is None else min(run.seconds, first_seconds)
        due = self.arrivals.schedule(run.rate, run.seconds, run.warm_up, run.seed)
        requests = self.workload.drawn(len(due), run.seed)
        sent = int(np.searchsorted(due, round((run.warm_up + seconds) * 1e9)))
        order = Order(
            address=target.address,
            due=due[:sent],
            requests=requests[:sent],
            deadline=run.deadline_ms / 1e3,
            connections=run.connections,
            measured_from=round(run.warm_up * 1e9),
            is_flood=self.is_flood,
        )
        if not (order.due >= order.measured_from).any():
            raise LoadtestError("not one request is due after the warm-up: raise the rate or the seconds")
        collector = Collector(order, self.workload.groups, self.workload.group_of, seconds, target.pid, on_second)
        clock = _Clock(collector.tick)
        usages: list[Usage] = self.fleet.run(order, collector.add, clock)
        return collector.outcome(target, run.rate, clock.seconds, usages)


class _Clock:
    """Passes ticks on and knows the time since the start."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self._tick = tick
        self._start = 0.0

    def __call__(self, seconds: float) -> None:
        self._start = time.monotonic() - seconds
        self._tick(seconds)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start
