"""The faults: how the server is started for each, what is done to it, and which failures that explains.

An act takes so many seconds and makes sure that what it does has happened: a fault that was none proves nothing. It
calls `bench.now()` whenever something begins that may fail requests. To add one: a function, and a line in `FAULTS`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import grpc

from examples.server_process import ServerFailed
from loadtest.server_faults.bench import PEMS, WORKERS, Bench
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankStreamRequest
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

POISON = 3
"""The size of the slates that kill whoever makes them."""
_POISONED = (
    "import os, signal, sys; os.environ['OPENBLAS_NUM_THREADS'] = '1'\n"
    "from reranker import cli, engine; real = engine.rerank_traced\n"
    "def trap(candidates, policy, size, **rest):\n"
    f"    if size == {POISON}: signal.raise_signal(signal.SIGSEGV)\n"
    "    return real(candidates, policy, size, **rest)\n"
    "engine.rerank_traced = trap; sys.exit(cli.main(['serve', *sys.argv[1:]]))"
)
_GONE = "in flight on a worker that died, or sent to it before its end was heard of"
_CLOSED = "arrived in the very moment in which a worker closed its listener"


@dataclass(frozen=True)
class Fault:
    """`excuses` are the codes with which it may fail requests, each with its reason, `reach` seconds after a moment.

    They may be `most` of all requests. `hurries`: it takes time away, so answers may be late, degraded or refused.
    """

    name: str
    words: str
    act: Callable[[Bench, float], None]
    excuses: Mapping[str, str] = field(default_factory=dict)
    reach: float = 1.0
    most: float = 0.05
    hurries: bool = False
    flags: tuple[str, ...] = ()
    start: str = ""
    tls: bool = False
    clock: bool = False
    kills: bool = False
    """Whether processes end without a chance to write what they hold."""
    ends: bool = False
    """Whether the server has ended in good order when the act has."""


def _nothing(_: Bench, seconds: float) -> None:
    time.sleep(seconds)


def _kill(bench: Bench, seconds: float) -> None:
    """One worker after the other, every two seconds."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        due = time.monotonic() + 2.0
        bench.until(lambda number=number: number % WORKERS in bench.workers(), "a worker")  # type: ignore[misc]
        bench.signal(signal.SIGKILL, bench.workers()[number % WORKERS])
        number += 1
        time.sleep(max(0.0, due - time.monotonic()))
    bench.until(lambda: bench.metric("reranker_worker_restarts_total") == number, "starting workers anew")
    bench.until(bench.all_serve, "serving again")


def _drain(bench: Bench, seconds: float) -> None:
    """Half-way; callers leave when readiness says so, as behind a balancer."""
    time.sleep(seconds / 2)
    bench.signal(signal.SIGTERM)
    bench.until(lambda: bench.page("/readyz") == "DRAINING\n", "draining")
    time.sleep(0.5)  # a balancer looks now and then
    bench.stop_load()


def _replace(bench: Bench, seconds: float) -> None:
    """Every worker, one after the other, for as long as the time lasts; once at least."""
    end = time.monotonic() + seconds
    while True:
        old = set(bench.workers().values())
        os.kill(bench.process.pid, signal.SIGHUP)
        bench.until(lambda old=old: bench.all_serve() and not old & set(bench.workers().values()), "new workers")  # type: ignore[misc]
        bench.until(lambda: ": done" in bench.page("/statusz"), "the end of the reload")
        if time.monotonic() > end:
            break
    for closing in bench.times_in_log("draining"):
        bench.now(time.time() - closing)


def _poison(bench: Bench, seconds: float) -> None:
    """Three requests that kill the worker which works on them."""
    with bench.connection() as channel:
        for number in range(3):
            bench.now()
            request = RerankRequest(slate_size=POISON)
            request.candidates.item_ids.extend(f"p{n}" for n in range(10))
            request.candidates.scores.extend(range(10))
            code = RerankerServiceStub(channel).Rerank.future(request, timeout=20, wait_for_ready=True).code()
            if code != grpc.StatusCode.UNAVAILABLE:
                raise ServerFailed(f"the poison was answered with {code}")
            bench.until(lambda number=number: bench.metric("reranker_worker_restarts_total") == number + 1, "its end")  # type: ignore[misc]
            time.sleep(seconds / 3)
    bench.until(bench.all_serve, "serving again")


def _starve(bench: Bench, seconds: float) -> None:
    """All of the server on one core, with eight others who want it, all of the time."""
    core = {min(os.sched_getaffinity(0))}
    before = {pid: os.sched_getaffinity(pid) for pid in _tasks(bench)}
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_spin, args=(core, seconds + 20.0), daemon=True) for _ in range(8)]
    try:
        for other in others:
            other.start()
        for pid in before:
            os.sched_setaffinity(pid, core)
        bench.now()
        time.sleep(seconds)
    finally:
        for other in others:
            other.kill()
            other.join()
        for pid, cores in before.items():
            os.sched_setaffinity(pid, cores)


def _tasks(bench: Bench) -> list[int]:
    return [int(task) for pid in bench.processes() for task in os.listdir(f"/proc/{pid}/task")]


