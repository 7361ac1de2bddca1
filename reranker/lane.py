"""One lane for the Python of requests, which whoever computes or waits for another steps out of.

Python runs in one thread at a time, whoever else is ready; threads that take turns at that in the middle of a request
make each other's caches cold and wait for each other by milliseconds. Where a request goes through its Python in one
piece, the next is all the sooner through with its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A block that so many threads are in at a time, first come first served.

    Locks and semaphores of `threading` go to whoever asks at the right moment, which is who has just given one back: a
    thread with one request after another would keep those with one away.
    """

    def __init__(self, at_a_time: int) -> None:
        self._free, self._waiting = at_a_time, deque[threading.Lock]()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()  # until whoever leaves makes room for this thread

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class _Here(threading.local):
    lane: Lane | None = None


_HERE = _Here()


class Lane:
    """One thread is in it at a time, for as long as its block lasts; it does not enter twice."""

    def __init__(self) -> None:
        self._turns = Turns(1)

    def __enter__(self) -> None:
        self._turns.__enter__()
        _HERE.lane = self

    def __exit__(self, *_: object) -> None:
        _HERE.lane = None
        self._turns.__exit__()


@contextmanager
def aside() -> Iterator[None]:
    """A block in which this thread leaves its lane, if it is in one, to others; then it is back in, behind them."""
    lane = _HERE.lane
    if lane is None:
        yield
        return
    lane.__exit__()
    try:
        yield
    finally:
        lane.__enter__()
