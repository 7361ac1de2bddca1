"""What a process remembers of the store's items, at its limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reranker import Candidates
from reranker.signals import cache as module
from reranker.signals.cache import ItemCache
from reranker.signals.packed import Shape, pack, take_apart, unpack


def remember(cache: ItemCache, ids: Sequence[str], column: str = "tone", fetched: float = 1.0) -> None:
    """As `StoredItems` does when these came from the store."""
    items = Candidates(list(ids), np.zeros(len(ids)), np.ones((len(ids), 4)), {column: ["a"] * len(ids)})
    values = [unpack(value) for value in pack(items, 0)]
    shape = Shape.parse(values[0][0])
    piece = cache.coded(shape, np.arange(len(ids)), *take_apart(shape, [body for _, body in values]))
    cache.remember(ids, piece, fetched)


def held(cache: ItemCache, ids: Sequence[str]) -> list[bool]:
    return [bool(each) for each in cache.recall(ids, 0.0, 0.0).held]


def test_shapes_of_the_past_make_room_for_new_ones() -> None:
    cache = ItemCache(1 << 20)
    for number in range(module._MOST_ARENAS):
        remember(cache, [f"p{number}"], f"column {number}")
    remember(cache, ["new"], "new")
    assert held(cache, ["p0", "p5", "new"]) == [True, True, False]
    for _ in range(module._IDLE):
        cache.recall(["p5"], 0.0, 0.0)
    remember(cache, ["new"], "new")
    assert held(cache, ["p5", "new"]) == [True, True]
    assert held(cache, [f"p{number}" for number in range(module._MOST_ARENAS)]).count(True) == module._MOST_ARENAS - 1


def test_what_was_dropped_stays_so_for_what_was_fetched_before_and_for_no_longer() -> None:
    cache, now = ItemCache(1 << 20), 100.0
    remember(cache, ["a", "b"], fetched=now)
    cache.drop(["a"], now + 1.0)
    assert held(cache, ["a", "b"]) == [False, True]
    cache.drop(["b"], now + 50.0)
    cache.drop([], now + 62.0)  # the others are those of before now
    remember(cache, ["a", "b"], fetched=now + 1.0)
    cache.remember_absent(["a", "b"], erased=False, fetched=now + 1.0)
    assert held(cache, ["a", "b"]) == [False, False]
    remember(cache, ["a", "b"], fetched=now + 51.0)
    assert held(cache, ["a", "b"]) == [True, True]


def test_who_gives_way_gives_the_memory_back() -> None:
    cache = ItemCache(100_000)
    remember(cache, [f"old{number}" for number in range(300)], "old")
    for _ in range(module._IDLE):
        cache.recall([], 0.0, 0.0)
    before = cache._arenas[0].table
    for first in range(0, 2_000, 20):
        cache.recall([], 0.0, 0.0)
        remember(cache, [f"new{number}" for number in range(first, first + 20)], "new")
    assert not any(held(cache, [f"old{number}" for number in range(300)]))
    assert cache._arenas[0].table is not before
    assert cache.size <= 100_000


def test_an_item_without_columns_is_no_absent_one() -> None:
    cache = ItemCache(1 << 20)
    bare = cache.coded(Shape((), (), ()), np.arange(1), np.zeros(1, Shape((), (), ()).row), [])
    cache.remember(["bare"], bare, 1.0)
    cache.remember_absent(["gone"], erased=True, fetched=1.0)
    known = cache.recall(["bare", "gone"], 0.0, 0.0)
    assert known.held.all()
    assert known.erased.tolist() == [False, True]
    assert [piece.at.tolist() for piece in known.pieces] == [[0]]
