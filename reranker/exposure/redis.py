"""The ledger on Redis or Valkey, for servers on more than one machine.

Everything is below `PREFIX:{ledger}:`, so in one slot of a cluster: a script changes it in one step. The states of
requests and the sums of streams expire by themselves; what does not is three small keys.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reranker.errors import StoreError
from reranker.exposure.decay import BUCKETS
from reranker.exposure.identity import is_remembered, is_secret, names_of, new_secret, period_of
from reranker.exposure.ledger import (
    MEMORY,
    Changes,
    Counts,
    Event,
    Impression,
    LedgerUnavailable,
    Position,
    Sum,
    seen_event,
    served_event,
)
from reranker.exposure.receipt import Amounts, Receipt
from reranker.exposure.script import WRITE
from reranker.exposure.states import Step
from reranker.exposure.stream import Stream, read_stream
from reranker.store import DEFAULT_PREFIX, Command, Reply, command
from reranker.store.command import Word
from reranker.store.store import Store

_AT_ONCE = 32  # events in one script: others who use the store wait for a millisecond, and not for a batch
_ROUNDS = 8  # in which an event finds the state that it expects
_READ_AT_ONCE = 1_000  # sums' hashes; one script writes to fewer


class _Try(NamedTuple):
    """An event that is not done yet, at the state that it was last told of."""

    names: list[bytes]
    event: Event
    state: bytes | None
    step: Step


class RedisLedger:
    """A ledger in a store that others start and close. `memory` is how many seconds a request id is known at least.

    A write is acknowledged when the server has done it; whether it survives the server is a matter of that one's
    persistence. Of a call that fails, some may have been done: to call again does the rest.
    """

    def __init__(
        self,
        store: Store,
        memory: float = MEMORY,
        clock: Callable[[], float] = time.time,
        *,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self._store, self._memory, self._clock = store, memory, clock
        base = f"{prefix}:{{ledger}}:".encode()
        self._meta, self._changed_key = base + b"meta", base + b"changed"
        self._lines, self._requests, self._secret = base + b"s:", base + b"r:", base + b"k:"
        self._secrets: dict[int, bytes] = {}

    def record(self, receipts: Sequence[Receipt], seconds: float) -> Counts:
        """Credit slates that were served, in a round trip or two. O(receipts x slots x values)."""
        streams = {stream.digest: stream for receipt in receipts for stream in receipt.streams}
        return self._write([served_event(receipt) for receipt in receipts], streams, seconds)

    def record_impressions(self, impressions: Sequence[Impression], seconds: float) -> Counts:
        """Take back what was not seen, in two round trips or three. O(impressions x slots x values)."""
        return self._write([seen_event(one) for one in impressions], {}, seconds)

    def changes(self, since: Position, seconds: float) -> Changes:
        """What has changed since a position, in two round trips or three; of very much, the first part."""
        until = time.monotonic() + seconds
        self._read_secrets(until)  # another server may have made one since, or all may have been flushed
        birth, version, members = self._changed(since, until)
        is_all = birth != since.birth or version < since.version
        if is_all and since.version:
            birth, version, members = self._changed(Position(), until)
        is_last = len(members) < _READ_AT_ONCE
        if not is_last:
            version = int(members[-1][1]) - 1  # the last write's sums may go on behind these
        lines = self._run([command("HGETALL", self._lines + member) for member, _ in members], until, lenient=True)
        sums, damaged = dict[Sum, Amounts](), 0
        for (member, _), held in zip(members, lines, strict=True):
            try:
                sums.update(dict(_sums_in(member, held)))  # all of them, or none
            except (ValueError, KeyError, TypeError, UnicodeDecodeError):
                damaged += 1
        return Changes(Position(birth, version), is_all, sums, is_last, damaged)

    def close(self) -> None:
        """The store is its owner's to close."""

    def _write(self, events: Sequence[Event], streams: Mapping[bytes, Stream], seconds: float) -> Counts:
        """Try each event at the state that it is told of, from unknown on, until it finds that."""
        until, counts = time.monotonic() + seconds, Counts()
        period = period_of(self._clock(), self._memory)
        if period not in self._secrets:
            made = command("SET", self._secret_key(period), new_secret(), "NX", "PX", round(3_000 * self._memory))
            self._run([made], until)
            self._read_secrets(until)
            if period not in self._secrets:
                raise LedgerUnavailable("contended")
        tries = [_Try(names_of(event[0], self._secrets, period), event, None, event[1](None)) for event in events]
        for _ in range(_ROUNDS):
            unmet = self._send(tries, streams, until, counts)
            again = [one._replace(state=state, step=one.event[1](state)) for one, state in unmet]
            tries = [one for one in again if one.step.state is not None]
            for one in again:
                if one.step.state is None:
                    counts.count(one.step.outcome)
            if not tries:
                return counts
        raise LedgerUnavailable("contended")

    def _send(
        self, tries: Sequence[_Try], streams: Mapping[bytes, Stream], until: float, counts: Counts
    ) -> list[tuple[_Try, bytes | None]]:
        """Do what can be done, and count it; returns the rest, each with the state that was found."""
        chunks = [tries[start : start + _AT_ONCE] for start in range(0, len(tries), _AT_ONCE)]
        replies = self._run([self._script(chunk, streams) for chunk in chunks], until)
        unmet: list[tuple[_Try, bytes | None]] = []
        for chunk, reply in zip(chunks, replies, strict=True):
            if not isinstance(reply, list) or len(reply) != len(chunk):
                raise LedgerUnavailable("unexpected")
            for one, state in zip(chunk, reply, strict=True):
                if state == 1:
                    counts.count(one.step.outcome)
                else:
                    unmet.append((one, state or None))
        return unmet

    def _script(self, tries: Sequence[_Try], streams: Mapping[bytes, Stream]) -> Command:
        """The script's keys and arguments; see there."""
        hashes: dict[tuple[bytes, int], int] = {}
        names: list[bytes] = []
        words: list[Word] = []
        for one in tries:
            words += [len(names) + 1, len(one.names), one.state or b"", one.step.state or b"", len(one.step.amounts)]
            names += [self._requests + name for name in one.names]
            for (stream, bucket, value), amounts in one.step.amounts.items():
                words += [hashes.setdefault((stream, bucket), len(hashes) + 1), value]
                words += [repr(amount) if amount else "0" for amount in amounts]
        members = [_member(*place) for place in hashes]
        head: list[Word] = [round(2_000 * self._memory), secrets.token_bytes(16), len(hashes), len(tries)]
        for (stream, _), member in zip(hashes, members, strict=True):
            known = streams.get(stream)
            seconds = 0 if known is None else math.ceil((BUCKETS + 1) * known.half_life)
            head += [seconds, member, "" if known is None else known.text]
        return WRITE.on(
            [self._meta, self._changed_key, *(self._lines + member for member in members), *names], *head, *words
        )

    def _read_secrets(self, until: float) -> None:
        """The keys of the periods that may have named a request."""
        period = period_of(self._clock(), self._memory)
        wanted = [other for other in range(period - 2, period + 3) if is_remembered(other, period)]
        held = self._run([command("GET", self._secret_key(other)) for other in wanted], until)
        found = {other: secret for other, secret in zip(wanted, held, strict=True) if secret is not None}
        if not all(map(is_secret, found.values())):
            raise LedgerUnavailable("damaged")
        self._secrets = found

    def _secret_key(self, period: int) -> bytes:
        return self._secret + str(period).encode()

    def _changed(self, since: Position, until: float) -> tuple[bytes, int, list[tuple[bytes, float]]]:
        """The ledger's birth and version, and which hashes have changed since, with the version in which each did."""
        ask = command(
            "ZRANGEBYSCORE", self._changed_key, f"({since.version}", "+inf", "WITHSCORES", "LIMIT", 0, _READ_AT_ONCE
        )
        (birth, version), members = self._run([command("HMGET", self._meta, "birth", "version"), ask], until)
        try:
            return birth or b"", int(version or 0), [(member, float(score)) for member, score in members]
        except (ValueError, TypeError):
            raise LedgerUnavailable("damaged") from None

    def _run(self, commands: Sequence[Command], until: float, *, lenient: bool = False) -> list[Reply]:
        """The replies; raises `LedgerUnavailable` where one is missing, or with `lenient` where it is no lie either."""
        if not commands:
            return []
        replies = self._store.run(commands, until - time.monotonic())
        for reply in replies:
            if isinstance(reply, StoreError) and not (lenient and reply.reason == "wrong_type"):
                raise LedgerUnavailable(reply.reason)
        return replies


def _member(stream: bytes, bucket: int) -> bytes:
    return f"{stream.hex()}:{bucket}".encode()


def _sums_in(member: bytes, held: Reply) -> Iterator[tuple[Sum, Amounts]]:
    """The lines of one hash; none when it has expired. Raises what damaged ones raise."""
    if not held:
        return
    stream, bucket = read_stream(held[b"w"].decode()), int(member.partition(b":")[2])
    numbers: dict[str, dict[str, bytes]] = {}
    for name, number in held.items():
        if name != b"w":
            numbers.setdefault(name[1:].decode(), {})[name[:1].decode()] = number
    for value, own in numbers.items():
        exposure, target, items, price = (int(own.get(kind, 0)) for kind in "etip")
        yield Sum(stream, bucket, value), Amounts(exposure, target, items, price, float(own.get("r", 0.0)))
