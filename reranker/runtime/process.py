"""The life of the server process: signals in, exit codes out.

0  it was asked to stop, and every call had ended or its time was up
1  it failed in a way that nobody foresaw
2  a setting, a policy or an address is wrong
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from types import FrameType

from reranker.errors import RerankerError
from reranker.observability.logs import configure, log
from reranker.runtime.server import Server, check
from reranker.runtime.settings import Settings


def serve(settings: Settings) -> int:
    """Run the server until a signal ends it; returns the exit code."""
    configure(settings.log_level)
    stop = _stop_on_signals()
    try:
        server = Server(settings)
    except RerankerError as error:
        return _refuse(error)
    if settings.cursor_key_file is None:
        warn_of_cursors(settings)
    admin = f", admin on http://{server.admin_address}" if server.admin_address else ""
    _say(f"listening on {server.address}{admin}; warming up")
    warming = _Warming(server, stop)
    stop.wait()
    if warming.error is not None:
        server.drain()
        return _refuse(warming.error)
    log(logging.INFO, "draining")
    done = server.drain()
    log(logging.INFO, "stopped", unfinished=not done)
    if warming.is_alive() or not done:
        # A compilation or a computation under way cannot be interrupted, and nobody needs it any more.
        _leave(0)
    return 0


def check_only(settings: Settings) -> int:
    """Validate settings and policies, warm up, open no port; returns the exit code."""
    configure(settings.log_level)
    try:
        names = check(settings)
    except RerankerError as error:
        return _refuse(error)
    verb = "is" if len(names) == 1 else "are"
    _say(f"settings and {_policies(names)} {verb} sound, every kernel is compiled: {', '.join(names)}")
    return 0


class _Warming(threading.Thread):
    """Warms the server up beside the main thread, which has to stay free for signals."""

    def __init__(self, server: Server, stop: threading.Event) -> None:
        super().__init__(name="warm-up", daemon=True)
        self._server, self._stop_process = server, stop
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
            names = self._server.policy_names
            _say(f"serving {_policies(names)}: {', '.join(names)}")


def _stop_on_signals() -> threading.Event:
    """An event that SIGTERM or SIGINT sets; a second signal ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            _leave(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def warn_of_cursors(settings: Settings) -> None:
    """Say that there is no file of keys; a server that others can reach has a sibling or a successor before long."""
    log(
        logging.INFO if settings.loopback else logging.WARNING,
        "cursors hold in this process alone",
        why="there is no --cursor-key-file, so their key is random",
        next="before a page outlives a restart or meets another server, give all of them one file of keys",
    )


def _policies(names: tuple[str, ...]) -> str:
    return f"{len(names)} {'policy' if len(names) == 1 else 'policies'}"


def _refuse(error: Exception) -> int:
    if isinstance(error, RerankerError):
        print(f"reranker: {error}", file=sys.stderr, flush=True)
        return 2
    log(logging.ERROR, "the warm-up failed", error)
    return 1


def _say(line: str) -> None:
    print(f"reranker: {line}", flush=True)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
