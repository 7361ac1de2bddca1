"""Items in the store: read through a cache, written by key, and the feed of what has changed.

An item is one value under a key of its own. Every write also goes to a *feed*, a stream that each process reads a few
times a second: what it names is forgotten and read again. The feed counts its entries, so a reader that missed some
knows, and then trusts nothing that it remembers. What was erased is a tombstone, which hides the catalog's item too.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.errors import StoreError, StoreLied
from reranker.signals.cache import ItemCache
from reranker.signals.packed import Shape, pack, take_apart, tombstone, unpack
from reranker.signals.pieces import Piece, StoredFound
from reranker.store import DEFAULT_PREFIX, Script, command

if TYPE_CHECKING:
    from reranker.store.store import Store

FORMAT = 1  # of keys and values: a release that changes either counts on, and reads none of the old
_FEED_SECONDS = 0.25  # between two looks at the feed
_PATIENCE = 1.0  # seconds for what no request waits for
_FEED_LENGTH = 10_000
_FEED_PAGE = 256
_WRITE_BATCH = 500  # items in one round trip
_LENGTH = struct.Struct("<H")

# KEYS: count, feed, erased. ARGV: "put" or "erase", the ids in one piece, the ids one by one.
_ANNOUNCE = Script(
    f"""
    local count = redis.call('INCR', KEYS[1])
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', {_FEED_LENGTH}, '*', 'n', count, 'i', ARGV[2])
    for at = 3, #ARGV do
        redis.call(ARGV[1] == 'erase' and 'SADD' or 'SREM', KEYS[3], ARGV[at])
    end
    return count
    """
)


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """`prefix` of every key; cached items are read again after `fresh` seconds, and serve for `stale` when they cannot.

    `cache_bytes` is the size of a process's cache, `keep` the seconds after which the store forgets what nobody puts
    again, 0 for never.
    """

    prefix: str = DEFAULT_PREFIX
    cache_bytes: int = 256 << 20
    fresh: float = 60.0
    stale: float = 3_600.0
    keep: int = 0


class StoredItems:
    """The items in a store that somebody else starts. Safe to use from many threads; `start` makes one of its own."""

    def __init__(self, store: Store, settings: StoredSettings) -> None:
        self.store, self.settings = store, settings
        self.cache = ItemCache(settings.cache_bytes)
        base = f"{settings.prefix}:items:{FORMAT}"
        self._base = base.encode()
        self._count_key, self._feed_key, self.erased_key = (
            f"{{{base}}}:{what}".encode() for what in ("count", "feed", "erased")
        )
        self._seen: tuple[bytes, int] | None = None  # the last entry of the feed and its count
        self.read_feed_at = -float("inf")  # `time.monotonic()` of the last look that succeeded
        self._shapes: dict[bytes, Shape] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="store items", daemon=True)

    def start(self) -> None:
        """Begin to read the feed."""
        self._thread.start()

    def close(self) -> None:
        """Read it no more."""
        self._closed.set()

    def find(self, ids: Sequence[Id], seconds: Callable[[], float]) -> StoredFound:
        """What the store has of distinct ids; a round trip, for which `seconds` says the time, only where needed."""
        now = time.monotonic()
        settings = self.settings
        recalled = self.cache.recall(ids, now - settings.fresh, now - settings.fresh - settings.stale)
        erased, pieces = recalled.erased, recalled.pieces
        counts = {"cache": int(np.count_nonzero(recalled.fresh))}
        missing = np.flatnonzero(~recalled.fresh)
        if not len(missing):
            return StoredFound(pieces, erased, False, counts)
        values = self.store.fetch([self._key(ids[at]) for at in missing.tolist()], seconds())
        fetched, dead, failed = self._sorted(ids, missing, values, now)
        pieces = [_without(piece, ~recalled.fresh & ~failed) for piece in pieces] + fetched
        erased = (erased & (recalled.fresh | failed)) | dead
        stale, unread = (int(np.count_nonzero(who)) for who in (failed & recalled.held, failed & ~recalled.held))
        counts |= {"store": len(missing) - stale - unread, "stale": stale, "unread": unread}
        return StoredFound([piece for piece in pieces if len(piece.at)], erased, bool(stale or unread), counts)

    def put(self, items: Candidates, seconds: float) -> None:
        """Add or replace items; raises `StoreError`, and then some may be replaced: put them again."""
        values = pack(items, time.time_ns() // 1_000_000)
        self._write(items.ids, values, "put", seconds)

    def erase(self, ids: Sequence[Id], seconds: float) -> None:
        """Erase items, those of the catalog too; raises `StoreError`, and then some may remain: erase them again."""
        self._write(ids, [tombstone(time.time_ns() // 1_000_000)] * len(ids), "erase", seconds)

    def erased_ids(self) -> list[Id]:
        """Every id that was erased and not put since; raises `StoreError`."""
        members: list[bytes] = []
        cursor: Any = b"0"
        while True:
            cursor, more = self.store.call(command("SSCAN", self.erased_key, cursor, "COUNT", 1_000), _PATIENCE)
            members += more
            if cursor == b"0":
                return [_id_of(member) for member in dict.fromkeys(members)]

    def read_feed(self) -> None:
        """Forget what has changed since the last look; raises `StoreError`."""
        began = time.monotonic()
        while self._read_page() == _FEED_PAGE:
            continue
        self.read_feed_at = began

    def _read_page(self) -> int:
        """Take some more of the feed; how many entries that was.

        What somebody fetched while this was on its way may be what it was before, so it is doubted and dropped as of
        now. The count is read first: it is behind the entries, unless some of them are gone.
        """
        seen = self._seen
        if seen is None:
            asked = command("XREVRANGE", self._feed_key, "+", "-", "COUNT", 1)
        else:
            asked = command("XRANGE", self._feed_key, b"(" + seen[0], "+", "COUNT", _FEED_PAGE)
        replies = self.store.run([command("GET", self._count_key), asked], _PATIENCE)
        _raise_first(replies)
        total, entries = _feed_of(*replies)
        now = time.monotonic()
        last = 0 if seen is None else seen[1]
        for stamp, count, ids in entries:
            if seen is None or count != last + 1:
                self.cache.doubt(now)
            self.cache.drop(ids, now)
            last = count
            self._seen = (stamp, last if total else 0)  # a count that was evicted begins anew
        if seen is not None and len(entries) < _FEED_PAGE and not seen[1] <= total <= last:
            self._seen = None  # another feed, whose entries may even be older than the last that was seen
            if total:
                self.cache.doubt(now)
        return len(entries)

    def _follow(self) -> None:
        while not self._closed.wait(_FEED_SECONDS):
            try:
                self.read_feed()
            except StoreError:  # it is counted by the store; whatever is remembered grows old meanwhile
                continue

    def _write(self, ids: Sequence[Id], values: Sequence[bytes], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        for first in range(0, len(ids), _WRITE_BATCH):
            batch = ids[first : first + _WRITE_BATCH]
            expiry = ("EX", self.settings.keep) if self.settings.keep and what == "put" else ()
            pairs = zip(batch, values[first : first + _WRITE_BATCH], strict=True)
            commands = [command("SET", self._key(item), value, *expiry) for item, value in pairs]
            _raise_first(self.store.run(commands, end - time.monotonic()))
            members = [_member(item) for item in batch]
            piece = b"".join(_LENGTH.pack(len(member)) + member for member in members)
            keys = (self._count_key, self._feed_key, self.erased_key)
            self.store.call(_ANNOUNCE.on(keys, what, piece, *members), end - time.monotonic())
            self.cache.drop(batch, time.monotonic())

    def _key(self, item: Id) -> bytes:
        return self._base + b":" + _member(item)

    def _sorted(
        self, ids: Sequence[Id], missing: NDArray[np.int64], values: Sequence[bytes | StoreError | None], now: float
    ) -> tuple[list[Piece], NDArray[np.bool_], NDArray[np.bool_]]:
        """Pieces of what came, who is erased and who could not be read: bool (N,). Everything that came is cached."""
        dead, failed = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
        absent: list[Id] = []
        groups: dict[bytes, tuple[list[int], list[bytes]]] = {}
        lies: dict[str, StoreError] = {}
        for at, value in zip(missing.tolist(), values, strict=True):
            if value is None:
                absent.append(ids[at])
            elif isinstance(value, StoreError):
                failed[at] = True
            else:
                try:
                    text, body = unpack(value)
                except StoreError as error:
                    lies[error.reason] = error
                    failed[at] = True
                    continue
                if text:
                    ats, bodies = groups.setdefault(text, ([], []))
                    ats.append(at)
                    bodies.append(body)
                else:
                    dead[at] = True
        self.cache.remember_absent(absent, erased=False, fetched=now)
        self.cache.remember_absent([ids[at] for at in np.flatnonzero(dead).tolist()], erased=True, fetched=now)
        pieces = []
        for text, (ats, bodies) in groups.items():
            try:
                shape = self._shape(text)
                piece = self.cache.coded(shape, np.array(ats, np.int64), *take_apart(shape, bodies))
            except StoreError as error:
                lies[error.reason] = error
                failed[ats] = True
                continue
            pieces.append(piece)
            self.cache.remember([ids[at] for at in ats], piece, now)
        for lie in lies.values():
            self.store.report(lie)
        return pieces, dead, failed

    def _shape(self, text: bytes) -> Shape:
        shape = self._shapes.get(text)
        if shape is None:
            shape = Shape.parse(text)
            if len(self._shapes) < 1_000:
                self._shapes[text] = shape
        return shape


def _without(piece: Piece, read_again: NDArray[np.bool_]) -> Piece:
    """A piece without the items that have been read again."""
    keep = ~read_again[piece.at]
    return piece if keep.all() else piece.take(keep, piece.at[keep])


def _member(item: Id) -> bytes:
    """An id as keys have it: a text and a number never meet."""
    return b"n:%d" % item if isinstance(item, int) else b"t:" + item.encode()


def _id_of(member: bytes) -> Id:
    text = member[2:].decode()
    return int(text) if member.startswith(b"n:") else text


def _ids_of(piece: bytes) -> list[Id]:
    ids, at = [], 0
    while at < len(piece):
        (length,) = _LENGTH.unpack_from(piece, at)
        at += _LENGTH.size + length
        ids.append(_id_of(piece[at - length : at]))
    return ids


def _feed_of(total: Any, entries: Any) -> tuple[int, list[tuple[bytes, int, list[Id]]]]:
    """How many entries were ever written, and stamp, number and ids of some of them; raises `StoreLied`."""
    try:
        read = []
        for stamp, fields in entries:
            known = dict(zip(fields[::2], fields[1::2], strict=True))
            read.append((stamp, int(known[b"n"]), _ids_of(known[b"i"])))
        return int(total or 0), read
    except (KeyError, TypeError, ValueError, struct.error, UnicodeDecodeError):
        raise StoreLied("unexpected") from None


def _raise_first(replies: Sequence[Any]) -> None:
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
