"""The generator with its real client processes, against servers whose behaviour is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from loadtest.arrivals import Arrivals
from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.generator.fleet import Fleet, hired
from loadtest.modes.trial import Trial
from loadtest.modes.verdict import Verdict, verdict_of
from loadtest.output.live import Live
from loadtest.results.outcome import Outcome
from loadtest.servers.echo import running_echo
from loadtest.servers.target import Target
from loadtest.servers.usage import ended
from loadtest.workload.bodies import Workload
from loadtest.workload.scenario import Run, Slo
from reranker.v1.reranker_service_pb2 import DegradedReason, RerankRequest, RerankResponse

BODIES = tuple(RerankRequest(request_id=f"request-{n}", slate_size=5).SerializeToString() for n in range(20))
ANSWER = RerankResponse(positions=[1, 2, 3]).SerializeToString()
DEGRADED = RerankResponse(positions=[1], degraded=DegradedReason.DEGRADED_REASON_DEADLINE).SerializeToString()
ROOT = Path(__file__).resolve().parents[2]
ORPHANS = Path(__file__).with_name("orphans.py")
Handler = Callable[[bytes, grpc.ServicerContext], bytes]


class Server(grpc.GenericRpcHandler):
    """Hands every request's bytes to a function."""

    def __init__(self, handle: Handler) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(handle)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        return self._handler


