"""The life of one server in this process: it warms up beside the main thread, serves until told to stop, and drains."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from reranker.errors import RerankerError
from reranker.observability.logs import log
from reranker.runtime.server import Server


def live(server: Server, stop: threading.Event, on_ready: Callable[[], None], on_drain: Callable[[], None]) -> int:
    """Warm up, serve until `stop`, drain; returns the exit code."""
    warming = _Warming(server, stop, on_ready)
    stop.wait()
    if warming.error is not None:
        server.drain()
        return refuse(warming.error)
    on_drain()
    log(logging.INFO, "draining")
    done = server.drain()
    log(logging.INFO, "stopped", unfinished=not done)
    if warming.is_alive() or not done:
        # A compilation or a computation under way cannot be interrupted, and nobody needs it any more.
        leave(0)
    return 0


class _Warming(threading.Thread):
    """Warms the server up beside the main thread, which has to stay free for signals."""

    def __init__(self, server: Server, stop: threading.Event, on_ready: Callable[[], None]) -> None:
        super().__init__(name="warm-up", daemon=True)
        self._server, self._stop_process, self._on_ready = server, stop, on_ready
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Warm up and say so; an error stops the process."""
        try:
            self._server.warm_up()
        except Exception as error:
            self.error = error
            self._stop_process.set()
        else:
            if not self._stop_process.is_set():
                self._on_ready()


def stop_on(*numbers: signal.Signals) -> threading.Event:
    """An event that these signals set; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            leave(128 + number)
        stop.set()

    for number in numbers:
        signal.signal(number, handle)
    return stop


def refuse(error: Exception) -> int:
    """Say why there is no server; returns the exit code."""
    if isinstance(error, RerankerError):
        print(f"reranker: {error}", file=sys.stderr, flush=True)
        return 2
    log(logging.ERROR, "the start failed", error)
    return 1


def say(line: str) -> None:
    """A line for whoever started the server."""
    print(f"reranker: {line}", flush=True)


def say_what_serves(names: tuple[str, ...]) -> None:
    """The line that ends the start."""
    say(f"serving {in_number(names)}: {', '.join(names)}")


def in_number(names: tuple[str, ...]) -> str:
    """`1 policy`, `3 policies`."""
    return f"{len(names)} {'policy' if len(names) == 1 else 'policies'}"


def leave(code: int) -> None:
    """End this process now, without waiting for a thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
