"""The admin port: pages over HTTP, for Prometheus, for those who cannot speak gRPC, and for people."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeAlias

from reranker.observability.logs import log

TEXT = "text/plain; charset=utf-8"
CONNECTIONS = 32
BACKLOG = 2 * CONNECTIONS  # of the listening socket: the base class's five make bursts of clients wait for seconds
_SILENCE = 10  # seconds that a client may keep silent


class Reply(NamedTuple):
    """What a page says."""

    status: HTTPStatus
    content_type: str
    body: bytes


Page: TypeAlias = Callable[[str], Reply]
"""A page, made when it is asked for; its argument is the request's `Accept` header."""


class AdminServer:
    """Answers on `listener` from construction until `close`, each connection on a thread.

    At most 32 connections are open: a further one ends the oldest, so clients that connect and say nothing keep
    neither threads nor the next scrape's place.
    """

    def __init__(self, listener: socket.socket, pages: Mapping[str, Page]) -> None:
        self._server = _Server(listener, pages)
        self.port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="admin", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}  # the oldest first
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection a thread, at the oldest one's cost when there are too many."""
        with self._lock:
            if len(self._open) >= CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                _hang_up(oldest)
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection, on its thread."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke; never a traceback on standard error."""
        error = sys.exception()
        level = logging.INFO if isinstance(error, OSError) else logging.ERROR
        log(level, "admin connection failed", error)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it, which closes it
    except OSError:  # the client was quicker
        return


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE
    server: _Server

    def do_GET(self) -> None:
        """One page."""
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            known = ", ".join(self.server.pages)
            self._reply(HTTPStatus.NOT_FOUND, TEXT, f"no such page; there are {known}\n".encode())
        else:
            self._reply(*page(self.headers.get("Accept", "")))

    def do_HEAD(self) -> None:
        """The same without its body."""
        self.do_GET()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Scrapes are not news."""

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002
        """A request that is none: by its code alone, as the base class's text quotes what was sent."""
        code = next((each for each in args if isinstance(each, int)), None)
        self.log_message(*(("%s", HTTPStatus(code).phrase) if code else (format, *args)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name for it
        """What the base class has to say about a connection, as a line like all others."""
        log(logging.INFO, "admin request failed", problem=(format % args)[:200])

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
