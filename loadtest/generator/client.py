"""One client process: an event loop that sends each request when it is due and never waits for an answer to do so.

asyncio's usual selector rounds every timer up to a whole millisecond, which is as long as an answer takes; `select`
does not.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import selectors
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from loadtest.errors import GeneratorFailed
from loadtest.generator.flood import Flood
from loadtest.generator.records import NOT_SENT, OK, RECORD, STAGES, Failed, Finished, Order, Ready, Usage
from reranker.v1.reranker_service_pb2 import RerankResponse

METHOD = "/reranker.v1.RerankerService/Rerank"
MOST_IN_FLIGHT = 10_000
_SECONDS_TO_CONNECT = 5.0
_SECONDS_PER_REPORT = 0.25
_AT_ONCE = 32  # requests that are sent, when several are due, before answers are looked at
_NO_STAGES = (0,) * len(STAGES)
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # a request that failed has failed
    ("grpc.use_local_subchannel_pool", 1),  # each channel is a connection of its own
]


def serve(connection: Connection, bodies: Sequence[bytes], core: int | None) -> None:
    """The process: takes orders from `connection` until it is closed. `core` is the one to stay on, None is any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if core is not None:
        os.sched_setaffinity(0, {core})
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    asyncio.set_event_loop(loop)
    client = _Client(connection, bodies)
    gc.freeze()  # what is here by now stays: the collector need not look through it while requests are due
    while True:
        try:
            order = connection.recv()
        except (EOFError, OSError):
            return
        if order is None:
            return
        try:
            if order.is_flood:
                client.flood(order)
            else:
                loop.run_until_complete(client.run(order))
        except (EOFError, BrokenPipeError):
            return
        except Exception as error:
            connection.send(Failed(str(error) if isinstance(error, GeneratorFailed) else f"failed: {error!r}"))


def _end_with_the_parent() -> None:
    """Whatever happens to the parent, nobody is put under load without it: a server may well outlive it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Client:
    """Its channels stay open from one run to the next."""

    def __init__(self, connection: Connection, bodies: Sequence[bytes]) -> None:
        self._connection = connection
        self._bodies = bodies
        self._channels: dict[tuple[str, int], grpc.aio.Channel] = {}
        self._finished: list[tuple[Any, ...]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._handing_over = threading.Lock()
        self._flood = Flood(bodies, METHOD, _read)

    def flood(self, order: Order) -> None:
        """One run with frames made ahead."""
        connections = self._flood.connect(order)
        self._connection.send(Ready())
        start = self._connection.recv()
        measured: list[tuple[float, int]] = []

        def keep(rows: list[Any]) -> None:
            if not measured and time.monotonic_ns() - start >= order.measured_from:
                measured.append((time.process_time(), time.monotonic_ns()))
            if rows:
                self._connection.send(np.array(rows, RECORD))

        self._flood.run(order, connections, start, keep)
        cpu, began = measured[0] if measured else (time.process_time(), time.monotonic_ns())
        self._connection.send(Finished(Usage(time.process_time() - cpu, (time.monotonic_ns() - began) / 1e9)))

    async def run(self, order: Order) -> None:
        """One run: say Ready, wait for the start, send, report what came back, say Finished."""
        calls = [await self._call(order.address, number) for number in range(order.connections)]
        due, requests = order.due.tolist(), order.requests.tolist()
        self._connection.send(Ready())
        start = self._connection.recv()
        reporter = asyncio.ensure_future(self._report())
        usage = await self._send(calls, start, due, requests, order)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=order.deadline + 2.0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        reporter.cancel()
        self._hand_over()
        self._connection.send(Finished(usage))

    async def _call(self, address: str, number: int) -> Any:
        channel = self._channels.get((address, number))
        if channel is None:
            channel = self._channels[address, number] = grpc.aio.insecure_channel(address, _OPTIONS)
        try:
            await asyncio.wait_for(channel.channel_ready(), _SECONDS_TO_CONNECT)
        except TimeoutError:
            raise GeneratorFailed(f"cannot reach {address} within {_SECONDS_TO_CONNECT:.0f} s") from None
        return channel.unary_unary(METHOD)

    async def _send(
        self, calls: Sequence[Any], start: int, due: Sequence[int], requests: Sequence[int], order: Order
    ) -> Usage:
        """Every request at its time, or as soon after it as this process can."""
        loop = asyncio.get_running_loop()
        now, tasks = time.monotonic_ns, self._tasks
        measured: tuple[float, int] | None = None
        for index, (when, request) in enumerate(zip(due, requests, strict=True)):
            early = start + when - now()
            if early > 0:
                await asyncio.sleep(early / 1e9)
            elif index % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if measured is None and when >= order.measured_from:
                measured = time.process_time(), now()
            if len(tasks) >= MOST_IN_FLIGHT:
                at = now() - start
                self._finished.append((when, at, at, request, NOT_SENT, False, _NO_STAGES))
                continue
            call = calls[index % len(calls)]
            task = loop.create_task(self._ask(call, start, when, request, order))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if measured is None:
            return Usage(0.0, 0.0)
        return Usage(time.process_time() - measured[0], (now() - measured[1]) / 1e9)

    async def _ask(self, call: Any, start: int, due: int, request: int, order: Order) -> None:
        """One request; what became of it is kept, whatever it was."""
        sent = time.monotonic_ns()
        code, degraded, stages = OK, False, _NO_STAGES
        try:
            answer = await call(self._bodies[request], timeout=order.deadline, metadata=order.metadata)
            done = time.monotonic_ns()
            degraded, stages = _read(answer)
        except grpc.aio.AioRpcError as error:
            done = time.monotonic_ns()
            code = error.code().value[0]
        except asyncio.CancelledError:
            done = time.monotonic_ns()
            code = grpc.StatusCode.CANCELLED.value[0]
        except DecodeError:
            code = grpc.StatusCode.DATA_LOSS.value[0]
        self._finished.append((due, sent - start, done - start, request, code, degraded, stages))

    async def _report(self) -> None:
        """Hand over what is finished, on another thread: a full pipe must not hold a request up."""
        while True:
            await asyncio.sleep(_SECONDS_PER_REPORT)
            if self._finished:
                await asyncio.to_thread(self._hand_over)

    def _hand_over(self) -> None:
        with self._handing_over:
            finished, self._finished = self._finished, []
            if finished:
                try:
                    self._connection.send(np.array(finished, RECORD))
                except OSError:
                    os._exit(1)  # nobody takes the figures any more, so nobody is to be put under load for them


def _read(answer: bytes) -> tuple[bool, tuple[int, ...]]:
    """Whether the answer is less than asked for, and the server's own clock."""
    response = RerankResponse.FromString(answer)
    timings = response.timings
    return response.degraded != 0, (
        timings.decode_us,
        timings.policy_us,
        timings.signals_us,
        timings.plan_us,
        timings.select_us,
        timings.report_us,
        timings.encode_us,
        timings.total_us,
    )
