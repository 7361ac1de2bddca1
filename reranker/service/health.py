"""The standard health service, on a thread of its own: a busy worker pool must not look like a dead server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

READINESS = ("", "reranker.v1.RerankerService")
"""The names that follow readiness."""
LIVENESS = "liveness"
"""The name that says SERVING for as long as the process answers at all, while it warms up and while it drains."""


class Health:
    """Readiness by name; NOT_SERVING until told otherwise."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="health")
        self._servicer = health.HealthServicer(experimental_thread_pool=self._pool)
        self._servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        self.set_ready(False)

    def add_to(self, server: grpc.Server) -> None:
        """Register `grpc.health.v1.Health` with the server."""
        self._servicer.Check = OnPool(self._servicer.Check, self._pool)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def set_ready(self, ready: bool) -> None:
        """Tell every watcher and every later check."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in READINESS:
            self._servicer.set(name, status)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False)


class OnPool:
    """A handler that gRPC runs on its own pool: the server looks for this attribute on each handler it is given."""

    def __init__(self, behaviour: Callable[..., Any], pool: ThreadPoolExecutor) -> None:
        self._behaviour = behaviour
        self.experimental_thread_pool = pool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the handler gives."""
        return self._behaviour(*args, **kwargs)
