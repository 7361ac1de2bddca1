"""Several client processes that share one schedule: request k goes to process k modulo their number."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from loadtest.errors import GeneratorFailed, LoadtestError
from loadtest.generator.client import serve
from loadtest.generator.records import Failed, Finished, Order, Ready, Records, Usage
from loadtest.workload.limits import MOST_PER_SECOND, MOST_PROCESSES, MOST_REQUESTS

_SECONDS_TO_BE_READY = 30.0
_SECONDS_BEFORE_THE_START = 0.1
_SECONDS_BEYOND_THE_END = 15.0


class Fleet:
    """Client processes, kept from one run to the next; `hired` makes and ends them."""

    def __init__(self, members: Sequence[tuple[SpawnProcess, Connection]]) -> None:
        self._members = members
        self._failed = False

    @property
    def pids(self) -> list[int]:
        """The processes' ids."""
        return [process.pid for process, _ in self._members if process.pid]

    def run(self, order: Order, on_records: Callable[[Records], None], on_tick: Callable[[float], None]) -> list[Usage]:
        """Send everything, hand records on as they come, call `on_tick` with the seconds since the start all the while.

        `on_tick` comes every 50 ms or so, and exactly once first: before the start, with a negative number. Raises
        `GeneratorFailed` when a process fails, or when the end is long overdue; then there is no further run.
        """
        if self._failed:
            raise GeneratorFailed("a client process has failed before")
        if len(order.due) == 0:
            raise LoadtestError("not one request is due: raise the rate or the seconds")
        if len(order.due) > MOST_REQUESTS or len(order.due) > MOST_PER_SECOND * (order.due[-1] / 1e9 + 1):
            raise LoadtestError(f"at most {MOST_PER_SECOND} requests a second and {MOST_REQUESTS} in all")
        self._failed = True  # until this run has ended well
        connections = {connection: number for number, (_, connection) in enumerate(self._members)}
        for connection, number in connections.items():
            _sent(connection, order.part(number, len(self._members)))
        for connection in connections:
            self._expect_ready(connection)
        start = time.monotonic_ns() + int(_SECONDS_BEFORE_THE_START * 1e9)
        for connection in connections:
            _sent(connection, start)
        on_tick(-_SECONDS_BEFORE_THE_START)
        usages: dict[int, Usage] = {}
        overdue = order.due[-1] / 1e9 + order.deadline + _SECONDS_BEYOND_THE_END
        while len(usages) < len(connections):
            waiting = {connection: number for connection, number in connections.items() if number not in usages}
            readable = wait(list(waiting), timeout=0.05)
            for connection in [connection for connection in waiting if connection in readable]:
                message = _received(connection)
                if isinstance(message, Finished):
                    usages[connections[connection]] = message.usage
                elif isinstance(message, Failed):
                    raise GeneratorFailed(f"a client process {message.reason}")
                else:
                    on_records(message)
            seconds = (time.monotonic_ns() - start) / 1e9
            on_tick(seconds)
            if seconds > overdue:
                raise GeneratorFailed(f"a client process is still at it {seconds - order.due[-1] / 1e9:.0f} s too late")
        self._failed = False
        return [usages[number] for number in sorted(usages)]

    def _expect_ready(self, connection: Connection) -> None:
        if not connection.poll(_SECONDS_TO_BE_READY):
            raise GeneratorFailed(f"a client process was not ready after {_SECONDS_TO_BE_READY:.0f} s")
        message = _received(connection)
        if isinstance(message, Failed):
            raise GeneratorFailed(f"a client process {message.reason}")
        assert isinstance(message, Ready)


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise GeneratorFailed("a client process died") from None


def _sent(connection: Connection, message: Any) -> None:
    try:
        connection.send(message)
    except OSError:
        raise GeneratorFailed("a client process died") from None


@contextmanager
def hired(processes: int, bodies: Sequence[bytes], cores: Sequence[int] = ()) -> Iterator[Fleet]:
    """Client processes that hold these requests; ended whatever happens. With `cores`, each stays on one of them."""
    if not 1 <= processes <= MOST_PROCESSES:
        raise LoadtestError(f"processes must be from 1 to {MOST_PROCESSES}")
    context = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
    members: list[tuple[SpawnProcess, Connection]] = []
    try:
        for number in range(processes):
            ours, theirs = context.Pipe()
            core = cores[number % len(cores)] if cores else None
            process = context.Process(
                target=serve, args=(theirs, bodies, core), name=f"load-client-{number}", daemon=True
            )
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            members.append((process, ours))
        yield Fleet(members)
    finally:
        for process, connection in members:
            connection.close()
            process.terminate()
        for process, _ in members:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()
