"""What this process remembers of the store's items: columns in arrays, found by a dictionary, the least used given up.

One arena a shape, so a hit costs a dictionary look-up and its share of a copy. All that callers decide counts: how many
items, how many shapes, how long ids and label fields are.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Id
from reranker.signals.arena import Arena, beyond
from reranker.signals.packed import Shape
from reranker.signals.pieces import Fields, Piece

_MOST_ARENAS = 32  # shapes at a time: more are a producer that changes its mind with every item
_SHARE_GIVEN_UP = 64  # one item in so many makes room when there is none
_ROW_BITS = 40
_ROW_MASK = (1 << _ROW_BITS) - 1
_IDLE = 1_000  # look-ups after which a shape that none of them met is one of the past
_SECONDS_ON_THE_WAY = 60.0  # more than any fetch takes
_MOST_DROPPED = 100_000  # ids in that time; beyond it, nothing on the way is kept
NOTHING = Shape((("", 0, "<f4"),), (), ())
"""The shape of what is known to be absent, and of tombstones: no item has it, as no vector is empty."""


@dataclass(slots=True)
class Recalled:
    """What the cache knows of some ids: bool (N,) whether anything, whether recently, whether that it was erased.

    Those that are held, not erased and in none of the pieces are absent from the store.
    """

    held: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    erased: NDArray[np.bool_]
    pieces: list[Piece]


class ItemCache:
    """At most about `size` bytes of items. Safe to use from many threads; what it gives out are copies."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._place_of: dict[Id, int] = {}  # the arena's number, then the row's
        self._arenas: list[Arena] = []
        self._arena_of: dict[Shape, int] = {}
        self._tick = 0
        self._doubted = 0.0
        self._dropped: dict[Id, float] = {}  # and when; those of a while ago are in the other one, then in neither
        self._dropped_before: dict[Id, float] = {}
        self._turned = 0.0
        self._all_dropped = -1.0

    def __len__(self) -> int:
        return len(self._place_of)

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return sum([arena.size for arena in self._arenas])

    def recall(self, ids: Sequence[Id], fetched_since: float, used_since: float) -> Recalled:
        """What is known of ids; nothing of what was fetched before `used_since`, and the rest is fresh or not."""
        count = len(ids)
        held, fresh, erased = np.zeros(count, bool), np.zeros(count, bool), np.zeros(count, bool)
        pieces: list[Piece] = []
        with self._lock:
            self._tick += 1
            places = np.fromiter(map(self._place_of.get, ids, repeat(-1)), np.int64, count)
            numbers = places >> _ROW_BITS
            for number in np.flatnonzero(np.bincount(numbers[numbers >= 0])).tolist():
                arena, here = self._arenas[number], np.flatnonzero(numbers == number)
                slots = places[here] & _ROW_MASK
                usable = arena.fetched[slots] >= used_since
                here, slots = here[usable], slots[usable]
                arena.used[slots] = arena.last_used = self._tick
                held[here] = True
                fresh[here] = arena.fetched[slots] >= max(fetched_since, self._doubted)
                erased[here] = arena.erased[slots]
                if arena.shape is not NOTHING:
                    codes = [own.take(slots) for own in arena.codes]
                    pieces.append(Piece(arena.shape, here, arena.table.take(slots), codes, arena.fields))
        return Recalled(held, fresh, erased, pieces)

    def coded(self, shape: Shape, at: NDArray[np.int64], table: NDArray[np.void], fields: list[list[bytes]]) -> Piece:
        """Items as they came from the store, with this cache's codes for their labels; raises `StoreLied`."""
        with self._lock:
            number = self._arena(shape)
            known = [Fields() for _ in shape.labels] if number is None else self._arenas[number].fields
            codes = [own.codes(each) for own, each in zip(known, fields, strict=True)]
        return Piece(shape, at, table, codes, known)

    def remember(self, ids: Sequence[Id], piece: Piece, fetched: float) -> None:
        """Keep items that were fetched at a moment; `ids` are those of the piece's rows."""
        with self._lock:
            number = self._arena(piece.shape)
            if number is None:
                return  # too many shapes
            arena = self._arenas[number]
            kept = [n for n, item in enumerate(ids) if self._is_current(item, fetched)]
            slots = self._slots(number, [ids[n] for n in kept], fetched, piece.fields)
            kept = kept[: len(slots)]
            arena.table.put(slots, piece.table.take(kept))  # an index of rows of fields would cost a fifth of a µs each
            for n, codes in enumerate(piece.codes):
                arena.codes[n, slots] = codes[kept]

    def remember_absent(self, ids: Sequence[Id], erased: bool, fetched: float) -> None:
        """Keep that the store has no item of these ids; `erased`: and that nobody else has them either."""
        with self._lock:
            number = self._arena(NOTHING)
            if number is None:
                return
            slots = self._slots(number, [item for item in ids if self._is_current(item, fetched)], fetched)
            self._arenas[number].erased[slots] = erased

    def drop(self, ids: Sequence[Id], now: float) -> None:
        """Forget these; what was fetched of them before `now` will not come back either."""
        with self._lock:
            for item in ids:
                self._forget(item)
            if now > self._turned + _SECONDS_ON_THE_WAY:
                self._dropped, self._dropped_before, self._turned = {}, self._dropped, now
            self._dropped.update(dict.fromkeys(ids, now))
            if len(self._dropped) > _MOST_DROPPED:
                self._dropped, self._dropped_before, self._all_dropped = {}, {}, now

    def doubt(self, now: float) -> None:
        """Nothing fetched before `now` is fresh any more: what has changed since is not known."""
        with self._lock:
            self._doubted = now

    def _arena(self, shape: Shape) -> int | None:
        """The number of a shape's arena, made if there is none; None when there are too many. The lock is held."""
        number = self._arena_of.get(shape)
        if number is not None:
            return number
        arena = Arena(shape)
        if len(self._arenas) < _MOST_ARENAS:
            number = len(self._arenas)
            self._arenas.append(arena)
        else:
            number, past = min(enumerate(self._arenas), key=lambda each: each[1].last_used)
            if past.last_used > self._tick - _IDLE:
                return None
            for item in past.items():
                self._forget(item)
            del self._arena_of[past.shape]
            self._arenas[number] = arena
        arena.last_used = self._tick
        self._arena_of[shape] = number
        return number

    def _is_current(self, item: Id, fetched: float) -> bool:
        """Whether what was fetched then is not known to have changed since. The lock is held."""
        gone = max(self._dropped.get(item, -1.0), self._dropped_before.get(item, -1.0), self._all_dropped)
        return gone < fetched

    def _slots(
        self, number: int, ids: Sequence[Id], fetched: float, fields: list[Fields] | None = None
    ) -> NDArray[np.int64]:
        """Rows of an arena for distinct items, the first of them where there is no room for all. The lock is held.

        None where making room has given the arena other label fields than those of `fields`.
        """
        arena = self._arenas[number]
        arena.last_used = self._tick
        for item in ids:
            self._forget(item)
        self._make_room(arena, ids)
        if fields is not None and arena.fields is not fields:
            ids = ()
        arena.grow(len(ids), self._size - self.size - beyond(ids))
        slots = []
        for item in ids:
            slot = arena.add(item)
            if slot < 0:
                break
            self._place_of[item] = (number << _ROW_BITS) | slot
            slots.append(slot)
        rows = np.array(slots, np.int64)
        arena.fetched[rows], arena.used[rows], arena.erased[rows] = fetched, max(1, self._tick), False
        return rows

    def _make_room(self, arena: Arena, ids: Sequence[Id]) -> None:
        """Forget what was used least lately, in arenas that nobody asks any more first, then in the largest."""
        long = beyond(ids)
        while self.size + arena.lacking(len(ids)) + long > self._size:
            number, giver = min(enumerate(self._arenas), key=lambda each: (not each[1].size, each[1].last_used))
            if giver.last_used > self._tick - _IDLE:
                number, giver = max(enumerate(self._arenas), key=lambda each: each[1].size)
            if not giver.size:
                return
            if giver.is_slack and not (giver is arena and giver.taken and giver.lacking(len(ids))):
                self._compact(number)
                continue
            given_up = giver.least_used(_SHARE_GIVEN_UP, self._tick)
            if not given_up:
                return
            for item in given_up:
                self._forget(item)

    def _compact(self, number: int) -> None:
        """Give back what an arena has of memory that no item needs. O(items): not before a quarter has gone."""
        arena = self._arenas[number]
        if not arena.taken:
            arena.clear()
        for row, item in enumerate(arena.compact()):
            self._place_of[item] = (number << _ROW_BITS) | row

    def _forget(self, item: Id) -> None:
        place = self._place_of.pop(item, None)
        if place is not None:
            self._arenas[place >> _ROW_BITS].release(place & _ROW_MASK)
