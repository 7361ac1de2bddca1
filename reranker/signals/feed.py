"""The feed: which of the store's items were put or erased, in order, for every process that remembers some.

Every write adds an entry to a stream and counts it, in one step. A process reads what is new a few times a second; by
the count it knows whether it missed any. The ids of what was erased are in a set besides, for those who did, and for
the next build.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reranker.candidates import Id
from reranker.errors import StoreError, StoreLied
from reranker.store import Script, command

if TYPE_CHECKING:
    from reranker.store.store import Store

_PATIENCE = 1.0  # seconds for what no request waits for
_ENTRIES = 10_000
_PAGE = 256
_LENGTH = struct.Struct("<H")

# KEYS: count, feed, erased. ARGV: "put" or "erase", the ids in one piece, the ids one by one.
_ANNOUNCE = Script(
    f"""
    local count = redis.call('INCR', KEYS[1])
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', {_ENTRIES}, '*', 'n', count, 'w', ARGV[1], 'i', ARGV[2])
    for at = 3, #ARGV do
        redis.call(ARGV[1] == 'erase' and 'SADD' or 'SREM', KEYS[3], ARGV[at])
    end
    return count
    """
)


class News(NamedTuple):
    """Items that were put or erased; `missed`: and others before them, nobody knows which."""

    changed: list[Id]
    erased: list[Id]
    missed: bool


class _Entry(NamedTuple):
    stamp: bytes
    number: int
    is_erasure: bool
    ids: list[Id]


class Feed:
    """The feed below `base`, a prefix of keys. One thread reads, any may announce. All of it raises `StoreError`."""

    def __init__(self, store: Store, base: str) -> None:
        self.store = store
        self.count_key, self.key, self.erased_key = (
            f"{{{base}}}:{what}".encode() for what in ("count", "feed", "erased")
        )
        self._seen: tuple[bytes, int] | None = None  # the last entry's stamp and count

    def announce(self, ids: Sequence[Id], seconds: float, *, erased: bool) -> None:
        """Tell all processes that items were put or erased."""
        members = [member_of(item) for item in ids]
        piece = b"".join(_LENGTH.pack(len(member)) + member for member in members)
        keys = (self.count_key, self.key, self.erased_key)
        self.store.call(_ANNOUNCE.on(keys, "erase" if erased else "put", piece, *members), seconds)

    def read(self) -> Iterator[News]:
        """What is new since the last time, a page at a time.

        Whatever somebody fetched until he is told may be what it was before.
        """
        while True:
            news, is_last = self._page()
            yield news
            if is_last:
                return

    def erased_ids(self) -> list[Id]:
        """Every id that was erased and not put since."""
        members: list[bytes] = []
        cursor: Any = b"0"
        while True:
            cursor, more = self.store.call(command("SSCAN", self.erased_key, cursor, "COUNT", 1_000), _PATIENCE)
            members += more
            if cursor == b"0":
                return [_id_of(member) for member in dict.fromkeys(members)]

    def _page(self) -> tuple[News, bool]:
        """The next page, and whether it is the last for now."""
        seen = self._seen
        if seen is None:
            asked = command("XREVRANGE", self.key, "+", "-", "COUNT", 1)
        else:
            asked = command("XRANGE", self.key, b"(" + seen[0], "+", "COUNT", _PAGE)
        # The count is read first: it is behind the entries, unless some of them are gone.
        replies = self.store.run([command("GET", self.count_key), asked], _PATIENCE)
        for reply in replies:
            if isinstance(reply, StoreError):
                raise reply
        total, entries = _read(*replies)
        news, last = News([], [], False), 0 if seen is None else seen[1]
        for entry in entries:
            missed = news.missed or seen is None or entry.number != last + 1
            news = News(news.changed + entry.ids, news.erased + entry.ids * entry.is_erasure, missed)
            last = entry.number
            self._seen = (entry.stamp, last if total else 0)  # a count that was evicted begins anew
        is_last = len(entries) < _PAGE
        if seen is not None and is_last and not seen[1] <= total <= last:
            self._seen = None  # another feed, whose entries may even be older than the last that was seen
            news = news._replace(missed=news.missed or total > 0)
        return news, is_last


def member_of(item: Id) -> bytes:
    """An id as keys and the feed have it: a text and a number never meet."""
    return b"n:%d" % item if isinstance(item, int) else b"t:" + item.encode()


def _id_of(member: bytes) -> Id:
    text = member[2:].decode()
    return int(text) if member.startswith(b"n:") else text


def _read(total: Any, entries: Any) -> tuple[int, list[_Entry]]:
    """How many entries were ever written, and some of them; raises `StoreLied`."""
    try:
        read = []
        for stamp, fields in entries:
            known = dict(zip(fields[::2], fields[1::2], strict=True))
            read.append(_Entry(stamp, int(known[b"n"]), known[b"w"] == b"erase", _ids_of(known[b"i"])))
        return int(total or 0), read
    except (KeyError, TypeError, ValueError, struct.error, UnicodeDecodeError):
        raise StoreLied("unexpected") from None


def _ids_of(piece: bytes) -> list[Id]:
    ids, at = [], 0
    while at < len(piece):
        (length,) = _LENGTH.unpack_from(piece, at)
        at += _LENGTH.size + length
        ids.append(_id_of(piece[at - length : at]))
    return ids
