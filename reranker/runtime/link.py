"""Questions from the admin process to a worker, over a pair of sockets that the supervisor gave both.

A question is a line of JSON; an answer a line of JSON with the length of the bytes behind it.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reranker.observability.logs import log

_CHUNK = 1 << 16


class Unanswered(Exception):
    """The worker is gone, or did not answer in time."""


class Answer(NamedTuple):
    """What a worker says."""

    content_type: str
    body: bytes


class Asker:
    """The admin process's end. Safe to use from many threads: one question at a time is on the way."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._received = bytearray()
        self._number = 0

    def ask(self, page: str, accept: str, seconds: float) -> Answer:
        """The worker's answer within so many seconds; raises `Unanswered`."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise Unanswered
        try:
            self._number += 1
            self._wait_at_most(end)
            self._socket.sendall(_line({"number": self._number, "page": page, "accept": accept}))
            while True:
                head = json.loads(self._take_line(end))
                body = self._take(head["length"], end)
                if head["number"] == self._number:  # an older one was waited for in vain
                    if not head["content_type"]:
                        raise Unanswered
                    return Answer(head["content_type"], body)
        except (OSError, EOFError):
            raise Unanswered from None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()

    def _take_line(self, end: float) -> bytes:
        while (stop := self._received.find(b"\n")) < 0:
            self._receive(end)
        line = bytes(self._received[:stop])
        del self._received[: stop + 1]
        return line

    def _take(self, length: int, end: float) -> bytes:
        while len(self._received) < length:
            self._receive(end)
        body = bytes(self._received[:length])
        del self._received[:length]
        return body

    def _receive(self, end: float) -> None:
        """What comes next. What has come stays, so that a late answer is not taken for a part of the next one."""
        self._wait_at_most(end)
        data = self._socket.recv(_CHUNK)
        if not data:
            raise EOFError
        self._received += data

    def _wait_at_most(self, end: float) -> None:
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)


def answer(connection: socket.socket, pages: Mapping[str, Callable[[str], Answer]]) -> None:
    """Answer questions, on a thread, for as long as the other end is open."""

    def run() -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                question: dict[str, Any] = json.loads(line)
                try:
                    content_type, body = pages[question["page"]](question["accept"])
                except Exception as error:  # the next question may fare better
                    log(logging.ERROR, "a page failed", error, page=question["page"])
                    content_type, body = "", b""
                head = {"number": question["number"], "content_type": content_type, "length": len(body)}
                try:
                    connection.sendall(_line(head) + body)
                except OSError:  # the admin process is gone; a new one gets a link of its own
                    return

    threading.Thread(target=run, name="link", daemon=True).start()


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