def _spin(core: set[int], seconds: float) -> None:
    os.sched_setaffinity(0, core)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HALF_WORDS = (b"", PREFACE[:9], PREFACE, PREFACE + b"\x00\x00\x12\x04", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00")


def _dawdle(bench: Bench, seconds: float) -> None:
    """120 connections that never finish a word, and as many streams as there may be, whose answers nobody reads."""
    host, _, port = bench.address.rpartition(":")
    stop = threading.Event()

    def endless() -> Iterator[RerankStreamRequest]:
        request = RerankRequest(slate_size=10)
        request.candidates.item_ids.extend(f"p{n}" for n in range(60))
        request.candidates.scores.extend(range(60))
        while not stop.is_set():
            yield RerankStreamRequest(request=request)

    bench.now()
    with contextlib.ExitStack() as connections:
        connections.callback(stop.set)
        for number in range(120):
            connection = connections.enter_context(socket.create_connection((host, int(port)), timeout=20))
            connection.sendall(HALF_WORDS[number % len(HALF_WORDS)])
        for _ in range(4):
            channel = connections.enter_context(bench.connection())
            stream = RerankerServiceStub(channel).RerankStream(endless(), timeout=seconds + 60)
            connections.callback(stream.cancel)
            with contextlib.suppress(grpc.RpcError):  # by chance all of them meet one worker
                next(stream)
        time.sleep(seconds)


def _fill_disk(bench: Bench, seconds: float) -> None:
    """No process of the server can write to any file, its log and the request log included."""
    lost = bench.metric("reranker_request_log_lost_total")
    pids = bench.processes()
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    size = bench.log.stat().st_size
    bench.now()
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    _be_refused(bench)
    time.sleep(seconds)
    bench.until(lambda: bench.metric("reranker_request_log_lost_total") > lost, "losing records")
    if bench.log.stat().st_size != size:
        raise ServerFailed("the log went on though its disk was full")
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _jump(bench: Bench, seconds: float) -> None:
    """An hour ahead, a day back, and home again."""
    assert bench.clock is not None
    for hours in (1, -24, 0):
        bench.now()
        bench.clock.jump(3_600 * hours)
        time.sleep(seconds / 3)
        _be_refused(bench)  # a line in the log
        bench.until(partial(_is_ahead, bench, hours), "the clock's jump")


def _is_ahead(bench: Bench, hours: int) -> bool:
    return round((bench.times_in_log()[-1] - time.time()) / 3_600) == hours


def _be_refused(bench: Bench) -> None:
    with contextlib.suppress(grpc.RpcError):
        RerankerServiceStub(bench.channel).Rerank(RerankRequest(slate_size=-1), timeout=20)
        raise ServerFailed("a slate of -1 items was made")


def _swap_certificate(bench: Bench, seconds: float) -> None:
    """First for one whose key does not fit, which is refused, then for a sound one; callers connect anew meanwhile."""
    loaded = bench.metric(_LOADS.format("loaded"))
    bench.now()
    bench.key.write_bytes((PEMS / "renewed.key").read_bytes())
    bench.until(lambda: bench.metric(_LOADS.format("refused")) == WORKERS, "refusing half of a pair")
    time.sleep(seconds / 2)
    bench.now()
    bench.place_certificate("renewed")
    bench.until(lambda: bench.metric(_LOADS.format("loaded")) == loaded + WORKERS, "the new certificate")
    host, _, port = bench.address.rpartition(":")
    if ssl.get_server_certificate((host, int(port))).strip() != (PEMS / "renewed.pem").read_text().strip():
        raise ServerFailed("the old certificate is shown")
    time.sleep(seconds / 2)


_LOADS = 'reranker_security_loads_total{{kind="certificate",result="{}"'


def _spoil_policies(bench: Bench, seconds: float) -> None:
    """A word that there is not, then a file that is no TOML; in the end all is as before."""
    file = bench.folder / "policies" / "shares.toml"
    good = file.read_text()
    for bad in (f"{good}min_sahre = {{ dark = 0.9 }}\n", "nonsense"):
        bench.now()
        file.write_text(bad)
        bench.until(lambda: bench.metric("reranker_policies_refused") == WORKERS, "refusing the policy")
        time.sleep(seconds / 2)
    file.write_text(good)
    bench.until(lambda: bench.metric("reranker_policies_refused") == 0, "taking the policies again")


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("none", "nothing happens", _nothing),
        Fault("kill", "SIGKILL to a worker every 2 s, in turn", _kill, {"UNAVAILABLE": _GONE}, kills=True),
        Fault("drain", "SIGTERM; callers heed readiness", _drain, flags=("--drain-delay", "2"), ends=True),
        Fault(
            "reload",
            "SIGHUP again and again: new workers",
            _replace,
            dict.fromkeys(("CANCELLED", "UNAVAILABLE"), _CLOSED),
            most=0.01,
        ),
        Fault(
            "poison", "3 requests that kill their worker", _poison, {"UNAVAILABLE": _GONE}, start=_POISONED, kills=True
        ),
        Fault("starve", "one core, shared with 8 spinning processes", _starve, hurries=True),
        Fault("dawdle", "120 half-open connections, unread streams", _dawdle, hurries=True, flags=("--streams", "4")),
        Fault("disk", "no file can be written: logs, request log, ledger", _fill_disk),
        Fault("clock", "wall clock +1 h, -24 h, back", _jump, clock=True),
        Fault("certificate", "a key that does not fit, then a new pair", _swap_certificate, tls=True),
        Fault("policy", "a bad policy file, twice", _spoil_policies),
    )
}
