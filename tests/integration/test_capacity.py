"""More calls than workers: a bounded number waits, the rest is told at once, and health is answered all the while."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from reranker.client import from_columns
from reranker.exposure.ledger import Counts
from reranker.exposure.sqlite import SqliteLedger
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.service.admission import WorkerPool
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.exposure_service_pb2 import RecordImpressionsRequest, SlateImpression
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

REQUEST = messages.RerankRequest(candidates=from_columns(["a", "b", "c"], [3, 2, 1]), slate_size=2)


@pytest.fixture
def one_worker() -> Iterator[Server]:
    server = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", worker_threads=1, queue=8, grace=2.0))
    server.warm_up()
    yield server
    server.drain()


def reason_of(error: grpc.RpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.details[0].Unpack(info)
    return str(info.reason)


def retry_seconds(error: grpc.RpcError) -> float:
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.details[1].Unpack(retry)
    return float(retry.retry_delay.ToNanoseconds() / 1e9)


def test_how_long_a_call_would_wait_follows_the_last_ones() -> None:
    goes_on = threading.Event()
    pool = WorkerPool(2)
    try:
        assert pool.wait == 0.0
        for work in [pool.submit(time.sleep, 0.004) for _ in range(60)]:
            work.result(20)
        held = [pool.submit(goes_on.wait, 20) for _ in range(10)]
        assert pool.wait > 0.01  # ten calls of 4 ms for two threads: 20 ms
        goes_on.set()
        assert all(waiting.result(20) for waiting in held)
    finally:
        pool.shutdown()


def test_calls_beyond_the_queue_are_refused_at_once(one_worker: Server) -> None:
    sends = threading.Event()

    def late() -> Iterator[bytes]:  # a caller who takes long to send its message keeps the only worker
        sends.wait(20)
        yield REQUEST.SerializeToString()

    with grpc.insecure_channel(one_worker.address) as channel:
        rerank: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            "/reranker.v1.RerankerService/Rerank"
        )
        first = rerank.future(late(), timeout=30)
        time.sleep(0.2)
        calls = [RerankerServiceStub(channel).Rerank.future(REQUEST, timeout=30) for _ in range(200)]
        reasons: Counter[str] = Counter()
        end = time.monotonic() + 10
        while sum(call.done() for call in calls) < 192 and time.monotonic() < end:
            time.sleep(0.01)
        refused = [call for call in calls if call.done()]
        for call in refused:
            error = call.exception()
            assert isinstance(error, grpc.RpcError)
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            reasons[reason_of(error)] += 1
            assert retry_seconds(error) >= 0.001
        assert reasons == {"QUEUE_FULL": 192}
        status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5).status
        assert status == health_pb2.HealthCheckResponse.SERVING
        sends.set()
        assert messages.RerankResponse.FromString(first.result()).positions
        assert all(len(call.result().positions) == 2 for call in calls if call not in refused)
        assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=5).positions
    with urllib.request.urlopen(f"http://{one_worker.admin_address}/metrics", timeout=5) as page:
        assert 'reranker_shed_total{reason="QUEUE_FULL"} 192.0' in page.read().decode()


def test_reports_that_wait_for_the_ledger_keep_no_worker_from_requests(
    one_worker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def slowly(*_: object) -> Counts:
        assert goes_on.wait(60)
        return Counts(new=1)

    monkeypatch.setattr(SqliteLedger, "record_impressions", slowly)
    report = RecordImpressionsRequest(impressions=[SlateImpression(request_id="r", seen_slots=[1])])
    with grpc.insecure_channel(one_worker.address) as channel:
        reports = [ExposureServiceStub(channel).RecordImpressions.future(report, timeout=120) for _ in range(200)]
        try:
            assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=60).positions
            end = time.monotonic() + 60
            while not any(call.done() for call in reports) and time.monotonic() < end:
                time.sleep(0.01)
            assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=60).positions
        finally:
            goes_on.set()
        codes = Counter(call.code() for call in reports)
    assert codes.keys() == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_those_who_hang_up_while_they_wait_make_room(one_worker: Server) -> None:
    sends = threading.Event()

    def late() -> Iterator[bytes]:
        sends.wait(20)
        yield REQUEST.SerializeToString()

    with grpc.insecure_channel(one_worker.address) as channel:
        rerank: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            "/reranker.v1.RerankerService/Rerank"
        )
        first = rerank.future(late(), timeout=30)
        time.sleep(0.2)
        for call in [RerankerServiceStub(channel).Rerank.future(REQUEST, timeout=30) for _ in range(8)]:
            call.cancel()
        sends.set()
        first.result()
        for _ in range(20):
            assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=5).positions
