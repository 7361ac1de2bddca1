"""Metrics of the store: how long it takes, what fails, and which of its servers are left alone."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class StoreMetrics:
    """Feeds a registry; a `StoreListener`'s counterpart."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "reranker_store_seconds",
            "Round trips to Redis or Valkey, whatever came of them.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "reranker_store_failures",
            "Round trips, and attempts to connect, that failed in part or whole, by reason.",
            ("reason",),
            registry=registry,
        )
        self._down = Gauge(
            "reranker_store_servers_down",
            "Servers that calls fail on at once, until a probe succeeds.",
            registry=registry,
        )

    def answered(self, seconds: float) -> None:
        """A round trip took so long."""
        self._seconds.observe(seconds)

    def failed(self, reason: str) -> None:
        """Some of one failed; `reason` is a `StoreError`'s."""
        self._failures.labels(reason).inc()

    def servers_down(self, count: int) -> None:
        """So many servers are left alone at the moment."""
        self._down.set(count)