@contextmanager
def serving(handle: Handler, threads: int = 8, seconds: float | None = None) -> Iterator[Target]:
    """A server in this process; with `seconds` it dies so many after its first request."""
    death = threading.Timer(seconds or 60.0, lambda: server.stop(None))
    first = threading.Lock()

    def noticing(request: bytes, context: grpc.ServicerContext) -> bytes:
        if seconds is not None and first.acquire(blocking=False):
            death.start()
        return handle(request, context)

    server = grpc.server(ThreadPoolExecutor(threads), handlers=[Server(noticing)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Target("server", f"127.0.0.1:{port}")
    finally:
        death.cancel()
        server.stop(None).wait(5)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with hired(2, BODIES) as two:
        yield two


def measure(
    fleet: Fleet, target: Target, kind: str = "constant", *, is_flood: bool = False, **settings: Any
) -> Outcome:
    workload = Workload(("all",), BODIES, np.zeros(len(BODIES), np.uint8), np.full(len(BODIES), 1 / len(BODIES)))
    run = Run(**{"rate": 100.0, "seconds": 2.0, "warm_up": 0.0, "deadline_ms": 5000.0, **settings})
    return Trial(fleet, workload, Arrivals(kind), run, is_flood).measure(target, Live.silent)


def test_every_request_of_the_schedule_arrives_once(fleet: Fleet) -> None:
    seen: list[bytes] = []
    lock = threading.Lock()

    def handle(request: bytes, _: grpc.ServicerContext) -> bytes:
        with lock:
            seen.append(request)
        return ANSWER

    with serving(handle) as target:
        found = measure(fleet, target, rate=150, seconds=2, warm_up=1)
    assert found.counts.due == 300
    assert found.counts.codes == {"OK": 300}
    assert found.latency.answered == 300
    assert len(seen) == 450
    assert set(seen) <= set(BODIES)
    assert len(found.machine.clients) == 2


def test_a_flood_asks_what_grpc_would_ask_and_reads_what_it_would_read(fleet: Fleet) -> None:
    seen: list[bytes] = []
    lock = threading.Lock()

    def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
        with lock:
            seen.append(request)
        number = BODIES.index(request)
        if number == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no")
        if number == 1:
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "7"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "not this one, and a text that is somewhat longer")
        assert 0 < context.time_remaining() <= 5
        return DEGRADED if number == 2 else ANSWER

    with serving(handle) as target:
        for run in (1, 2):  # over the same connections
            found = measure(fleet, target, is_flood=True, rate=400, seconds=2, seed=run)
            drawn = len(seen)
            counted = {number: seen.count(BODIES[number]) for number in range(3)}
            assert found.counts.due == drawn == 800
            refused = {"RESOURCE_EXHAUSTED": counted[0], "NOT_FOUND": counted[1]}
            assert found.counts.codes == {"OK": 800 - counted[0] - counted[1], **refused}
            assert found.counts.degraded == counted[2]
            seen.clear()


def test_a_flood_keeps_deadlines_and_the_limit_on_open_calls(fleet: Fleet) -> None:
    def handle(_: bytes, __: grpc.ServicerContext) -> bytes:
        time.sleep(0.05)
        return ANSWER

    with serving(handle, threads=2) as target:  # forty answers a second for two hundred questions
        found = measure(fleet, target, is_flood=True, rate=200, seconds=2, deadline_ms=300)
    assert {"OK", "DEADLINE_EXCEEDED"} <= found.counts.codes.keys() <= {"OK", "DEADLINE_EXCEEDED", "NOT_SENT"}
    assert 5 <= found.counts.codes["OK"] <= 100
    assert found.counts.codes.total() == 400
    assert found.latency.percentile(1) <= 320


def test_slow_answers_delay_no_question(fleet: Fleet) -> None:
    """One thread that takes 100 ms an answer, asked 50 times a second: the k-th answer is due 0.1·(k + 1) s after the
    start, whenever the k-th question was. A closed loop would ask ten times a second and report 100 ms."""
    arrived: list[float] = []

    def handle(_: bytes, __: grpc.ServicerContext) -> bytes:
        time.sleep(0.1)
        return ANSWER

    def noting(handle: Handler) -> Handler:
        def noted(request: bytes, context: grpc.ServicerContext) -> bytes:
            arrived.append(time.monotonic())
            return handle(request, context)

        return noted

    with serving(noting(handle), threads=1) as target:
        found = measure(fleet, target, rate=50, seconds=1)
    assert found.counts.codes == {"OK": 50}
    assert found.late.percentile(90) < 50
    # The k-th waits 0.1·(k + 1) − (k + ½)/50 seconds: 0.09 s for the first, 4.01 s for the last.
    expected = np.sort(0.1 * np.arange(1, 51) - (np.arange(50) + 0.5) / 50) * 1e3
    for percent in (50, 90, 99):
        by_arithmetic = expected[int(np.ceil(percent / 2)) - 1]
        assert by_arithmetic - 5 <= found.latency.percentile(percent) <= by_arithmetic * 1.1 + 250
    assert len(arrived) == 50


def test_what_a_server_refuses_is_counted_by_its_code(fleet: Fleet) -> None:
    numbers = iter(range(10_000))

    def handle(_: bytes, context: grpc.ServicerContext) -> bytes:
        number = next(numbers)
        if number % 10 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return DEGRADED if number % 10 == 1 else ANSWER

    with serving(handle, threads=1) as target:
        found = measure(fleet, target)
    assert found.counts.codes == {"OK": 180, "RESOURCE_EXHAUSTED": 20}
    assert (found.counts.errors, found.counts.degraded) == (20, 20)
    assert found.latency.percentile(95) == float("inf")


def test_a_deadline_that_passes_is_an_error_and_a_miss(fleet: Fleet) -> None:
    def handle(_: bytes, __: grpc.ServicerContext) -> bytes:
        time.sleep(0.4)
        return ANSWER

    with serving(handle, threads=32) as target:
        found = measure(fleet, target, rate=20, seconds=1, deadline_ms=100)
    assert found.counts.codes == {"DEADLINE_EXCEEDED": 20}
    assert found.counts.deadline_misses == 20


def test_bytes_that_are_no_answer_are_data_loss(fleet: Fleet) -> None:
    with serving(lambda _, __: b"\xff\xff\xff") as target:
        found = measure(fleet, target, rate=20, seconds=1)
    assert found.counts.codes == {"DATA_LOSS": 20}


def test_a_server_that_dies_leaves_figures(fleet: Fleet) -> None:
    with serving(lambda _, __: ANSWER, seconds=1.5) as target:
        found = measure(fleet, target, rate=50, seconds=3, deadline_ms=300)
    assert found.counts.due == sum(found.counts.codes.values()) == 150
    assert found.counts.codes["OK"] > 20
    assert found.counts.codes["UNAVAILABLE"] > 20
    assert found.series[0].errors == 0
    assert found.series[2].answered == 0


def test_a_server_that_is_killed_is_said_to_be_gone_and_no_generator_saturated(fleet: Fleet) -> None:
    with running_echo(BODIES, [ANSWER] * len(BODIES)) as echo:
        assert echo.pid is not None
        threading.Timer(1.0, os.kill, [echo.pid, signal.SIGKILL]).start()
        found = measure(fleet, echo, rate=100, seconds=3, deadline_ms=1000)
    assert found.machine.server_gone
    assert found.counts.codes["UNAVAILABLE"] > 50
    assert not any("late" in reason for reason in found.saturated)
    assert verdict_of(Slo(p99_ms=50), found) is Verdict.GONE


def test_a_rate_beyond_any_process_is_called_saturation(fleet: Fleet) -> None:
    with running_echo(BODIES, [ANSWER] * len(BODIES)) as echo:
        found = measure(fleet, echo, rate=60_000, seconds=0.5, deadline_ms=500)
    assert found.saturated


def test_the_echo_gives_each_request_its_own_answer() -> None:
    answers = [RerankResponse(request_id=f"{number}").SerializeToString() for number in range(len(BODIES))]
    with running_echo(BODIES, answers) as echo, grpc.insecure_channel(echo.address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/reranker.v1.RerankerService/Rerank")
        assert [call(body, timeout=10) for body in BODIES] == answers
        with pytest.raises(grpc.RpcError, match="does not know this request"):
            call(b"something else", timeout=10)


def test_a_server_that_is_not_there_is_said_to_be() -> None:
    with hired(2, BODIES) as two:
        for says in ("cannot reach 127.0.0.1:1", "has failed before"):
            with pytest.raises(GeneratorFailed, match=says):
                measure(two, Target("nobody", "127.0.0.1:1"))


def test_a_client_process_that_dies_ends_the_run() -> None:
    with hired(1, BODIES) as one, serving(lambda _, __: ANSWER) as target:
        threading.Timer(0.7, lambda: os.kill(one.pids[0], signal.SIGKILL)).start()
        with pytest.raises(GeneratorFailed, match="died"):
            measure(one, target, rate=50, seconds=5)


def test_clients_end_with_their_parent_and_leave_a_server_that_lives_on_alone() -> None:
    asked: list[float] = []

    def handle(_: bytes, __: grpc.ServicerContext) -> bytes:
        asked.append(time.monotonic())
        return ANSWER

    def waits_for(true: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not true() and time.monotonic() < until:
            time.sleep(0.05)
        return true()

    with serving(handle) as target:
        command = [sys.executable, str(ORPHANS), target.address]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            clients = [int(pid) for pid in parent.stdout.readline().split()]
            assert waits_for(lambda: len(asked) > 20, 30)
            parent.kill()
        assert waits_for(lambda: all(ended(client) for client in clients), 3)
        time.sleep(0.5)  # what they had sent before they ended is answered still
        at_the_end = len(asked)
        time.sleep(1)
        assert len(asked) == at_the_end


def test_a_warm_up_alone_measures_nothing(fleet: Fleet) -> None:
    with serving(lambda _, __: ANSWER) as target:
        with pytest.raises(LoadtestError, match="after the warm-up"):
            measure(fleet, target, rate=0.3, seconds=1, warm_up=6)
        assert measure(fleet, target, rate=50, seconds=1).counts.codes == {"OK": 50}  # and does no harm


def test_the_first_seconds_of_a_schedule_are_those_of_the_whole(fleet: Fleet) -> None:
    seen: dict[str, list[bytes]] = {"whole": [], "part": []}

    def ask(name: str, first_seconds: float | None) -> Outcome:
        def handle(request: bytes, _: grpc.ServicerContext) -> bytes:
            seen[name].append(request)
            return ANSWER

        workload = Workload(("all",), BODIES, np.zeros(len(BODIES), np.uint8), np.full(len(BODIES), 1 / len(BODIES)))
        run = Run(rate=50.0, seconds=2.0, warm_up=0.5, deadline_ms=5000.0)
        with serving(handle, threads=1) as target:
            trial = Trial(fleet, workload, Arrivals("ramp"), run)
            return trial.measure(target, Live.silent, first_seconds=first_seconds)

    whole, part = ask("whole", None), ask("part", 1.0)
    assert [second.due for second in part.series[:2]] == [second.due for second in whole.series[:1]] + [
        part.series[1].due
    ]
    assert sorted(seen["part"]) == sorted(seen["whole"][: len(seen["part"])])
    assert part.seconds == 1.0


def plainest_client(address: str, due: Sequence[float], deadline: float) -> list[float]:
    """An independent generator in its plainest form: threads that sleep until their time; milliseconds by request."""
    latencies: list[float] = []
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/reranker.v1.RerankerService/Rerank")
        call(BODIES[0], timeout=10)
        start = time.monotonic() + 0.1

        def ask(number: int, when: float) -> None:
            time.sleep(max(0.0, start + when - time.monotonic()))
            call(BODIES[number % len(BODIES)], timeout=deadline)
            latencies.append((time.monotonic() - start - when) * 1e3)

        threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(due)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return latencies


def test_an_independent_client_sees_the_same(fleet: Fleet) -> None:
    """A server with one thread and 8 ms an answer at 60 a second: the queue makes the percentiles."""

    def handle(_: bytes, __: grpc.ServicerContext) -> bytes:
        time.sleep(0.008)
        return ANSWER

    due = Arrivals("poisson").schedule(60, 3, 0, seed=1) / 1e9
    with serving(handle, threads=1) as target:
        ours = [measure(fleet, target, "poisson", rate=60, seconds=3).latency for _ in range(2)]
        theirs = [plainest_client(target.address, due.tolist(), 5.0) for _ in range(2)]
    for percent in (50, 90):
        mine = min(found.percentile(percent) for found in ours)
        other = min(float(np.percentile(found, percent)) for found in theirs)
        assert mine == pytest.approx(other, rel=0.35, abs=6)
