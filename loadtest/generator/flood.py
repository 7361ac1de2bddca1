"""One client process that asks for far more than gRPC's own client could: HTTP/2 frames made ahead, written in bulk.

For overload alone. What a caller's gRPC does under load is done here too: no more calls open on a connection than the
server allows, the others wait their turn, what waits past its deadline is never sent, and what is open then is ended.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.errors import GeneratorFailed
from loadtest.generator.records import DEADLINE_EXCEEDED, NOT_SENT, OK, STAGES, Order

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_CANCEL = struct.pack(">I", 8)
_FRAME = 16_384
_ROOM = (1 << 31) - 1
_UNAVAILABLE, _DATA_LOSS = 14, 15
_MOST_UNWRITTEN = 1 << 20
_NO_STAGES = (0,) * len(STAGES)
_STATUS = b"grpc-status"

Finished = Callable[[int, int, int, bytes], None]
"""Told of each call that ended: the request's place in the order, when it left, the code, and the answer."""


class Connection:
    """One connection, as a caller's gRPC would hold it."""

    def __init__(self, address: str, path: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), 5.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        # No table of headers, so that every answer's status stands in its trailers as text; and room for all answers.
        settings = struct.pack(">HIHI", 1, 0, 4, _ROOM)
        self.out = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings))
        self.out += _frame(_WINDOW, 0, 0, struct.pack(">I", _ROOM - 65_535))
        self._head = _literals(
            {":method": "POST", ":scheme": "http", ":path": path, ":authority": address, "te": "trailers"}
        ) + _literals({"content-type": "application/grpc"})
        self.waiting: deque[int] = deque()
        self.open: dict[int, tuple[int, int]] = {}  # by stream: the request's place, and when it left
        self._answers: dict[int, bytearray] = {}
        self._next, self._most, self._window, self._stream_window = 1, 100, 65_535, 65_535
        self._read = bytearray()
        self._taken = 0
        self.is_ready = False

    def send(self, index: int, body: bytes, now: int, nanoseconds_left: int) -> bool:
        """Write a request, if the server has room for it now."""
        size = len(body) + 5
        if len(self.open) >= self._most or size > self._window or len(self.out) > _MOST_UNWRITTEN:
            return False
        if size > self._stream_window:
            raise GeneratorFailed(f"a flood of requests of {size:,} bytes: {self._stream_window:,} is the most")
        stream, self._next = self._next, self._next + 2
        timeout = _literals({"grpc-timeout": f"{max(1, nanoseconds_left // 1_000)}u"})
        self.out += _frame(_HEADERS, _END_HEADERS, stream, self._head + timeout)
        message = b"\0" + struct.pack(">I", len(body)) + body
        for at in range(0, size, _FRAME):
            self.out += _frame(_DATA, _END_STREAM if at + _FRAME >= size else 0, stream, message[at : at + _FRAME])
        self._window -= size
        self.open[stream] = (index, now)
        return True

    def give_up(self, stream: int) -> tuple[int, int]:
        """End a call that takes too long."""
        self.out += _frame(_RST, 0, stream, _CANCEL)
        self._answers.pop(stream, None)
        return self.open.pop(stream)

    def write(self) -> None:
        """As much as there is room for."""
        if self.out:
            try:
                del self.out[: self.socket.send(memoryview(self.out)[: 1 << 18])]
            except BlockingIOError:
                return

    def read(self, finished: Finished) -> None:
        """All that has come."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not data:
            raise GeneratorFailed("the server closed a connection of the flood")
        self._read += data
        at, whole = 0, len(self._read)
        while whole - at >= 9:
            length = int.from_bytes(self._read[at : at + 3], "big")
            if whole - at - 9 < length:
                break
            kind, flags = self._read[at + 3], self._read[at + 4]
            stream = int.from_bytes(self._read[at + 5 : at + 9], "big") & _ROOM
            self._take(kind, flags, stream, bytes(self._read[at + 9 : at + 9 + length]), finished)
            at += 9 + length
        del self._read[:at]

    def _take(self, kind: int, flags: int, stream: int, content: bytes, finished: Finished) -> None:
        if kind == _DATA:
            self._taken += len(content)
            if self._taken > 1 << 20:
                self.out += _frame(_WINDOW, 0, 0, struct.pack(">I", self._taken))
                self._taken = 0
            if stream in self.open:
                self._answers.setdefault(stream, bytearray()).extend(content)
        elif kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _status(content), finished)
        elif kind == _RST:
            self._end(stream, _UNAVAILABLE, finished)
        elif kind in (_SETTINGS, _PING):
            if not flags & _ACK:
                self._acknowledge(kind, content)
        elif kind == _WINDOW and stream == 0:
            self._window += struct.unpack(">I", content)[0]
        elif kind == _GOAWAY:
            raise GeneratorFailed("the server asks a connection of the flood to leave")

    def _acknowledge(self, kind: int, content: bytes) -> None:
        if kind == _PING:
            self.out += _frame(_PING, _ACK, 0, content)
            return
        settings = dict(struct.iter_unpack(">HI", content))
        self._most = settings.get(3, self._most)
        self._stream_window = settings.get(4, self._stream_window)
        self.out += _frame(_SETTINGS, _ACK, 0, b"")
        self.is_ready = True

    def _end(self, stream: int, code: int, finished: Finished) -> None:
        call = self.open.pop(stream, None)
        answer = self._answers.pop(stream, bytearray())
        if call is not None:
            finished(*call, code, bytes(answer[5:]))


class Flood:
    """Connections that stay open from one run to the next."""

    def __init__(
        self, bodies: Sequence[bytes], path: str, read: Callable[[bytes], tuple[bool, tuple[int, ...]]]
    ) -> None:
        self._bodies, self._path, self._read_answer = bodies, path, read
        self._connections: dict[tuple[str, int], Connection] = {}

    def connect(self, order: Order) -> list[Connection]:
        """As many as the order wants, each with the server's settings known."""
        wanted = [(order.address, number) for number in range(order.connections)]
        for key in wanted:
            if key not in self._connections:
                self._connections[key] = Connection(order.address, self._path)
        found = [self._connections[key] for key in wanted]
        end = time.monotonic() + 5.0
        while not all(connection.is_ready for connection in found):
            if time.monotonic() > end:
                raise GeneratorFailed(f"cannot reach {order.address} within 5 s")
            _pass(found, 0.01, lambda *_: None)
        return found

    def run(self, order: Order, connections: list[Connection], start: int, keep: Callable[[list[Any]], None]) -> None:
        """Send everything when it is due; `keep` gets rows as `records.RECORD` has them, now and then."""
        due, requests = order.due.tolist(), order.requests.tolist()
        deadline = round(order.deadline * 1e9)
        rows: list[Any] = []

        def finished(index: int, left: int, code: int, answer: bytes) -> None:
            done = time.monotonic_ns() - start
            degraded, stages = self._read_answer(answer) if code == OK else (False, _NO_STAGES)
            rows.append((due[index], left, done, requests[index], code, degraded, stages))

        place, count = 0, len(due)
        while place < count or any(connection.waiting or connection.open for connection in connections):
            now = time.monotonic_ns() - start
            while place < count and due[place] <= now:
                connections[place % len(connections)].waiting.append(place)
                place += 1
            for connection in connections:
                for stream in [stream for stream, call in connection.open.items() if due[call[0]] + deadline < now]:
                    finished(*connection.give_up(stream), DEADLINE_EXCEEDED, b"")
                waiting = connection.waiting
                while waiting and due[waiting[0]] + deadline <= now:
                    finished(waiting.popleft(), now, NOT_SENT, b"")
                while waiting:
                    index = waiting[0]
                    if not connection.send(index, self._bodies[requests[index]], now, due[index] + deadline - now):
                        break
                    waiting.popleft()
            wait = (due[place] - now) / 1e9 if place < count else 0.01
            _pass(connections, min(0.01, max(0.0, wait)), finished)
            if len(rows) >= 2_000:
                keep(rows)
                rows = []
        keep(rows)


def _pass(connections: Sequence[Connection], seconds: float, finished: Finished) -> None:
    """Write and read what can be, for so long at most while there is nothing."""
    by_socket = {connection.socket: connection for connection in connections}
    readable, writable, _ = select.select(
        by_socket, [one for one, connection in by_socket.items() if connection.out], [], seconds
    )
    for one in writable:
        by_socket[one].write()
    for one in readable:
        by_socket[one].read(finished)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + content


def _literals(fields: dict[str, str]) -> bytes:
    """Headers as HPACK writes them that go into no table; each shorter than 127 bytes."""
    parts = [(key.encode(), value.encode()) for key, value in fields.items()]
    return b"".join(b"\0" + bytes((len(key),)) + key + bytes((len(value),)) + value for key, value in parts)


def _status(trailers: bytes) -> int:
    """The number of a status that stands in trailers as text."""
    at = trailers.find(_STATUS)
    if at < 0:
        return _DATA_LOSS
    value = trailers[at + len(_STATUS) + 1 : at + len(_STATUS) + 1 + trailers[at + len(_STATUS)]]
    return int(value) if value.isdigit() else _DATA_LOSS
