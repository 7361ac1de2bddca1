"""Metrics of the exposure ledger, and of representation as it stands across requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge


class Standing(NamedTuple):
    """One group of items in the traffic of one policy and arm; shares are from 0 to 1."""

    policy: str
    arm: str
    attribute: str
    value: str
    share: float
    target: float


_GROUP = ("policy", "arm", "attribute", "value")


class ExposureMetrics:
    """Feeds a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._share = Gauge(
            "reranker_exposure_share",
            "A group's share of the attention that all groups got, decayed; groups below min_count are left out.",
            _GROUP,
            registry=registry,
        )
        self._target = Gauge(
            "reranker_exposure_target_share",
            "Its share of the attention that was due by the targets in force.",
            _GROUP,
            registry=registry,
        )
        self._age = Gauge(
            "reranker_exposure_snapshot_age_seconds",
            "Since requests last got a fresh view of the ledger.",
            registry=registry,
        )
        self._streams = Gauge("reranker_exposure_streams", "Streams that the ledger holds.", registry=registry)
        self._spool = Gauge(
            "reranker_exposure_spool", "Slates that wait to be written to the ledger.", registry=registry
        )
        self._slates = Counter(
            "reranker_exposure_slates",
            "Slates for the ledger: new, repeated, or lost (streams, spool_full, failed, shutdown).",
            ("result",),
            registry=registry,
        )
        self._impressions = Counter(
            "reranker_exposure_impressions",
            "Reports of what was seen: new, repeated, or of requests that are unknown.",
            ("result",),
            registry=registry,
        )
        self._failures = Counter(
            "reranker_exposure_failures",
            "Attempts to write slates or impressions, or to read the ledger, that failed, by reason.",
            ("operation", "reason"),
            registry=registry,
        )
        for result in ("new", "repeated", "streams", "spool_full", "failed", "shutdown"):
            self._slates.labels(result)
        for result in ("new", "repeated", "unknown"):
            self._impressions.labels(result)

    def stand(self, standings: Iterable[Standing]) -> None:
        """How groups stand now; those that are not named are no longer shown."""
        found = list(standings)
        self._share.clear()
        self._target.clear()
        for *labels, share, target in found:
            self._share.labels(*labels).set(share)
            self._target.labels(*labels).set(target)

    def watch(self, age: Callable[[], float], streams: Callable[[], int]) -> None:
        """From now on these say how old the view of the ledger is, in seconds, and how many streams are in it."""
        self._age.set_function(age)
        self._streams.set_function(streams)

    def spooled(self, slates: int) -> None:
        """So many slates wait."""
        self._spool.set(slates)

    def slates(self, result: str, count: int) -> None:
        """What became of so many slates."""
        if count:
            self._slates.labels(result).inc(count)

    def impressions(self, result: str, count: int) -> None:
        """What became of so many reports."""
        if count:
            self._impressions.labels(result).inc(count)

    def failed(self, operation: str, reason: str, count: int = 1) -> None:
        """Attempts failed; `operation` is "slates", "impressions" or "read", `reason` a `LedgerUnavailable`'s."""
        if count:
            self._failures.labels(operation, reason).inc(count)
