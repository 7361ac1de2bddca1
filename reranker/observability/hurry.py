"""Metrics of time that runs short: how long calls wait, what they get where too little is left, what was expected."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from reranker.slate import Rung

_WAITS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_RATIOS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0, 10.0)


class HurryMetrics:
    """All of them, in the registry of the others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waits = Histogram(
            "reranker_queue_wait_seconds",
            "How long calls wait until they are worked on.",
            buckets=_WAITS,
            registry=registry,
        )
        self._rungs = Counter(
            "reranker_degraded_rungs",
            "Slates for which the deadline left too little time, by what was made instead.",
            ("rung",),
            registry=registry,
        )
        for rung in Rung:
            if rung is not Rung.WHOLE:
                self._rungs.labels(rung.lower())
        self._ratios = Histogram(
            "reranker_estimate_ratio",
            "Seconds that filling the slots took, as a multiple of what was expected.",
            buckets=_RATIOS,
            registry=registry,
        )

    def waited(self, seconds: float) -> None:
        """A call is being worked on after so many seconds."""
        self._waits.observe(seconds)

    def made(self, rung: Rung, error_ratio: float | None) -> None:
        """A slate was made on this rung, in so many times what was expected; None where nothing was."""
        if rung is not Rung.WHOLE:
            self._rungs.labels(rung.lower()).inc()
        if error_ratio is not None:
            self._ratios.observe(error_ratio)
