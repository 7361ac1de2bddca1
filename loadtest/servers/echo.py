"""The floor: a bare grpcio server that takes the same bytes and gives the same answers, and does nothing in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import grpc

from examples.server_process import ServerFailed
from loadtest.errors import LoadtestError
from loadtest.servers.target import Target

THREADS = 8
"""As many as the real server has by default."""

_KEY = 48  # bytes: the id of a request stands first on the wire
_SECONDS_TO_LISTEN = 30.0


@contextmanager
def running_echo(bodies: Sequence[bytes], answers: Sequence[bytes], core: int | None = None) -> Iterator[Target]:
    """The echo as a process of its own, stopped whatever happens; `core` is the one to stay on.

    `answers` are what the real server gave to `bodies`. Raises `ServerFailed` when the echo does not come up,
    `LoadtestError` when requests cannot be told apart by their first bytes.
    """
    by_key = {body[:_KEY]: answer for body, answer in zip(bodies, answers, strict=True)}
    if len(by_key) < len(bodies):
        raise LoadtestError(f"the echo tells requests apart by their first {_KEY} bytes; two of these are alike there")
    context = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, by_key, core), name="load-echo", daemon=True)
    process.start()
    theirs.close()
    try:
        yield Target("echo", f"127.0.0.1:{_port(ours)}", process.pid, is_echo=True)
    finally:
        ours.close()
        process.terminate()
        process.join(5.0)
        if process.is_alive():
            process.kill()
            process.join()


def _port(connection: Connection) -> int:
    try:
        if connection.poll(_SECONDS_TO_LISTEN):
            return int(connection.recv())
    except EOFError:  # it has left
        pass
    raise ServerFailed("the echo server did not come up")


def _serve(connection: Connection, answers: Mapping[bytes, bytes], core: int | None) -> None:
    """The process: tells its port and serves until the other end of `connection` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    if core is not None:
        os.sched_setaffinity(0, {core})
    server = grpc.server(
        ThreadPoolExecutor(THREADS),
        handlers=[_Echo(answers)],
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection.send(port)
    try:
        connection.recv()
    except (EOFError, OSError):
        server.stop(None)


class _Echo(grpc.GenericRpcHandler):
    """Neither parses nor serialises: it finds the answer by the head of the request."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._answer)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """The same handler, whatever the method."""
        return self._handler

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        answer = self._answers.get(request[:_KEY])
        if answer is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "the echo does not know this request")
        return answer
