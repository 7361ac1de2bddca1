"""Metrics of the items in the store: where requests find them, and how far behind a process may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

SOURCES = ("cache", "store", "stale", "unread")


class ItemMetrics:
    """Feeds a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lookups = Counter(
            "reranker_item_lookups",
            "Items that requests by reference asked the store for, by who answered.",
            ("source",),
            registry=registry,
        )
        self._bytes = Gauge("reranker_item_cache_bytes", "Bytes of items that are remembered.", registry=registry)
        self._behind = Gauge(
            "reranker_item_feed_age_seconds", "Since the feed of changed items was last read.", registry=registry
        )
        for source in SOURCES:
            self._lookups.labels(source)

    def watch(self, size: Callable[[], float], age: Callable[[], float]) -> None:
        """`size` says from now on how many bytes are remembered, `age` how long ago the feed was read."""
        self._bytes.set_function(size)
        self._behind.set_function(age)

    def looked_up(self, counts: Mapping[str, int]) -> None:
        """A request's items, by who answered."""
        for source, count in counts.items():
            if count:
                self._lookups.labels(source).inc(count)
