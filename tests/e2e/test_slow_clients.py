"""Clients that connect and say nothing, stop in the middle of a word, or never read: others do not notice."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import grpc

from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.e2e.load import LIST, SLOTS, Load
from tests.e2e.processes import Process

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HALF_WORDS = (b"", PREFACE[:9], PREFACE, PREFACE + b"\x00\x00\x12\x04", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00")


def endless(stop: threading.Event) -> Iterator[messages.RerankStreamRequest]:
    """Requests for as long as the server takes them."""
    while not stop.is_set():
        yield messages.RerankStreamRequest(request=messages.RerankRequest(candidates=LIST, slate_size=SLOTS))


def test_slow_clients_cost_nobody_else_an_answer() -> None:
    running, stop = Process("--streams", "4").warm(), threading.Event()
    host, _, port = running.address.rpartition(":")
    try:
        with contextlib.ExitStack() as connections:
            connections.callback(stop.set)
            for number in range(120):
                connection = connections.enter_context(socket.create_connection((host, int(port)), timeout=20))
                connection.sendall(HALF_WORDS[number % len(HALF_WORDS)])
            channel = connections.enter_context(grpc.insecure_channel(running.address))
            for _ in range(4):  # all streams that there may be, and nobody reads their answers
                stream = RerankerServiceStub(channel).RerankStream(endless(stop), timeout=60)
                connections.callback(stream.cancel)
                next(stream)
            with Load(running.address) as load:
                load.await_answers(300)
            assert (load.failed, load.wrong) == (0, 0)
    finally:
        running.kill()
