"""`python server.py` as operators run it: a process of its own, signals, exit codes, a client that must not fail."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reranker.client import Client, ServerError, from_columns
from reranker.runtime.server import Server
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.e2e.processes import Process, run
from tests.waiting import wait_for

CANDIDATES = from_columns([f"p{i}" for i in range(20)], np.linspace(1, 0, 20), np.eye(20))


@pytest.fixture
def process() -> Iterator[Process]:
    running = Process("--drain-delay", "0.5", "--grace", "15").warm()
    yield running
    running.kill()


def test_sigterm_under_load_fails_no_request_and_ends_the_stream_in_flight(process: Process) -> None:
    ready = threading.Event()
    ready.set()
    failures: list[grpc.RpcError] = []
    answered = 0
    lock = threading.Lock()

    def follow_health() -> None:
        with grpc.insecure_channel(process.address) as channel:
            for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60):
                if answer.status != health_pb2.HealthCheckResponse.SERVING:
                    ready.clear()
                    return

    def load() -> None:
        nonlocal answered
        with grpc.insecure_channel(process.address) as channel:
            stub = RerankerServiceStub(channel)
            while ready.is_set():
                try:
                    stub.Rerank(messages.RerankRequest(candidates=CANDIDATES, slate_size=5), timeout=10)
                except grpc.RpcError as error:
                    failures.append(error)
                with lock:
                    answered += 1

    goes_on = threading.Event()

    def stream_requests() -> Iterator[messages.RerankStreamRequest]:
        for _ in range(2):
            yield messages.RerankStreamRequest(request=messages.RerankRequest(candidates=CANDIDATES, slate_size=5))
            goes_on.wait(15)

    threads = [threading.Thread(target=target) for target in (follow_health, load, load)]
    with grpc.insecure_channel(process.address) as channel:
        stream = RerankerServiceStub(channel).RerankStream(stream_requests(), timeout=30)
        next(stream)
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        process.send(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        time.sleep(0.7)  # past the drain delay: newcomers are refused by now
        goes_on.set()
        assert len(list(stream)) == 1
    code, errors = process.end()
    assert (code, failures) == (0, [])
    assert answered > 10
    assert '"event": "draining"' in errors
    assert '"event": "stopped"' in errors
    assert "Traceback" not in errors


def test_sigterm_cancels_nobody_who_calls_again_and_again(process: Process) -> None:
    codes: Counter[str] = Counter()
    lock = threading.Lock()
    stop = threading.Event()

    def load() -> None:
        with Client(process.address, deadline=10.0) as client:
            while not stop.is_set():
                slate = client.rerank(CANDIDATES, 5)
                code = slate.error.code.name if isinstance(slate.error, ServerError) else "OK"
                with lock:
                    codes[code] += 1
                if code != "OK":
                    stop.wait(0.05)

    threads = [threading.Thread(target=load) for _ in range(32)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    process.send(signal.SIGTERM)
    code, _ = process.end()
    stop.set()
    for thread in threads:
        thread.join(15)
    assert code == 0
    assert not any(thread.is_alive() for thread in threads)
    assert codes["OK"] > 100
    assert set(codes) <= {"OK", "UNAVAILABLE"}


def test_the_process_leaves_in_time_though_a_worker_never_ends() -> None:
    endless = (
        "import sys, time; from reranker import cli, engine; engine.rerank_traced = lambda *_, **__: time.sleep(600); "
        "sys.exit(cli.main(['serve', *sys.argv[1:]]))"
    )
    running = Process("--grace", "0.5", "--worker-threads", "1", start=("-c", endless)).warm()
    try:
        with grpc.insecure_channel(running.address) as channel:
            request = messages.RerankRequest(candidates=CANDIDATES, slate_size=5)
            call = RerankerServiceStub(channel).Rerank.future(request, timeout=60)
            time.sleep(0.3)
            started = time.monotonic()
            running.send(signal.SIGTERM)
            code, errors = running.end()
            assert time.monotonic() - started < 4.0
            assert call.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        assert code == 0
        last = json.loads(errors.splitlines()[-1])
        assert (last["event"], last["unfinished"]) == ("stopped", True)
    finally:
        running.kill()


def test_sigint_ends_the_server_as_well(process: Process) -> None:
    process.send(signal.SIGINT)
    assert process.end()[0] == 0


def test_callers_who_hang_up_are_no_news(process: Process) -> None:
    endless = threading.Event()

    def held() -> Iterator[messages.RerankStreamRequest]:
        yield messages.RerankStreamRequest(request=messages.RerankRequest(candidates=CANDIDATES, slate_size=5))
        endless.wait(10)

    with grpc.insecure_channel(process.address) as channel:
        stub = RerankerServiceStub(channel)
        for _ in range(3):
            stream = stub.RerankStream(held(), timeout=30)
            next(stream)
            stream.cancel()
            call = stub.Rerank.future(messages.RerankRequest(candidates=CANDIDATES, slate_size=5), timeout=10)
            call.cancel()
        assert stub.Rerank(messages.RerankRequest(candidates=CANDIDATES, slate_size=5), timeout=10).positions
        process.send(signal.SIGHUP)  # there is nothing to reload, and nothing ends
        assert stub.Rerank(messages.RerankRequest(candidates=CANDIDATES, slate_size=5), timeout=10).positions
    endless.set()
    process.send(signal.SIGTERM)
    code, errors = process.end()
    assert code == 0
    assert errors.count("nothing to reload") == 1
    assert [line for line in errors.splitlines() if not line.startswith("{")] == []


def test_a_second_signal_ends_it_at_once(process: Process) -> None:
    def held() -> Iterator[messages.RerankStreamRequest]:
        yield messages.RerankStreamRequest(request=messages.RerankRequest(candidates=CANDIDATES, slate_size=5))
        time.sleep(15)

    with grpc.insecure_channel(process.address) as channel:
        stream = RerankerServiceStub(channel).RerankStream(held(), timeout=30)
        next(stream)
        process.send(signal.SIGTERM)
        time.sleep(0.2)
        started = time.monotonic()
        process.send(signal.SIGTERM)
        assert process.end()[0] == 128 + signal.SIGTERM
        assert time.monotonic() - started < 5
        stream.cancel()


def test_sigterm_while_warming_up_leaves_cleanly(tmp_path: Path) -> None:
    running = Process(RERANKER_CACHE_DIR=str(tmp_path))  # an empty cache: the kernels take seconds to compile
    try:
        running.send(signal.SIGTERM)
        assert running.end()[0] == 0
    finally:
        running.kill()


def test_the_client_falls_back_when_the_server_stands_still_and_when_it_is_killed(process: Process) -> None:
    with Client(process.address, deadline=5.0) as client:
        assert client.wait_until_ready(10)
        answered = client.rerank(CANDIDATES, 4)
        assert answered.degraded is None
        process.send(signal.SIGSTOP)
        stat = Path(f"/proc/{process.process.pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        started = time.monotonic()
        late = client.rerank(CANDIDATES, 4, deadline=0.3)
        assert time.monotonic() - started < 2.0
        process.send(signal.SIGCONT)
        assert client.rerank(CANDIDATES, 4).positions.tolist() == answered.positions.tolist()
        process.kill()
        gone = client.rerank(CANDIDATES, 4)
        assert client.fallbacks == {"DEADLINE_EXCEEDED": 1, "UNAVAILABLE": 1}
    for slate in (late, gone):
        assert slate.degraded == "CLIENT_FALLBACK"
        assert slate.ids == ["p0", "p1", "p2", "p3"]


def test_a_port_in_use_ends_with_2(server: Server) -> None:
    done = run("server.py", "--listen", server.address, "--admin", "off")
    assert done.returncode == 2
    assert done.stderr == f"reranker: gRPC cannot listen on {server.address}: Address already in use\n"


def test_bad_settings_end_with_2_and_name_everything() -> None:
    done = run("server.py", "--grace", "soon", RERANKER_WORKER_THREADS="0", RERANKER_TYPO="1")
    assert done.returncode == 2
    for name in ("--grace", "RERANKER_WORKER_THREADS", "RERANKER_TYPO"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("check", [True, False])
def test_bad_policies_end_with_2_and_name_file_and_line(tmp_path: Path, check: bool) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\n[objective]\ndiversity = 3\n')
    flags = ["--check"] if check else ["--listen", "127.0.0.1:0", "--admin", "off"]
    done = run("server.py", "--policies", str(tmp_path), *flags)
    assert done.returncode == 2
    assert re.search(r"bad\.toml.*\n?.*line 3.*objective\.diversity", done.stderr), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_check_validates_and_exits(policies: Path) -> None:
    done = run("server.py", "--check", "--policies", str(policies))
    assert done.returncode == 0, done.stderr
    assert "3 policies are sound" in done.stdout
