"""Spans for OpenTelemetry: one a request, with its stages as events, below the caller's span where it sent one.

Where spans go is OpenTelemetry's own to say, by its variables: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, ….
A span tells what the log tells: never ids, attributes or values, and of a request that a user narrowed by hand its
method and code alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from reranker.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_NAME = "diversity-reranker"
_BILLION = 1_000_000_000
_PATIENCE = 2  # seconds for one batch: a collector that is away must not hold up the end of the server


class Tracer:
    """Makes spans and hands them to `processor`. Raises `MissingExtra` where OpenTelemetry is not installed."""

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        """Without a `processor` spans are sent in batches, on a thread of their own, to where the environment says."""
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise MissingExtra("opentelemetry", "otel") from None
        self._kind, self._failed = SpanKind.SERVER, Status(StatusCode.ERROR)
        self._provider = TracerProvider(
            resource=Resource.create({} if _is_named() else {"service.name": _NAME}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(_to_the_environments() if processor is None else processor)
        self._tracer = self._provider.get_tracer(_NAME)
        self._propagator = TraceContextTextMapPropagator()

    def ended(
        self,
        method: str,
        metadata: Iterable[tuple[str, str | bytes]] | None,
        started: float,
        code: str,
        is_fault: bool,
        attributes: Mapping[str, str | int],
        stages: Mapping[str, int],
    ) -> None:
        """A call of a method, by its full name, ended now; it began at `started` of `time.perf_counter()`.

        `code` is the name of gRPC's; `is_fault` whether it is an error of ours. `stages` are microseconds, in order.
        """
        now = time.time_ns()
        began = now - int((perf_counter() - started) * _BILLION)
        carrier = {key: value for key, value in metadata or () if key in ("traceparent", "tracestate")}
        service, _, name = method.strip("/").partition("/")
        fixed = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, "rpc.grpc.status": code}
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=self._propagator.extract(carrier),
            kind=self._kind,
            attributes={**fixed, **attributes},
            start_time=began,
        )
        at = began
        for stage, microseconds in stages.items():
            at += microseconds * 1_000
            span.add_event(stage, {"us": microseconds}, timestamp=min(at, now))
        if is_fault:
            span.set_status(self._failed)
        span.end(now)

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and send no more."""
        self._provider.shutdown()


def _to_the_environments() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtra("opentelemetry", "otel") from None
    return BatchSpanProcessor(OTLPSpanExporter(timeout=_PATIENCE))


def _is_named() -> bool:
    """Whether the environment gives the service a name, which then holds."""
    return "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
