"""A process that asks a server for its health all the while, as an orchestrator would, and keeps how long each took."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loadtest.errors import GeneratorFailed
from loadtest.servers.affinity import staying_on

_SECONDS_BETWEEN = 0.01
_SECONDS_TO_WAIT = 2.0
_SECONDS_TO_START = 30.0


@dataclass(frozen=True, slots=True)
class Probes:
    """How many there were, how many got no answer that says SERVING, and milliseconds; NaN without any."""

    count: int
    failed: int
    p50: float
    p99: float
    longest: float


class Prober:
    """Probes since the last `taken`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def taken(self) -> Probes:
        """What there was since the last time."""
        self._connection.send("take")
        if not self._connection.poll(_SECONDS_TO_WAIT + 5.0):
            raise GeneratorFailed("the process that asks for health does not answer")
        seconds, failed = self._connection.recv()
        if not seconds:
            return Probes(0, failed, float("nan"), float("nan"), float("nan"))
        p50, p99 = np.percentile(seconds, [50, 99])
        return Probes(len(seconds), failed, 1e3 * float(p50), 1e3 * float(p99), 1e3 * max(seconds))


@contextmanager
def probing(address: str, core: int | None = None) -> Iterator[Prober]:
    """Ask the server there for its health from now on, over a connection of its own, a hundred times a second."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, address, core), name="prober", daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS_TO_START):
            raise GeneratorFailed("the process that asks for health did not start")
        ours.recv()
        yield Prober(ours)
    finally:
        ours.close()
        process.terminate()
        process.join(5.0)


def _serve(connection: Connection, address: str, core: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    seconds: list[float] = []
    failed = 0
    with staying_on(core), grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        connection.send("ready")
        while True:
            if connection.poll(_SECONDS_BETWEEN):
                try:
                    connection.recv()
                except EOFError:
                    return
                connection.send((seconds, failed))
                seconds, failed = [], 0
            began = time.perf_counter()
            try:
                status = check(health_pb2.HealthCheckRequest(), timeout=_SECONDS_TO_WAIT).status
                failed += status != health_pb2.HealthCheckResponse.SERVING
            except grpc.RpcError:
                failed += 1
            seconds.append(time.perf_counter() - began)
