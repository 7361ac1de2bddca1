"""What is counted of certificates and tokens."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class SecurityMetrics:
    """Their metrics, in the registry of a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._loads = Counter(
            "reranker_security_loads",
            "New certificates and tokens that were taken over, or refused.",
            ("kind", "result"),
            registry=registry,
        )
        self._expires = Gauge(
            "reranker_certificate_expiry_timestamp_seconds",
            "When the certificate that serves, or one of its chain, ceases to be good; 0 without TLS.",
            registry=registry,
        )

    def loaded(self, kind: str, result: str) -> None:
        """`kind` is "certificate" or "tokens", `result` "loaded" or "refused"."""
        self._loads.labels(kind, result).inc()

    def serves(self, expires: float) -> None:
        """A certificate that expires then, in seconds of the epoch, serves from now on."""
        self._expires.set(expires)
