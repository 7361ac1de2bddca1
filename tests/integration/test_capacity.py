"""More calls than workers: a bounded number waits, the rest is told at once, and health is answered all the while."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

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
SETTINGS = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", grace=2.0)


@pytest.fixture
def one_worker() -> Iterator[Server]:
    settings = replace(SETTINGS, worker_threads=1, queue=8, max_concurrent_calls=1_000)
    server = Server(settings)
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


def test_retries_of_grpc_itself_wait_as_long_as_they_are_told(tmp_path: Path) -> None:
    (tmp_path / "tokens.toml").write_text(
        f'[[tokens]]\nsha256 = "{sha256(b"word").hexdigest()}"\ntenant = "search"\npermissions = ["rerank"]\n'
        "[tenants.search]\nrequests_per_second = 1\nburst = 1\n"
    )
    retries = {
        "maxAttempts": 3,
        "initialBackoff": "0.001s",
        "maxBackoff": "0.001s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": retries}]})
    metadata = [("authorization", "Bearer word")]
    server = Server(replace(SETTINGS, token_file=tmp_path / "tokens.toml"))
    server.warm_up()
    try:
        with grpc.insecure_channel(server.address, [("grpc.enable_retries", 0)]) as channel:
            RerankerServiceStub(channel).Rerank(REQUEST, timeout=5, metadata=metadata)
            with pytest.raises(grpc.RpcError) as raised:
                RerankerServiceStub(channel).Rerank(REQUEST, timeout=5, metadata=metadata)
            assert isinstance(raised.value, grpc.Call)
            trailers = raised.value.trailing_metadata() or ()
            pushback = next(int(value) for key, value in trailers if key == "grpc-retry-pushback-ms")
            assert 0 < pushback <= 1_000
            assert abs(pushback - 1e3 * retry_seconds(raised.value)) <= 1
        with grpc.insecure_channel(server.address, [("grpc.service_config", config)]) as channel:
            began = time.monotonic()  # the millisecond of its policy would use its three attempts up at once
            assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=10, metadata=metadata).positions
            assert 0.3 < time.monotonic() - began < 5
    finally:
        server.drain()


def test_connections_beyond_the_limit_get_no_answer_and_those_that_are_there_stay() -> None:
    server = Server(replace(SETTINGS, max_connections=2))
    server.warm_up()
    own = [("grpc.use_local_subchannel_pool", 1)]
    try:
        with ExitStack() as stack:
            channels = [stack.enter_context(grpc.insecure_channel(server.address, own)) for _ in range(3)]
            for channel in channels[:2]:
                assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=5).positions
            with pytest.raises(grpc.RpcError) as raised:
                RerankerServiceStub(channels[2]).Rerank(REQUEST, timeout=5)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert RerankerServiceStub(channels[0]).Rerank(REQUEST, timeout=5).positions
            channels[0].close()
            assert RerankerServiceStub(channels[2]).Rerank(REQUEST, timeout=20, wait_for_ready=True).positions
    finally:
        server.drain()


def test_calls_that_a_connection_has_open_beyond_its_limit_never_reach_the_queue() -> None:
    server = Server(replace(SETTINGS, max_concurrent_calls=4, queue=0))
    server.warm_up()
    try:
        with grpc.insecure_channel(server.address) as channel:
            assert RerankerServiceStub(channel).Rerank(REQUEST, timeout=5).positions
            calls = [RerankerServiceStub(channel).Rerank.future(REQUEST, timeout=30) for _ in range(200)]
            codes = Counter(call.code() for call in calls)
    finally:
        server.drain()
    assert codes[grpc.StatusCode.OK] >= 20  # at the caller each waits for its turn
    assert codes.keys() <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}  # the latter from gRPC, where it was early
