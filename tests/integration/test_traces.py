"""Spans as a collector gets them, over HTTP, from a real server."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
import pytest

from reranker.client import from_columns, request_context
from reranker.errors import MissingExtra
from reranker.observability.traces import Tracer
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"
METADATA = [("traceparent", f"00-{PARENT}-00f067aa0ba902b7-01")]
CANDIDATES = from_columns([f"item-{i}" for i in range(12)], np.linspace(1, 0, 12), np.eye(12), {"tone": ["dark"] * 12})


class Collector(ThreadingHTTPServer):
    """Keeps what is sent to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{made.server_address[1]}")
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def spans_of(collector: Collector) -> list[Any]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    scopes = [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]
    return [span for scope in scopes for span in scope.spans]


def test_a_request_is_a_span_with_its_stages_below_the_callers(collector: Collector) -> None:
    server = Server(Settings(listen="127.0.0.1:0", admin="", grace=20.0, traces=True))
    server.warm_up()
    request = messages.RerankRequest(request_id="r-1", candidates=CANDIDATES, slate_size=4)
    wrong = messages.RerankRequest(candidates=CANDIDATES, slate_size=-1)
    narrowed = messages.RerankRequest(candidates=CANDIDATES, slate_size=4)
    narrowed.context.CopyFrom(request_context(refinement={"tone": ["dark"]}))
    try:
        with grpc.insecure_channel(server.address) as channel:
            stub = RerankerServiceStub(channel)
            stub.Rerank(request, timeout=20, metadata=METADATA)
            stub.Rerank(narrowed, timeout=20)
            items = [messages.RerankStreamRequest(request=one) for one in (request, wrong)]
            assert len(list(stub.RerankStream(iter(items), timeout=20))) == 2
            with pytest.raises(grpc.RpcError):
                stub.GetPolicy(messages.GetPolicyRequest(name="secret"), timeout=20)
    finally:
        server.drain()
    spans = spans_of(collector)
    told = [{one.key: one.value.string_value or one.value.int_value for one in span.attributes} for span in spans]
    found = [(one["rpc.method"], one["rpc.grpc.status"], one.get("reranker.policy")) for one in told]
    assert found == [
        ("Rerank", "OK", "default"),
        ("Rerank", "OK", None),  # a user narrowed it
        ("RerankStream", "OK", "default"),
        ("RerankStream", "InvalidArgument", None),
        ("GetPolicy", "NotFound", None),
    ]
    first = spans[0]
    assert first.trace_id.hex() == PARENT
    assert spans[1].trace_id.hex() != PARENT
    assert {"select", "encode"} <= {event.name for event in first.events}
    moments = [first.start_time_unix_nano, *(event.time_unix_nano for event in first.events), first.end_time_unix_nano]
    assert moments == sorted(moments)
    assert told[0]["reranker.slate_size"] == 4
    assert not any(
        word in body for body in collector.bodies for word in (b"item-", b"r-1", b"tone", b"dark", b"secret")
    )


def test_a_collector_that_is_away_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    server = Server(Settings(listen="127.0.0.1:0", admin="", grace=1.0, traces=True))
    server.warm_up()
    try:
        with grpc.insecure_channel(server.address) as channel:
            request = messages.RerankRequest(candidates=CANDIDATES, slate_size=4)
            assert RerankerServiceStub(channel).Rerank(request, timeout=20).positions
    finally:
        assert server.drain()


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"diversity-reranker\[otel\]"):
        Tracer()
