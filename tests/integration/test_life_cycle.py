"""The server in this process: cold, warm, busy, draining; the admin port; reflection."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from reranker.client import from_columns
from reranker.errors import InvalidInput
from reranker.runtime.ports import CannotListen
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

LOCAL = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NAMES = ("", "reranker.v1.RerankerService", "liveness")


def health(server: Server) -> dict[str, int]:
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return {name: stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status for name in NAMES}


def page(server: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{server.admin_address}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def small_request(slate_size: int = 2) -> messages.RerankRequest:
    candidates = from_columns(["a", "b", "c"], [1, 2, 3], np.eye(3))
    return messages.RerankRequest(candidates=candidates, slate_size=slate_size)


@pytest.fixture
def cold() -> Iterator[Server]:
    server = Server(replace(LOCAL, worker_threads=1, grace=5.0))
    yield server
    server.drain()


def test_a_cold_server_listens_and_says_that_it_is_not_ready(cold: Server) -> None:
    assert health(cold) == {"": NOT_SERVING, "reranker.v1.RerankerService": NOT_SERVING, "liveness": SERVING}
    assert page(cold, "/healthz") == (200, "ok\n")
    assert page(cold, "/readyz") == (503, "STARTING\n")
    with grpc.insecure_channel(cold.address) as channel:
        stub = RerankerServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Rerank(small_request(), timeout=5)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(raised.value)
        assert status is not None
        assert status.details[0].Unpack(info)
        assert info.reason == "NOT_READY"
        with pytest.raises(grpc.RpcError) as raised:
            next(stub.RerankStream(iter([]), timeout=5))
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        cold.warm_up()
        assert stub.Rerank(small_request(), timeout=5).positions
    assert set(health(cold).values()) == {SERVING}
    assert page(cold, "/readyz") == (200, "SERVING\n")
    assert "reranker_ready 1.0" in page(cold, "/metrics")[1]


def test_health_changes_reach_those_who_watch(cold: Server) -> None:
    with grpc.insecure_channel(cold.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == NOT_SERVING
        cold.warm_up()
        assert next(watch).status == SERVING
        watch.cancel()


@pytest.mark.slow  # kernels as plain Python would take minutes for these lists
def test_health_answers_however_busy_the_workers_are(cold: Server) -> None:
    cold.warm_up()
    numbers = np.random.default_rng(0)
    candidates = from_columns(range(2_000), numbers.random(2_000), numbers.standard_normal((2_000, 64)))
    request = messages.RerankRequest(candidates=candidates, slate_size=200)
    with grpc.insecure_channel(cold.address) as channel:
        calls = [RerankerServiceStub(channel).Rerank.future(request, timeout=60) for _ in range(40)]
        assert health(cold)[""] == SERVING
        assert not all(call.done() for call in calls)
        for call in calls:
            assert len(call.result().positions) == 200


def test_bad_policies_open_no_port(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[objective]\ndiversity = 3\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InvalidInput, match=r"objective\.diversity"):
        Server(replace(LOCAL, listen=f"127.0.0.1:{port}", policies=tmp_path))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_draining_lets_a_stream_end_and_refuses_newcomers() -> None:
    server = Server(replace(LOCAL, drain_delay=0.3, grace=20.0))
    server.warm_up()
    goes_on = threading.Event()

    def requests() -> Iterator[messages.RerankStreamRequest]:
        yield messages.RerankStreamRequest(request=small_request())
        goes_on.wait(20)
        yield messages.RerankStreamRequest(request=small_request(3))

    with grpc.insecure_channel(server.address) as channel:
        stub = RerankerServiceStub(channel)
        stream = stub.RerankStream(requests(), timeout=30)
        assert len(next(stream).response.positions) == 2
        draining = threading.Thread(target=server.drain)
        draining.start()
        while health(server)[""] != NOT_SERVING:  # balancers see it while calls are still taken
            time.sleep(0.01)
        assert health(server)["liveness"] == SERVING
        assert stub.Rerank(small_request(), timeout=5).positions
        time.sleep(0.5)
        with grpc.insecure_channel(server.address) as late, pytest.raises(grpc.RpcError) as raised:
            RerankerServiceStub(late).Rerank(small_request(), timeout=5)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert draining.is_alive()
        goes_on.set()
        assert [len(answer.response.positions) for answer in stream] == [3]
        draining.join(10)
        assert not draining.is_alive()


def test_a_port_in_use_is_a_clear_error(server: Server) -> None:
    with pytest.raises(CannotListen, match=rf"gRPC cannot listen on {server.address}: Address already in use"):
        Server(Settings(listen=server.address, admin=""))
    with pytest.raises(CannotListen, match=r"the admin port cannot listen on .*: Address already in use"):
        Server(Settings(listen="127.0.0.1:0", admin=server.admin_address))


def test_unknown_admin_pages_are_not_found(server: Server) -> None:
    status, text = page(server, "/")
    assert status == 404
    assert "/metrics, /healthz, /readyz, /configz, /statusz" in text
    assert page(server, "/healthz?verbose=1")[0] == 200


def test_status_and_settings_are_pages_that_a_person_can_read(server: Server) -> None:
    status, html = page(server, "/statusz")
    assert status == 200
    for said in ("<h1>diversity-reranker: SERVING</h1>", "<h2>Policies</h2>", "<td>tones</td>", server.address):
        assert said in html
    status, text = page(server, "/configz")
    assert status == 200
    assert "streams = 2" in text


def test_a_scrape_shows_what_happened(server: Server, channel: grpc.Channel) -> None:
    RerankerServiceStub(channel).Rerank(small_request(), timeout=5)
    status, text = page(server, "/metrics")
    assert status == 200
    assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="Rerank"' in text
    assert 'reranker_policy_info{policy="tones"' in text
    assert 'reranker_slates_total{arm="",policy="default",status="SATISFIED"}' in text


def test_nothing_compiles_once_the_server_is_warm(server: Server, channel: grpc.Channel) -> None:
    def compiled() -> str:
        return next(line for line in page(server, "/metrics")[1].splitlines() if line.startswith("reranker_jit_"))

    before = compiled()
    numbers = np.random.default_rng(0)
    stub = RerankerServiceStub(channel)
    for policy in ("default", "tones"):
        for count in (0, 1, 30):
            vectors = numbers.standard_normal((count, 5))
            for half in (False, True):
                tones = [["x", None, "y"][i % 3] for i in range(count)]
                candidates = from_columns(
                    [str(i) for i in range(count)], numbers.random(count), vectors, {"tone": tones}, half_precision=half
                )
                request = messages.RerankRequest(
                    candidates=candidates, slate_size=9, policy_name=policy, explain=True, measures=True
                )
                stub.Rerank(request, timeout=10)
    assert compiled() == before


def test_reflection_describes_the_service(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert "reranker.v1.RerankerService" in database.get_services()
    service = DescriptorPool(database).FindServiceByName("reranker.v1.RerankerService")
    assert service.methods_by_name["Rerank"].input_type.full_name == "reranker.v1.RerankRequest"


def test_reflection_can_be_off() -> None:
    server = Server(replace(LOCAL, reflection=False))
    try:
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as raised:
            ProtoReflectionDescriptorDatabase(channel).get_services()
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.drain()
