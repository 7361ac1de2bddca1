"""The admin port: /metrics for Prometheus, /healthz and /readyz for those who cannot speak gRPC."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from reranker.runtime.state import ServerState

_Reply = tuple[HTTPStatus, str, bytes]
_TEXT = "text/plain; charset=utf-8"


class AdminServer:
    """Answers on a thread of its own from construction until `close`; `port` is the one it really has."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, state: Callable[[], ServerState]) -> None:
        def metrics(accept: str) -> _Reply:
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(registry)

        def alive(_: str) -> _Reply:
            return HTTPStatus.OK, _TEXT, b"ok\n"

        def ready(_: str) -> _Reply:
            now = state()
            status = HTTPStatus.OK if now is ServerState.SERVING else HTTPStatus.SERVICE_UNAVAILABLE
            return status, _TEXT, f"{now.value}\n".encode()

        pages = {"/metrics": metrics, "/healthz": alive, "/readyz": ready}
        self._server = _Server((host, port), pages)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="admin", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True  # a restart must not wait for the last scrape's connection to be forgotten

    def __init__(self, address: tuple[str, int], pages: dict[str, Callable[[str], _Reply]]) -> None:
        self.pages = pages
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds: a client that says nothing does not keep a thread
    server: _Server

    def do_GET(self) -> None:
        """One page."""
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            known = ", ".join(self.server.pages)
            self._reply(HTTPStatus.NOT_FOUND, _TEXT, f"no such page; there are {known}\n".encode())
        else:
            self._reply(*page(self.headers.get("Accept", "")))

    def do_HEAD(self) -> None:
        """The same without its body."""
        self.do_GET()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Scrapes are not news."""

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
