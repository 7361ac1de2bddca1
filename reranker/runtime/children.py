"""Processes that the supervisor forks: how a child begins, and what the supervisor knows of it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reranker.errors import RerankerError
from reranker.observability.logs import log
from reranker.runtime.life import leave

_MESSAGE = 1 << 18  # bytes, of the longest message
_TASKS = Path("/proc/self/task")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""What the supervisor handles, and a child has to handle anew."""


class CannotFork(RerankerError):
    """There is no room for another process, or this one has threads, whose locks would never be released in a child."""


class Child:
    """A child that runs. `control` carries messages both ways and tells either side when the other one is gone."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control
        self.started = time.time()
        self.began = time.monotonic()
        self._unsent: list[tuple[bytes, list[int]]] = []

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        """Send a message, with an open file if one is given; never waits.

        What does not fit goes out with the next call of `flush`; a child that is gone gets nothing.
        """
        files = [] if file is None else [os.dup(file)]
        self._unsent.append((json.dumps(message).encode(), files))
        self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        while self._unsent:
            data, files = self._unsent[0]
            try:
                socket.send_fds(self.control, [data], files)
            except BlockingIOError:
                return
            except OSError:  # it is gone, and its end will be noticed
                pass
            del self._unsent[0]
            for file in files:
                os.close(file)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when there is none, or the child has closed its end."""
        try:
            data = self.control.recv(_MESSAGE)
        except (BlockingIOError, ConnectionError):
            return None
        return json.loads(data) if data else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; the child may have ended, but it has not been waited for, so its number is no one else's."""
        os.kill(self.pid, number)

    def close(self) -> None:
        """Forget the channel, when the child has been waited for."""
        self.control.close()
        for _, files in self._unsent:
            for file in files:
                os.close(file)
        self._unsent.clear()


def fork(body: Callable[[socket.socket], int], not_for_it: Iterable[Any]) -> Child:
    """Start a child that runs `body` with its end of the channel and ends with the code that it returns.

    `not_for_it` are what it must not keep open. The child has default signal handlers. Raises `CannotFork`.
    """
    try:
        assert_alone()
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise _no_room(error) from None
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child's handlers are its own
    try:
        pid = os.fork()
        if pid == 0:
            _run(body, its, ours, not_for_it)
    except OSError as error:
        ours.close()
        raise _no_room(error) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        its.close()
    ours.setblocking(False)
    return Child(pid, ours)


def _no_room(error: OSError) -> CannotFork:
    return CannotFork(f"there is no room for another process: {error.strerror}")


def assert_alone() -> None:
    """Raises `CannotFork` when this process has a thread beside the one that asks."""
    names = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    tasks = len(list(_TASKS.iterdir())) if _TASKS.is_dir() else 1
    if names or tasks > 1:
        named = ", ".join(names) or "none that Python started; set OPENBLAS_NUM_THREADS=1, or --workers 1"
        raise CannotFork(f"a process with {tasks} threads cannot fork safely; beside the first one: {named}")


def _run(
    body: Callable[[socket.socket], int], control: socket.socket, parents: socket.socket, not_for_it: Iterable[Any]
) -> None:
    """The whole life of a child: whatever happens, it never returns into what its parent was about."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the supervisor alone decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        parents.close()
        for other in not_for_it:
            other.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        code = body(control)
    except BaseException as error:
        with contextlib.suppress(Exception):
            log(logging.ERROR, "a process failed", error)
    finally:
        leave(code)


def listen_to_supervisor(
    control: socket.socket, on_message: Callable[[dict[str, Any], list[int]], None], on_end: Callable[[], None]
) -> None:
    """In a child: hear messages on a thread, and call `on_end` when the supervisor is gone."""

    def run() -> None:
        while True:
            try:
                data, files, _, _ = socket.recv_fds(control, _MESSAGE, 1)
            except ConnectionError:
                data = b""
            if not data:
                on_end()
                return
            on_message(json.loads(data), files)

    threading.Thread(target=run, name="supervisor", daemon=True).start()


def tell_supervisor(control: socket.socket, **fields: object) -> None:
    """In a child: send a message."""
    with contextlib.suppress(ConnectionError):  # without a supervisor nobody cares, and the child is about to end
        control.send(json.dumps(fields).encode())
