"""What is counted of certificates and tokens."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class SecurityMetrics:
    """Their metrics, in the registry of a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._loads = Counter(
            "reranker_security_loads",
            "New certificates and tokens that were taken over, or refused.",
            ("kind", "result"),
            registry=registry,
        )

    def loaded(self, kind: str, result: str) -> None:
        """`kind` is "certificate" or "tokens", `result` "loaded" or "refused"."""
        self._loads.labels(kind, result).inc()
