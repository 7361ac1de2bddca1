"""Calls that meet a server which leaves: the client asks again, within its deadline."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from reranker.client import Client, ServerError, from_columns
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceServicer, add_RerankerServiceServicer_to_server

LIST = from_columns(["a", "b"], [2, 1])


class Fails(RerankerServiceServicer):
    """Ends so many calls with a code, and answers those after."""

    def __init__(self, code: grpc.StatusCode, times: int) -> None:
        self.calls = 0
        self._code, self._times = code, times

    def Rerank(self, request: RerankRequest, context: grpc.ServicerContext) -> RerankResponse:  # noqa: N802
        self.calls += 1
        if self.calls <= self._times:
            context.abort(self._code, "leaving")
        return RerankResponse(positions=[1, 0])


@contextmanager
def served(servicer: Fails) -> Iterator[int]:
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        add_RerankerServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE])
def test_a_call_that_a_leaving_server_ends_is_sent_again(code: grpc.StatusCode) -> None:
    servicer = Fails(code, 2)
    with served(servicer) as port, Client(f"127.0.0.1:{port}", deadline=20.0, on_error="raise") as client:
        assert client.rerank(LIST, 2).ids == ["b", "a"]
    assert servicer.calls == 3


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL])
def test_what_would_fail_again_or_make_it_worse_is_sent_once(code: grpc.StatusCode) -> None:
    servicer = Fails(code, 1)
    with (
        served(servicer) as port,
        Client(f"127.0.0.1:{port}", deadline=20.0, on_error="raise") as client,
        pytest.raises(ServerError, match=code.name),
    ):
        client.rerank(LIST, 2)
    assert servicer.calls == 1


def test_a_connection_that_a_closing_listener_resets_costs_no_call() -> None:
    """gRPC then leaves the address alone for 0.1 s: the client's attempts outlast that."""
    servicer = Fails(grpc.StatusCode.CANCELLED, 0)
    with served(servicer) as port, socket.create_server(("127.0.0.1", 0)) as door:
        relay = threading.Thread(target=reset_once_then_relay, args=(door, port), daemon=True)
        relay.start()
        with Client(f"127.0.0.1:{door.getsockname()[1]}", deadline=20.0, on_error="raise") as client:
            assert client.rerank(LIST, 2).ids == ["b", "a"]
        relay.join(20)
    assert servicer.calls == 1


def reset_once_then_relay(door: socket.socket, port: int) -> None:
    """As the kernel does with connections that wait for a listener which closes; the next is the server's."""
    waiting, _ = door.accept()
    waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    waiting.close()
    caller, _ = door.accept()
    with caller, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=copy, args=(server, caller), daemon=True)
        back.start()
        copy(caller, server)
        back.join(20)


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the caller is done
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
