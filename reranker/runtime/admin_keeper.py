"""The supervisor's side of the admin process: starts it, starts it anew, tells it what it cannot know."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterable
from typing import Any

from reranker.observability.logs import log
from reranker.runtime.admin_process import serve_pages
from reranker.runtime.backoff import Backoff
from reranker.runtime.children import CannotFork, Child, fork
from reranker.runtime.configuration import Configuration
from reranker.runtime.pages import Shown


class AdminKeeper:
    """Keeps an admin process on `listener`; without one it does nothing. `due` is when it is to start anew."""

    def __init__(self, listener: socket.socket | None, configuration: Configuration) -> None:
        self._listener, self._configuration = listener, configuration
        self._backoff = Backoff()
        self._child: Child | None = None
        self.due: float | None = None

    @property
    def sockets(self) -> list[socket.socket]:
        """What other children must not keep open."""
        return [*([self._listener] if self._listener else []), *([self._child.control] if self._child else [])]

    @property
    def words(self) -> str:
        """Where it is, for the line that begins a start."""
        if self._listener is None:
            return ""
        host = self._configuration.settings.admin.rpartition(":")[0]
        return f", admin on http://{host}:{self._listener.getsockname()[1]}"

    def start(self, others: Iterable[Any]) -> None:
        """Start it; `others` is what it must not keep open."""
        self.due = None
        listener, shown = self._listener, self._shown
        if listener is None:
            return
        try:
            self._child = fork(lambda control: serve_pages(shown, listener, control), others)
        except CannotFork as error:
            self._wait_after(0.0, "no admin process started", problem=str(error))

    def show(self, configuration: Configuration) -> None:
        """These are the settings that serve, from now on or still."""
        if configuration is not self._configuration:
            self._configuration = configuration
            self.tell({"settings": self._shown.text, "profile": self._shown.profile})

    @property
    def _shown(self) -> Shown:
        return Shown.of(self._configuration.settings, self._configuration.sources)

    def tell(self, message: dict[str, Any]) -> None:
        """Say how things are."""
        if self._child is not None:
            self._child.send(message)

    def flush(self) -> None:
        """Send what had to wait."""
        if self._child is not None:
            self._child.flush()

    def link(self, worker: Child) -> None:
        """Give it and a worker a pair of sockets to talk over; without room for them that worker is not scraped."""
        if self._child is None:
            return
        try:
            for_admin, for_worker = socket.socketpair()
            with for_admin, for_worker:
                worker.send({}, for_worker.fileno())
                self._child.send({"link": worker.pid}, for_admin.fileno())
        except OSError as error:
            log(logging.ERROR, "the admin process cannot ask a worker", error, process=worker.pid)

    def reap(self) -> None:
        """See whether it has ended; if so, it is due anew in a while."""
        child = self._child
        if child is None or not os.waitpid(child.pid, os.WNOHANG)[0]:
            return
        child.close()
        self._child = None
        self._wait_after(time.monotonic() - child.began, "admin process ended")

    def _wait_after(self, lived: float, event: str, **fields: str) -> None:
        wait = self._backoff.after(lived)
        self.due = time.monotonic() + wait
        log(logging.ERROR, event, None, next_start_seconds=round(wait, 2), **fields)

    def end(self) -> None:
        """End it, at once: it has nothing to lose."""
        self.due = None
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            os.waitpid(self._child.pid, 0)
            self._child.close()
            self._child = None
