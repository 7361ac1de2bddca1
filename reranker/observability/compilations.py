"""Counts Numba compilations as they happen: the number must not move once the server is warm."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from numba.core import event
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class _Counter(event.Listener):
    """Counts the compilations that begin in this process; a load from the cache is not one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def on_start(self, event: Any) -> None:
        with self._lock:
            self.count += 1

    def on_end(self, event: Any) -> None:
        pass


_counter = _Counter()
event.register("numba:compile", _counter)  # type: ignore[no-untyped-call]  # numba's events carry no types


def compilations() -> int:
    """How many functions Numba has compiled in this process since this module was imported."""
    return _counter.count


class CompilationCollector(Collector):
    """Reads the count at every scrape."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The one metric."""
        text = "Functions compiled in this process; flat once warm."
        yield CounterMetricFamily("reranker_jit_compilations", text, value=compilations())
