"""One lane for the Python of requests, which whoever computes or waits for another steps out of.

Python runs in one thread at a time, whoever else is ready; threads that take turns at that in the middle of a request
make each other's caches cold and wait for each other by milliseconds. Where a request goes through its Python in one
piece, the next is all the sooner through with its own.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext


class _Here(threading.local):
    lane: Lane | None = None


_HERE = _Here()
_NOTHING = nullcontext()


class Lane:
    """One thread is in it at a time, for as long as its block lasts; it does not enter twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.aside = _Aside(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        _HERE.lane = self

    def __exit__(self, *_: object) -> None:
        _HERE.lane = None
        self._lock.release()


class _Aside:
    """Out of the lane for a block, for others to have it, and back in behind them; whatever happens in the block."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def __enter__(self) -> None:
        self._lane.__exit__()

    def __exit__(self, *_: object) -> None:
        self._lane.__enter__()


def aside() -> AbstractContextManager[None]:
    """A block in which this thread leaves its lane to others; nothing where it is in none."""
    return _NOTHING if _HERE.lane is None else _HERE.lane.aside
