"""What a process remembers of the store's items, at its limits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def _mixed(ids: Sequence[str], column: str, width: int, label: str) -> tuple[Candidates, Shape, list[bytes]]:
    items = Candidates(
        list(ids), np.zeros(len(ids)), np.ones((len(ids), width)), {column: [f"{label}{each}" for each in ids]}
    )
    values = [unpack(value) for value in pack(items, 0)]
    return items, Shape.parse(values[0][0]), [body for _, body in values]


_BATCH = st.tuples(
    st.integers(0, 4),  # which shape
    st.integers(0, 200),  # the first id
    st.integers(1, 60),  # how many
    st.sampled_from([1, 40, 900]),  # characters of an id
    st.sampled_from([1, 40, 900]),  # and of a label
    st.booleans(),  # whether it is a shape that has not been asked for in a long time afterwards
)


@given(st.lists(_BATCH, min_size=1, max_size=40))
@settings(deadline=None)
def test_whatever_comes_memory_has_its_bound_and_items_their_own_values(
    batches: Sequence[tuple[int, int, int, int, int, bool]],
) -> None:
    most = 60_000
    cache = ItemCache(most)
    for shape_number, first, count, id_length, label_length, pause in batches:
        cache.recall([], 0.0, 0.0)
        ids = [f"{number}".zfill(id_length) for number in range(first, first + count)]
        _, shape, bodies = _mixed(ids, f"c{shape_number}", 2 + shape_number, "x" * label_length)
        cache.remember(ids, cache.coded(shape, np.arange(count), *take_apart(shape, bodies)), 1.0)
        batch = count * (id_length + 2 * label_length + 600)  # of which label fields are made before there is room
        assert cache.size <= most + batch
        known = cache.recall(ids, 0.0, 0.0)
        for piece in known.pieces:
            for n, codes in enumerate(piece.codes):
                found = [piece.fields[n].texts[code] for code in codes.tolist()]
                if piece.shape == shape:
                    assert found == [(f"{'x' * label_length}{ids[at]}",) for at in piece.at.tolist()]
        if pause:
            for _ in range(module._IDLE + 1):
                cache.recall([], 0.0, 0.0)
    taken = [arena.taken for arena in cache._arenas]
    assert sum(taken) == len(cache)
    assert sorted(cache._place_of) == sorted(item for arena in cache._arenas for item in arena.items())


def test_hundreds_of_shapes_and_long_names_take_no_more_than_the_bound() -> None:
    cache = ItemCache(4 << 20)
    tracemalloc.start()
    try:
        for number in range(2_000):
            cache.recall([], 0.0, 0.0)
            ids = [f"{number}-{n}".zfill(1_000) for n in range(20)]
            _, shape, bodies = _mixed(ids, f"c{number % 500}", 8, "y" * 1_000)
            cache.remember(ids, cache.coded(shape, np.arange(20), *take_apart(shape, bodies)), 1.0)
        assert cache.size <= 5 << 20
        assert tracemalloc.get_traced_memory()[0] <= 8 << 20
    finally:
        tracemalloc.stop()


def test_of_too_many_changes_at_once_nothing_on_its_way_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DROPPED", 10)
    cache = ItemCache(1 << 20)
    cache.drop([f"p{number}" for number in range(11)], 100.0)
    assert not cache._dropped
    remember(cache, ["p3", "other"], fetched=99.0)
    assert held(cache, ["p3", "other"]) == [False, False]
    remember(cache, ["p3", "other"], fetched=101.0)
    assert held(cache, ["p3", "other"]) == [True, True]
