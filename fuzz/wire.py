"""Mutated requests for every method, and sockets that talk nonsense, against the real server as a process of its own.

The server has policies, a ledger, a request log, measures and items in a real Valkey. A defect is a code that only the
server's fault explains, a call without an answer, an answer whose aftermath failed, a server that is gone, or memory
that grows. What counts as growth: the server's resident memory is looked at forty times, a line is fitted to the looks
of the second half, and the upper end of its 95 % interval must not be a rise of more than 5 % of the mean over that
half; nor may memory end 512 MiB above the start. Everything that callers can fill is bounded by bytes; what has not
reached its bound by then still fills.
"""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import grpc

from examples.server_process import running_process
from fuzz.frames import conversation, spoilt
from fuzz.house import Defect, check
from fuzz.mutation import Mutator
from fuzz.seeds import POLICIES, REQUESTS, items, seeds
from loadtest.results.slopes import SMALL, Slope, slope_of
from loadtest.servers.usage import used
from loadtest.servers.valkey import free_port, running_valkey
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from reranker.v1.signal_service_pb2 import PutRequest

_RERANK, _STREAM = "/reranker.v1.RerankerService/Rerank", "/reranker.v1.RerankerService/RerankStream"
_PUT = "/reranker.v1.SignalService/Put"
_AT_ONCE = 16
_SECONDS = 30.0  # for one call: far beyond what any takes
_IN_A_STREAM = 50
_REPORTS, _LOOKS = 10, 40
_LEAST_REQUESTS = 20_000  # before as many were made, caches still fill and nothing is said of growth
_MOST_FILLED = 512 << 20  # bytes above the start: what all that is bounded may come to
_FAULTS = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS", "ABORTED"})
_WEIGHTS = {_RERANK: 8, _STREAM: 2, _PUT: 2}  # what requests are drawn by; 1 for every other method


class Served(NamedTuple):
    """A server under test."""

    address: str
    admin: str
    pid: int


