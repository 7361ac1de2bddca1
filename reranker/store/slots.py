"""Which node of a cluster has which key: the map of 16,384 slots, kept fresh by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from reranker.errors import StoreError, StoreLied, StoreUnavailable
from reranker.store.address import Place
from reranker.store.line import CONNECT_SECONDS, Line

_SECONDS = 10.0  # between two looks at a map that nobody complains of
_HASTE = 0.1  # and at one that somebody complains of


class SlotMap:
    """The lines to the nodes that take keys. `make` gives a line, not started, for a place.

    The addresses that were given are asked for the map and serve nobody unless it names them; nodes that it ceases to
    name are let go.
    """

    def __init__(self, given: Sequence[Place], make: Callable[[Place], Line]) -> None:
        self._given, self._make = tuple(given), make
        self._lines: dict[Place, Line] = {}
        self._owners: tuple[Line | None, ...] = (None,) * REDIS_CLUSTER_HASH_SLOTS
        self._wrong, self._known, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="store slots", daemon=True)

    def start(self) -> None:
        """Begin to connect and to ask."""
        self._lines = {place: self._make(place) for place in self._given}
        for line in self._lines.values():
            line.start()
        self._thread.start()

    def close(self) -> None:
        """Ask no more, and let go of every node."""
        self._closed.set()
        self._wrong.set()
        for line in list(self._lines.values()):
            line.close()

    def await_first_try(self, seconds: float) -> None:
        """Return when the map is known and its nodes were tried, or the time is up."""
        end = time.monotonic() + seconds
        self._known.wait(seconds)
        for line in self.lines():
            line.await_first_try(max(0.0, end - time.monotonic()))

    def lines(self) -> list[Line]:
        """Every node that there is a line to."""
        return list(self._lines.values())

    def owner(self, key: bytes) -> Line:
        """The node of a key; raises `StoreUnavailable` when nobody has its slot, or the map is not known yet."""
        line = self._owners[key_slot(key)]
        if line is None:
            raise StoreUnavailable("cluster_down" if self._known.is_set() else "connecting")
        return line

    def at(self, place: Place) -> Line | None:
        """The line to a place that a redirection names, if there is one already."""
        return self._lines.get(place)

    def complain(self) -> None:
        """The map is out of date, or a node is gone: look soon."""
        self._wrong.set()

    def _keep(self) -> None:
        while not self._closed.is_set():
            self._wrong.clear()
            fresh = any(self._ask(line) for line in self.lines() if line.well)
            self._wrong.wait(_SECONDS if fresh else _HASTE)
            self._closed.wait(_HASTE)

    def _ask(self, line: Line) -> bool:
        """Take the map over as one node knows it; whether it gave one."""
        try:
            wire = line.take()
        except StoreError:
            return False
        try:
            ranges = list(_ranges(wire.ask(("CLUSTER", "SLOTS"), time.monotonic() + CONNECT_SECONDS), line.place.host))
        except StoreError:
            line.drop(wire)
            return False
        line.give(wire)
        if not ranges:  # a node that belongs to no cluster yet
            return False
        self._take_over(ranges)
        return True

    def _take_over(self, ranges: Iterable[tuple[int, int, Place]]) -> None:
        owners: list[Line | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        lines = dict(self._lines)
        for first, last, place in ranges:
            if place not in lines:
                lines[place] = self._make(place)
                lines[place].start()
            owners[first : last + 1] = [lines[place]] * (last + 1 - first)
        named = {line.place for line in owners if line is not None}
        gone = [place for place in lines if place not in named and place not in self._given]
        leaving = [lines.pop(place) for place in gone]
        self._lines, self._owners = lines, tuple(owners)
        for line in leaving:
            line.close()
        self._known.set()


def _ranges(reply: Any, asked: str) -> Iterable[tuple[int, int, Place]]:
    """First and last slot, and the node that takes their keys, in the reply to CLUSTER SLOTS. Raises `StoreLied`."""
    try:
        for first, last, primary, *_ in reply:
            host = primary[0].decode() if primary[0] else asked  # it does not know its own name: as we reached it
            if not 0 <= first <= last < REDIS_CLUSTER_HASH_SLOTS:
                raise ValueError
            yield first, last, Place(host, int(primary[1]))
    except (AttributeError, IndexError, TypeError, ValueError):
        raise StoreLied("unexpected") from None
