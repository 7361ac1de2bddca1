"""What is counted by tenant, where tokens say whose a call is."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter

MOST = 100
"""Tenants with a series of their own, the first to call; all others share one."""
_OTHER = "other"


class TenantMetrics:
    """Feeds a registry. Tenants come from the file of tokens, never from what a caller says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._requests = Counter(
            "reranker_tenant_requests",
            "Requests of each tenant, those inside streams each, by code; absent without tokens.",
            ("tenant", "grpc_code"),
            registry=registry,
        )

    def answered(self, tenant: str, code: str) -> None:
        """A request was answered or refused; an empty tenant is nobody's."""
        if tenant:
            self._requests.labels(self._label(tenant), code).inc()

    def _label(self, tenant: str) -> str:
        if tenant not in self._known:
            with self._lock:
                if len(self._known) >= MOST:
                    return _OTHER
                self._known.add(tenant)
        return tenant