class Found(NamedTuple):
    """What a run came to: answers by method and code, and the server's resident bytes as it went on."""

    codes: dict[str, Counter[str]]
    resident: list[int]

    @property
    def growth(self) -> Slope:
        """Of resident memory over the second half of the requests."""
        return slope_of(self.resident[len(self.resident) // 2 :])


def over_the_wire(requests: int, connections: int, seed: int) -> Found:
    """So many requests and broken connections; raises `Defect` for what must not be. Prints how it goes on."""
    with _server() as served, grpc.insecure_channel(served.address) as channel:
        _unary(channel, _PUT)(PutRequest(items=items("float16")).SerializeToString(), timeout=_SECONDS)
        found = _requests(served, channel, requests, seed)
        _connections(served, connections, seed)
        _check_aftermath(served, channel)
    return found


@contextmanager
def _server() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as name, running_valkey() as valkey:
        folder = Path(name)
        for part in ("ledger", "log"):
            (folder / part).mkdir()
        (folder / "password").write_text(valkey.password)
        admin = f"127.0.0.1:{free_port()}"
        flags = {
            "admin": admin,
            "ledger": folder / "ledger",
            "request-log": folder / "log",
            "request-log-sample": 0.1,
            "measure-every": 10,
            "store": f"redis://127.0.0.1:{valkey.port}",
            "store-password-file": folder / "password",
            "store-timeout": 1,
        }
        words = [f"--{flag}={value}" for flag, value in flags.items()]
        with running_process(POLICIES, [*words, "--store-items", "--signal-writes"]) as server:
            yield Served(server.address, admin, server.pid)


def _requests(served: Served, channel: grpc.Channel, count: int, seed: int) -> Found:
    draw, kept = Random(seed), seeds()
    mutators = {method: Mutator(draw, kind, kept[method]) for method, kind in REQUESTS.items()}
    methods = [method for method in REQUESTS for _ in range(_WEIGHTS.get(method, 1))]
    codes: dict[str, Counter[str]] = {method: Counter() for method in REQUESTS}
    resident, free = [_resident(served)], threading.BoundedSemaphore(_AT_ONCE)
    defects: list[str] = []
    print(f"wire: 0 requests, {resident[0] >> 20} MiB resident in the server", flush=True)

    def ended(method: str, data: bytes, call: Any) -> None:
        free.release()
        code = call.code().name
        codes[method][code] += 1
        if code in _FAULTS:
            defects.append(f"{method}: {code}: {call.details()}: {data.hex()}")
        elif code == "OK" and method == _RERANK:
            try:
                check(RerankRequest.FromString(data), RerankResponse.FromString(call.result()))
            except Defect as error:
                defects.append(f"{method}: {error}: {data.hex()}")

    sent = 0
    for turn in range(_LOOKS):
        while sent < count * (turn + 1) // _LOOKS and not defects:
            method = draw.choice(methods)
            mutator = mutators[method]
            if method == _STREAM:
                batch = [mutator.mutate(mutator.seed()) for _ in range(_IN_A_STREAM)]
                codes[method] += _stream(channel, batch)
                sent += len(batch)
                continue
            data = mutator.mutate(mutator.seed())
            free.acquire()
            call = _unary(channel, method).future(data, timeout=_SECONDS)
            call.add_done_callback(lambda done, method=method, data=data: ended(method, data, done))
            sent += 1
        _await_all(free)
        if defects:
            raise Defect("\n".join(defects[:5]))
        resident.append(_resident(served))
        if (turn + 1) % (_LOOKS // _REPORTS) == 0:
            print(f"wire: {sent} requests, {resident[-1] >> 20} MiB resident in the server", flush=True)
    found = Found(codes, resident)
    if count >= _LEAST_REQUESTS:
        _check_growth(found)
    return found


def _await_all(free: threading.BoundedSemaphore) -> None:
    """Until no call is under way."""
    for _ in range(_AT_ONCE):
        free.acquire()
    for _ in range(_AT_ONCE):
        free.release()


def _check_growth(found: Found) -> None:
    growth, filled = found.growth, found.resident[-1] - found.resident[0]
    if not growth.high <= SMALL:
        raise Defect(f"over the second half the server grew by {growth.low:.1%} to {growth.high:.1%}")
    if filled > _MOST_FILLED:
        raise Defect(f"the server is {filled >> 20} MiB larger than when it began")


def _stream(channel: grpc.Channel, batch: list[bytes]) -> Counter[str]:
    """Every request of a stream has its answer, whatever it is."""
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(_STREAM)
    answers = list(call(iter(batch), timeout=_SECONDS))
    if len(answers) != len(batch):
        raise Defect(f"a stream of {len(batch)} requests had {len(answers)} answers")
    return Counter({"answered": len(answers)})


def _connections(served: Served, count: int, seed: int) -> None:
    """Sockets on both ports that talk nonsense; afterwards a sound conversation must be answered as ever."""
    draw, sound = Random(seed), seeds()[_RERANK]
    for _ in range(count):
        _say(served.address, spoilt(draw, _RERANK, draw.choice(sound)))
    for _ in range(count // 10):
        request = bytearray(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        for _ in range(draw.choice((1, 2, 8))):
            request[draw.randrange(len(request))] = draw.randrange(256)
        _say(served.admin, bytes(request))
    answer = _say(served.address, b"".join(conversation(_RERANK, sound[0])), until=b"grpc-status")
    if b"grpc-status" not in answer:
        raise Defect("after broken connections a sound one has no answer")
    print(f"wire: {count} broken connections, {_resident(served) >> 20} MiB resident in the server", flush=True)


def _say(address: str, words: bytes, until: bytes = b"") -> bytes:
    """What is heard in answer, for a moment, or until the word that is waited for."""
    host, _, port = address.rpartition(":")
    heard = b""
    with socket.create_connection((host, int(port)), _SECONDS) as plain:
        plain.settimeout(_SECONDS if until else 0.005)
        try:
            plain.sendall(words)
            while not until or until not in heard:
                piece = plain.recv(1 << 16)
                if not piece:
                    break
                heard += piece
        except OSError:  # silence, or the server had enough
            pass
    return heard


def _check_aftermath(served: Served, channel: grpc.Channel) -> None:
    """What answers leave behind was dealt with, and the server answers."""
    _unary(channel, _RERANK)(seeds()[_RERANK][0], timeout=_SECONDS)
    end = time.monotonic() + _SECONDS
    while any(value for name, value in _metrics(served).items() if name.startswith("reranker_after_answer_queue")):
        if time.monotonic() > end:
            raise Defect("the work after answers does not come to its end")
        time.sleep(0.1)
    failed = {
        name for name, value in _metrics(served).items() if "dropped_total" in name and "failed" in name and value
    }
    if failed:
        raise Defect(f"what comes after an answer has failed: {sorted(failed)}")


def _metrics(served: Served) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{served.admin}/metrics", timeout=_SECONDS) as reply:
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def _resident(served: Served) -> int:
    found = used(served.pid)
    if found is None:
        raise Defect("the server is gone")
    return found.memory


def _unary(channel: grpc.Channel, method: str) -> Any:
    """A method that takes bytes and gives bytes."""
    return channel.unary_unary(method)


def summary(found: Found) -> str:
    """The answers as JSON, by method and code."""
    counts = {method.rpartition("/")[2]: dict(codes) for method, codes in found.codes.items()}
    growth = found.growth
    document = {
        "answers": counts,
        "resident_mib": [size >> 20 for size in found.resident],
        "growth_over_second_half": {"change": growth.change, "low": growth.low, "high": growth.high},
    }
    return json.dumps(document)
