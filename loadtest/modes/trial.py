"""One measured run: a schedule, a server, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from loadtest.arrivals import Arrivals
from loadtest.errors import LoadtestError
from loadtest.generator.fleet import Fleet, Plan
from loadtest.generator.records import Usage
from loadtest.results.collector import Collector
from loadtest.results.outcome import Outcome, Second
from loadtest.servers.target import Target
from loadtest.workload.bodies import Workload
from loadtest.workload.scenario import Run

LONGEST_SECONDS = 4 * 3600.0

OnSecond = Callable[[Second, int], None]
"""Told of each second soon after it: its figures so far, and how many of its requests are still under way."""


@dataclass(frozen=True)
class Trial:
    """The generator with a workload and the settings of its runs; `measure` may be called again and again."""

    fleet: Fleet
    workload: Workload
    arrivals: Arrivals
    run: Run

    def at(self, **changes: Any) -> Trial:
        """The same with other settings (`rate`, `seconds`, `warm_up`, `seed` …)."""
        return replace(self, run=replace(self.run, **changes))

    def measure(self, target: Target, on_second: OnSecond) -> Outcome:
        """Run once against one server. Raises `GeneratorFailed` when there are no figures."""
        run = self.run
        if not 0 < run.seconds <= LONGEST_SECONDS:
            raise LoadtestError(f"seconds must be above 0 and at most {LONGEST_SECONDS:.0f}")
        due = self.arrivals.schedule(run.rate, run.seconds, run.warm_up, run.seed)
        plan = Plan(
            address=target.address,
            due=due,
            requests=self.workload.drawn(len(due), run.seed),
            deadline=run.deadline_ms / 1e3,
            connections=run.connections,
            measured_from=round(run.warm_up * 1e9),
        )
        collector = Collector(plan, self.workload.groups, self.workload.group_of, run.seconds, target.pid, on_second)
        clock = _Clock(collector.tick)
        usages: list[Usage] = self.fleet.run(plan, collector.add, clock)
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
