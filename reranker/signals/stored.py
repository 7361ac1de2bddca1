"""Items in the store: read through a cache, written by key, and announced in a feed.

An item is one value under a key of its own. Every write also goes to the *feed*, which each process reads a few times a
second: what it names is forgotten and read again, and who missed some trusts nothing that he remembers. What was erased
is a tombstone, which hides the catalog's item too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.errors import StoreError
from reranker.lane import aside
from reranker.signals.cache import ItemCache
from reranker.signals.feed import Feed, member_of
from reranker.signals.packed import Shape, pack, take_apart, tombstone, unpack
from reranker.signals.pieces import Piece, StoredFound
from reranker.store import DEFAULT_PREFIX, command

if TYPE_CHECKING:
    from reranker.store.store import Store

FORMAT = 1  # of keys and values: a release that changes either counts on, and reads none of the old
_KEPT_SHAPES, _LONGEST_SHAPE = 256, 16_384  # bytes: those of a producer that does not change its mind
_FEED_SECONDS = 0.25  # between two looks at the feed
_WRITE_BATCH = 500  # items in one round trip


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
        self.feed = Feed(store, base)
        self._on_erased: Callable[[Sequence[Id]], None] | None = None
        self._knows_erased = False  # whether all that were erased until the last look at the feed have been told
        self.read_feed_at = -float("inf")  # `time.monotonic()` of the last look that succeeded
        self._shapes: dict[bytes, Shape] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="store items", daemon=True)

    def start(self, on_erased: Callable[[Sequence[Id]], None] | None = None) -> None:
        """Begin to read the feed; `on_erased` is told of all ids that were erased, before and from now on."""
        self._on_erased = on_erased
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
        with aside():
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
        self._write(items.ids, values, seconds, erased=False)

    def erase(self, ids: Sequence[Id], seconds: float) -> None:
        """Erase items, those of the catalog too; raises `StoreError`, and then some may remain: erase them again."""
        self._write(ids, [tombstone(time.time_ns() // 1_000_000)] * len(ids), seconds, erased=True)

    def read_feed(self) -> None:
        """Forget what has changed since the last look; raises `StoreError`."""
        began = time.monotonic()
        for news in self.feed.read():
            now = time.monotonic()
            if news.missed:
                self.cache.doubt(now)
                self._knows_erased = False
            self.cache.drop(news.changed, now)
            if self._on_erased and self._knows_erased and news.erased:
                self._on_erased(news.erased)
        if self._on_erased and not self._knows_erased:
            self._on_erased(self.feed.erased_ids())
            self._knows_erased = True
        self.read_feed_at = began

    def _follow(self) -> None:
        while not self._closed.wait(_FEED_SECONDS):
            try:
                self.read_feed()
            except StoreError:  # it is counted by the store; whatever is remembered grows old meanwhile
                continue

    def _write(self, ids: Sequence[Id], values: Sequence[bytes], seconds: float, *, erased: bool) -> None:
        end = time.monotonic() + seconds
        for first in range(0, len(ids), _WRITE_BATCH):
            batch = ids[first : first + _WRITE_BATCH]
            expiry = ("EX", self.settings.keep) if self.settings.keep and not erased else ()
            pairs = zip(batch, values[first : first + _WRITE_BATCH], strict=True)
            commands = [command("SET", self._key(item), value, *expiry) for item, value in pairs]
            for reply in self.store.run(commands, end - time.monotonic()):
                if isinstance(reply, StoreError):
                    raise reply
            self.feed.announce(batch, end - time.monotonic(), erased=erased)
            self.cache.drop(batch, time.monotonic())

    def _key(self, item: Id) -> bytes:
        return self._base + b":" + member_of(item)

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
            if len(self._shapes) >= _KEPT_SHAPES:
                self._shapes.clear()
            if len(text) <= _LONGEST_SHAPE:
                self._shapes[text] = shape
        return shape


def _without(piece: Piece, read_again: NDArray[np.bool_]) -> Piece:
    """A piece without the items that have been read again."""
    keep = ~read_again[piece.at]
    return piece if keep.all() else piece.take(keep, piece.at[keep])
