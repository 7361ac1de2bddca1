"""The connections to one server, and the circuit breaker over them.

Nobody waits for a connection: they are made, signed in and tried by a thread of the line's own, and a caller takes one
that is ready or learns at once that there is none. So the time that a caller spends here is that of one round trip.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections import deque

from reranker.errors import StoreError, StoreUnavailable
from reranker.store.address import Place, StoreAddress
from reranker.store.listener import StoreListener
from reranker.store.wire import Wire

CONNECT_SECONDS = 1.0  # to connect, agree on TLS, sign in and answer a PING; nobody waits for it
_FAILURES = 3  # one after the other, and the breaker opens
_FOR_GOOD = ("not_allowed", "untrusted", "password_unreadable")  # somebody has to do something about it
_PACE = 0.01  # seconds between two connections: making one takes the interpreter from requests for a millisecond or two
_FIRST_REST, _LONGEST_REST = 0.05, 1.0  # seconds between two probes, twice as long each time


class Line:
    """Up to `size` connections to one server, from `start` to `close`.

    The breaker opens after three failures in a row, or when no connection can be made; while it is open `take` fails at
    once, and the thread probes with a new connection until one is answered.
    """

    def __init__(self, place: Place, address: StoreAddress, size: int, listener: StoreListener) -> None:
        self.place = place
        self._address, self._size, self._listener = address, size, listener
        self._lock = threading.Lock()
        self._ready: deque[Wire] = deque()
        self._made = 0  # connections that are ready or in somebody's hands
        self._failures = 0
        self._well: bool | None = None  # None: not known yet
        self._met = False  # whether it was ever well
        self._why = "connecting"
        self._work, self._first, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"store {place}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._work.set()
        self._thread.start()

    def close(self) -> None:
        """Let go of all connections; those in use go when they are given back."""
        with self._lock:
            self._closed.set()
            idle = self._open_breaker("closed")
        self._work.set()
        _disconnect(idle)

    @property
    def well(self) -> bool:
        """Whether calls are let through."""
        return bool(self._well)

    def await_first_try(self, seconds: float) -> None:
        """Return when the first attempt to connect has ended, however it did, or the time is up."""
        self._first.wait(seconds)

    def take(self) -> Wire:
        """A connection that is ready; raises `StoreUnavailable` when there is none. To be given back or dropped."""
        stale: list[Wire] = []
        try:
            with self._lock:
                if not self._well:
                    raise StoreUnavailable(self._why)
                while self._ready:
                    wire = self._ready.pop()
                    if not wire.broken:
                        return wire
                    self._made -= 1
                    stale.append(wire)
            raise StoreUnavailable("connecting")
        finally:
            if stale:
                self._work.set()
                _disconnect(stale)

    def give(self, wire: Wire) -> None:
        """Back, after a round trip that went well."""
        with self._lock:
            self._failures = 0
            if self._well and not self._closed.is_set():
                self._ready.append(wire)
                return
            self._made -= 1
        wire.end()

    def drop(self, wire: Wire, *, counts: bool = True) -> None:
        """Give back a connection that is of no use any more; `counts` when the server is to blame."""
        with self._lock:
            self._made -= 1
            self._failures += counts
            idle = self._open_breaker() if self._well and self._failures >= _FAILURES else None
        self._work.set()
        wire.end()
        if idle is not None:
            _disconnect(idle)
            self._tell(False)

    def _keep(self) -> None:
        """Make the connections that are missing; while none can be made, try again after a rest."""
        rest = 0.0
        while True:
            self._work.wait()
            if self._closed.is_set():
                return
            if self._made >= self._size and self._well:
                self._work.clear()
                if self._made >= self._size and self._well:  # nobody dropped one meanwhile
                    continue
            if self._connect():
                rest = 0.0
                self._closed.wait(_PACE)
                continue
            rest = min(_LONGEST_REST, max(_FIRST_REST, 2.0 * rest))
            self._closed.wait(rest * random.uniform(0.75, 1.25))  # a server that is back is not met by all at once

    def _connect(self) -> bool:
        """Add one connection; whether that went well. Where others work, that one is refused changes nothing."""
        try:
            wire = Wire(self.place, self._address, CONNECT_SECONDS)
        except StoreError as error:
            with self._lock:
                opens = self._well is not False and not self._made and not self._closed.is_set()
                if not self._well or opens:
                    self._open_breaker(error.reason if error.reason in _FOR_GOOD or not self._met else "resting")
            if opens:
                self._tell(False, error.reason)
            self._first.set()
            return False
        with self._lock:
            closed, heals = self._closed.is_set(), not self._well
            if not closed:
                self._well, self._met, self._failures = True, True, 0
                self._made += 1
                self._ready.append(wire)
        if closed:
            wire.end()
        elif heals:
            self._tell(True)
        self._first.set()
        return True

    def _tell(self, well: bool, reason: str = "") -> None:
        if reason:
            self._listener.store_failed(reason)
        self._listener.store_changed(str(self.place), well)

    def _open_breaker(self, why: str = "resting") -> list[Wire]:
        """Let nobody through; the connections to be closed. The lock is held."""
        self._well, self._why = False, why
        return self._empty()

    def _empty(self) -> list[Wire]:
        idle = list(self._ready)
        self._ready.clear()
        self._made -= len(idle)
        return idle


def _disconnect(wires: list[Wire]) -> None:
    for wire in wires:
        with contextlib.suppress(Exception):
            wire.end()
