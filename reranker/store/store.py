"""The store as the other rooms see it: commands in, replies or reasons out, in one round trip and in time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from reranker.errors import StoreError, StoreLied, StoreUnavailable
from reranker.store.address import Place, StoreAddress
from reranker.store.command import Command, Reply, Word
from reranker.store.line import Line
from reranker.store.listener import Silent, StoreListener
from reranker.store.slots import SlotMap
from reranker.store.wire import Redirected, UnknownScript, Wire

_AT_ONCE = 128  # keys of one MGET: what came before the time was up is not lost
_LEAST_SECONDS = 0.001  # with less a round trip is not begun: it would cost a sound connection


class _Parcel(NamedTuple):
    """One command on its way: its place in the round trip, its words, and whether a node must be told to make way."""

    at: int
    words: tuple[Word, ...]
    asking: bool = False

    @property
    def sent(self) -> tuple[tuple[Word, ...], ...]:
        return (("ASKING",), self.words) if self.asking else (self.words,)


_Routes: TypeAlias = dict[Line, list[_Parcel]]


class Store:
    """One Redis or Valkey server, or a cluster. Safe to use from many threads.

    Made before or after a fork, but started after it: threads do not survive one. It starts whether the servers are
    there or not. A failure is an answer here and never a wait: no call takes longer than the seconds it is given, none
    is tried again, and a server that failed three times in a row is left alone until a probe beside the requests
    finds it well. `timeout` is the most that a request spends on one round trip; see `seconds_left`.
    """

    def __init__(
        self,
        address: StoreAddress,
        *,
        connections: int = 8,
        timeout: float = 0.02,
        listener: StoreListener | None = None,
    ) -> None:
        self.address, self.timeout = address, timeout
        self._listener: StoreListener = Silent() if listener is None else listener
        self._connections = connections
        self._slots = SlotMap(address.places, self._line) if address.cluster else None
        self._single = None if address.cluster else self._line(address.places[0])
        self._process = 0

    def start(self, seconds: float = 0.0) -> None:
        """Begin to connect, and give the first attempt so many seconds before this returns."""
        self._process = os.getpid()
        keeper = self._slots or self._single
        assert keeper is not None
        keeper.start()
        keeper.await_first_try(seconds)

    def close(self) -> None:
        """Let go of every connection; calls fail from now on."""
        keeper = self._slots or self._single
        assert keeper is not None
        keeper.close()

    @property
    def well(self) -> bool:
        """Whether calls are let through to every server at the moment."""
        lines = self._lines()
        return bool(lines) and all(line.well for line in lines)

    def seconds_left(self, deadline: float | None) -> float:
        """What a round trip for a request may take: the setting, or half of what is left until `deadline`.

        That is a moment of `perf_counter`; the other half is for the work that the request asks for.
        """
        return self.timeout if deadline is None else min(self.timeout, 0.5 * (deadline - time.perf_counter()))

    def call(self, command: Command, seconds: float) -> Reply:
        """The reply to one command; raises `StoreUnavailable` or `StoreLied`."""
        (reply,) = self.run([command], seconds)
        if isinstance(reply, StoreError):
            raise reply
        return reply

    def run(self, commands: Sequence[Command], seconds: float) -> list[Reply]:
        """The replies to commands that are sent together, in their order; where one has none, why: a `StoreError`.

        All nodes concerned work at the same time. A redirection, or a script that a server does not know, is followed
        within the same seconds. Raises nothing of the store's.
        """
        if os.getpid() != self._process:
            raise RuntimeError("a store is started in the process that uses it, after the fork")
        if seconds < _LEAST_SECONDS:
            self._listener.store_failed("no_time")
            return [StoreUnavailable("no_time")] * len(commands)
        replies: list[Reply] = [None] * len(commands)
        started = time.monotonic()
        until = started + seconds
        blames = seconds >= 0.5 * self.timeout  # a server is not slow because somebody had no time for it
        self._exchange(self._routes(commands, replies), replies, until, blames)
        if any(map(_leads_on, replies)):
            self._exchange(self._detours(commands, replies), replies, until, blames)
            replies = [StoreUnavailable("moved") if _leads_on(reply) else reply for reply in replies]
        self._listener.store_answered(time.monotonic() - started)
        for reason in {reply.reason for reply in replies if isinstance(reply, StoreError)}:
            self._listener.store_failed(reason)
        return replies

    def fetch(self, keys: Sequence[bytes], seconds: float) -> list[bytes | StoreError | None]:
        """The values of plain keys, None where there is none: MGETs, or a GET a key where a cluster spreads them.

        What has come when the time is up is given; the rest is `StoreUnavailable("timeout")`. A key of another type is
        `StoreLied("wrong_type")`.
        """
        if self._slots is not None:
            return [_text_or_lie(reply) for reply in self.run([Command((b"GET", key), key) for key in keys], seconds)]
        # MGET says nil for a key of another type too, so it is asked how many there are.
        parts = [keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE)]
        asked = [Command((word, *part)) for part in parts for word in (b"MGET", b"EXISTS")]
        replies = self.run(asked, seconds) if asked else []
        found: list[bytes | StoreError | None] = []
        for part, values, present in zip(parts, replies[::2], replies[1::2], strict=True):
            found += self._values(len(part), values, present)
        return found

    def _values(self, count: int, values: Reply, present: Reply) -> list[bytes | StoreError | None]:
        """The values of so many keys, by what MGET and EXISTS say of them."""
        if isinstance(values, StoreError):
            return [values] * count
        if not isinstance(values, list) or len(values) != count:
            self._listener.store_failed("unexpected")
            return [StoreLied("unexpected")] * count
        found = [_text_or_lie(value) for value in values]
        if isinstance(present, int) and present > count - found.count(None):
            self._listener.store_failed("wrong_type")
            return [StoreLied("wrong_type") if value is None else value for value in found]
        return found

    def report(self, error: StoreError) -> None:
        """Count an answer that somebody else found to be wrong, such as a value that was cut off."""
        self._listener.store_failed(error.reason)

    def _line(self, place: Place) -> Line:
        return Line(place, self.address, self._connections, self._listener)

    def _lines(self) -> list[Line]:
        return self._slots.lines() if self._slots is not None else [self._single] if self._single is not None else []

    def _routes(self, commands: Sequence[Command], replies: list[Reply]) -> _Routes:
        """Which commands go to which server; those that none takes have their reply already."""
        if self._single is not None:
            return {self._single: [_Parcel(at, command.words) for at, command in enumerate(commands)]}
        assert self._slots is not None
        routes: _Routes = {}
        anybody = next((line for line in self._slots.lines() if line.well), None)
        for at, command in enumerate(commands):
            try:
                line = anybody if command.key is None else self._slots.owner(command.key)
            except StoreUnavailable as error:
                replies[at] = error
                continue
            if line is None:
                replies[at] = StoreUnavailable("connecting")
            else:
                routes.setdefault(line, []).append(_Parcel(at, command.words))
        return routes

    def _detours(self, commands: Sequence[Command], replies: list[Reply]) -> _Routes:
        """Where first replies lead: to another node, or to the same with the script in full. The rest stays."""
        routes: _Routes = {}
        for at, reply in enumerate(replies):
            line, words, asking = None, commands[at].words, False
            if isinstance(reply, Redirected):
                replies[at] = StoreUnavailable("moved")
                if self._slots is not None:
                    self._slots.complain()
                    line, asking = self._slots.at(reply.place), reply.asking
            elif isinstance(reply, UnknownScript):
                replies[at] = StoreLied("error")
                key, fallback = commands[at].key, commands[at].fallback
                if key is not None and fallback is not None:
                    line, words = self._single if self._slots is None else self._slots.owner(key), fallback
            if line is not None:
                routes.setdefault(line, []).append(_Parcel(at, words, asking))
        return routes

    def _exchange(self, routes: _Routes, replies: list[Reply], until: float, blames: bool) -> None:
        """Send to every server, then read from every server."""
        sent: list[tuple[Line, Wire, list[_Parcel]]] = []
        for line, parcels in routes.items():
            try:
                wire = line.take()
            except StoreUnavailable as error:
                self._fail(parcels, replies, error)
                continue
            try:
                wire.send([words for parcel in parcels for words in parcel.sent], until)
            except StoreError as error:
                line.drop(wire, counts=blames)
                self._fail(parcels, replies, error)
            else:
                sent.append((line, wire, parcels))
        for line, wire, parcels in sent:
            self._read(line, wire, parcels, replies, blames)

    def _read(self, line: Line, wire: Wire, parcels: list[_Parcel], replies: list[Reply], blames: bool) -> None:
        for n, parcel in enumerate(parcels):
            for _ in parcel.sent:  # ASKING has a reply of its own
                replies[parcel.at] = wire.reply()
                if wire.lost:
                    line.drop(wire, counts=blames and not n)  # who answers in part is there
                    self._fail(parcels[n:], replies, replies[parcel.at])
                    return
        line.give(wire)

    def _fail(self, parcels: list[_Parcel], replies: list[Reply], error: Exception) -> None:
        if self._slots is not None:
            self._slots.complain()
        for parcel in parcels:
            replies[parcel.at] = error


def _text_or_lie(value: Reply) -> bytes | StoreError | None:
    return value if value is None or isinstance(value, bytes | StoreError) else StoreLied("unexpected")


def _leads_on(reply: Reply) -> bool:
    return isinstance(reply, Redirected | UnknownScript)
