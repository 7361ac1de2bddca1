"""What is kept by bytes: what is asked for stays, what is not makes room, never more than the bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from reranker.kept import Kept


def size_of(value: str) -> int:
    return len(value)


def held(kept: Kept[int, str]) -> int:
    return sum(entry.size for entry in kept._made.values())


def test_what_is_asked_for_stays() -> None:
    kept = Kept[int, str](50)
    first = kept.get(0, lambda: "x" * 10, size_of)
    for key in range(1, 40):
        kept.get(key, lambda: "y" * 10, size_of)
        assert kept.get(0, lambda: "another", size_of) is first
        assert kept.size == held(kept) <= 50
    assert 1 not in kept
    assert kept.keys()[-1] in (39, 0)


def test_what_alone_is_too_large_stays_until_the_next() -> None:
    kept = Kept[int, str](1)
    for key in range(3):
        made = kept.get(key, lambda: "x" * 10, size_of)
        assert kept.get(key, lambda: "another", size_of) is made
        assert kept.keys() == [key]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), max_size=200))
def test_never_more_than_its_bytes(asked: list[tuple[int, int]]) -> None:
    kept = Kept[int, str](60)
    for key, length in asked:
        kept.get(key, partial(str.ljust, "", length), size_of)
        assert key in kept
        assert kept.size == held(kept)
        assert kept.size <= 60 or len(kept.keys()) == 1


def test_many_threads_ask() -> None:
    kept = Kept[int, str](600)

    def ask(start: int) -> bool:
        asked = [(start * at) % 12 for at in range(400)]
        return all(kept.get(key, partial(str.zfill, str(key), 100), size_of) == str(key).zfill(100) for key in asked)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, [1, 5, 7, 11]))
    assert kept.size == held(kept) <= 600
