"""Metrics of the request log."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class RequestLogMetrics:
    """What was recorded, and what could not be."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "reranker_request_log_records", "Answers written to the request log.", registry=registry
        )
        self._bytes = Counter("reranker_request_log_bytes", "Compressed bytes written to it.", registry=registry)
        self._lost = Counter(
            "reranker_request_log_lost", "Answers that could not be written, as for a full disk.", registry=registry
        )

    def written(self, records: int, size: int) -> None:
        """So many records, of so many bytes together."""
        self._records.inc(records)
        self._bytes.inc(size)

    def lost(self, records: int) -> None:
        """So many could not be written."""
        self._lost.inc(records)
