"""Ids to rows through the table, beside a dictionary: random ids and nasty ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels.enter import enter_numbers, enter_texts
from reranker.kernels.lookup import find_numbers, find_texts
from tests.reference.naive_catalog import rows_of

NASTY = [
    "", " ", "\n", "\n\n", "a", "aa", "aaa", "aaaa", "aaaaa", "b", "ab", "ba", "a\x00", "\x00", "\x00\x00", "é",
    "e\u0301", "日本語", "🛍️", "a" * 1024, "a" * 1023 + "b", "b" + "a" * 1023, "0", "00", "-1", "\xff", "ÿ", "\u2028",
    "A", "a ",
]  # fmt: skip


def packed(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return offsets, np.frombuffer(b"".join(encoded), np.uint8)


def table_of_texts(texts: Sequence[str], slots: int) -> tuple[NDArray[np.int64], list[list[int]]]:
    table, repeats = np.zeros(slots, np.int64), np.full((4, 2), -1, np.int64)
    count = enter_texts(*packed(texts), table, repeats)
    return table, [[count], *repeats[:count].tolist()]


def found_texts(known: Sequence[str], table: NDArray[np.int64], asked: Sequence[str]) -> list[int]:
    rows = np.full(len(asked), 99, np.int64)
    data = np.frombuffer(b"\xff".join(text.encode() for text in asked), np.uint8)
    find_texts(data, 0xFF, table, *packed(known), rows)
    return rows.tolist()


def found_numbers(known: NDArray[np.uint64], table: NDArray[np.int64], asked: NDArray[np.uint64]) -> list[int]:
    rows = np.full(len(asked), 99, np.int64)
    find_numbers(asked.view(np.uint32), table, known.view(np.uint32), rows)
    return rows.tolist()


def random_text(rng: np.random.Generator) -> str:
    if rng.random() < 0.2:
        return NASTY[rng.integers(len(NASTY))]
    alphabet = "ab" if rng.random() < 0.5 else "abcdefghijklmnop-_0123456789éß日"
    return "".join(alphabet[i] for i in rng.integers(0, len(alphabet), rng.integers(0, 14)))


@pytest.mark.parametrize("seed", range(40))
def test_texts_beside_a_dictionary(seed: int) -> None:
    for case in range(25):
        rng = np.random.default_rng([seed, case])
        known = list(dict.fromkeys(random_text(rng) for _ in range(rng.integers(0, 60))))
        slots = len(known) + 1 + int(rng.integers(0, 30))  # some tables have one free slot: everything collides
        table, repeats = table_of_texts(known, slots)
        assert repeats == [[0]]
        asked = [random_text(rng) for _ in range(rng.integers(0, 40))]
        asked += [known[i] for i in rng.integers(0, len(known), 20)] if known else []
        assert found_texts(known, table, asked) == rows_of(known, asked)


@pytest.mark.parametrize("seed", range(20))
def test_numbers_beside_a_dictionary(seed: int) -> None:
    for case in range(25):
        rng = np.random.default_rng([7, seed, case])
        high = [1 << 6, 1 << 32, 1 << 63][rng.integers(3)]
        pool = np.concatenate([rng.integers(0, high, 50), [0, 1, high - 1]]).astype(np.uint64)
        pool = np.concatenate([pool, [np.uint64(2**64 - 1), np.uint64(2**63)], pool << np.uint64(32)]).astype(np.uint64)
        known = np.unique(pool[rng.random(len(pool)) < 0.6])
        rng.shuffle(known)
        table, repeats = np.zeros(len(known) + 1 + int(rng.integers(0, 30)), np.int64), np.zeros((4, 2), np.int64)
        assert enter_numbers(known.view(np.uint32), table, repeats) == 0
        assert found_numbers(known, table, pool) == rows_of(known.tolist(), pool.tolist())


def test_every_nasty_text_is_told_from_every_other() -> None:
    table, repeats = table_of_texts(NASTY, 2 * len(NASTY) + 8)
    distinct = list(dict.fromkeys(NASTY))
    assert repeats[0] == [len(NASTY) - len(distinct)]
    assert found_texts(NASTY, table, [*NASTY, "c", "aaaaaa"]) == rows_of(NASTY, [*NASTY, "c", "aaaaaa"])


def test_texts_may_be_asked_by_line() -> None:
    known = ["p1", "p22", "", "p333"]
    table, _ = table_of_texts(known, 16)
    rows = np.zeros(5, np.int64)
    find_texts(np.frombuffer(b"p333\n\np1\nnobody\np22", np.uint8), ord("\n"), table, *packed(known), rows)
    assert rows.tolist() == [3, 2, 0, -1, 1]


def test_nothing_is_found_in_an_empty_table_and_nothing_asked_gives_nothing() -> None:
    table, _ = table_of_texts([], 8)
    assert found_texts([], table, ["a", ""]) == [-1, -1]
    assert found_texts([], table, []) == []
    numbers = np.zeros(0, np.uint64)
    assert found_numbers(numbers, np.zeros(8, np.int64), np.arange(3, dtype=np.uint64)) == [-1, -1, -1]
    assert found_numbers(numbers, np.zeros(8, np.int64), numbers) == []


def test_repeats_are_counted_and_the_first_of_them_named() -> None:
    assert table_of_texts(["a", "b", "a", "c", "b", "a"], 20)[1] == [[3], [2, 0], [4, 1], [5, 0]]
    table, repeats = np.zeros(20, np.int64), np.zeros((2, 2), np.int64)
    numbers = np.array([5, 6, 5, 5, 6], np.uint64)
    assert enter_numbers(numbers.view(np.uint32), table, repeats) == 3
    assert repeats.tolist() == [[2, 0], [3, 0]]
    assert found_numbers(numbers, table, numbers) == [0, 1, 0, 0, 1]


@pytest.mark.parametrize("ids", [np.arange(20_000), np.arange(20_000) << 12, np.arange(20_000) << 44])
def test_ids_that_follow_a_pattern_spread_over_the_table(ids: NDArray[np.int64]) -> None:
    """Steps beyond the first slot: about 0.5 an id at half load, as for a random function."""
    numbers = ids.astype(np.uint64)
    tables = [np.zeros(2 * len(ids), np.int64) for _ in range(2)]
    enter_numbers(numbers.view(np.uint32), tables[0], np.zeros((1, 2), np.int64))
    enter_texts(*packed([f"item-{number}" for number in ids.tolist()]), tables[1], np.zeros((1, 2), np.int64))
    for table in tables:
        taken = table != 0
        ends = np.flatnonzero(np.diff(np.concatenate([[0], taken.astype(np.int8), [0]])))
        runs = ends[1::2] - ends[::2]
        assert runs.mean() < 2.7
        assert runs.max() < 60


def test_the_hash_is_what_it_was() -> None:
    """Files on disk rely on it: whoever changes it has to change the format's number too."""
    table, _ = table_of_texts(["", "a", "item-1", "日本語", "abcdefgh"], 16)
    numbers = np.array([0, 1, 4711, 2**63, 2**64 - 1], np.uint64)
    of_numbers = np.zeros(16, np.int64)
    enter_numbers(numbers.view(np.uint32), of_numbers, np.zeros((1, 2), np.int64))
    assert {slot: int(table[slot]) for slot in np.flatnonzero(table).tolist()} == TEXT_ENTRIES
    assert {slot: int(of_numbers[slot]) for slot in np.flatnonzero(of_numbers).tolist()} == NUMBER_ENTRIES


TEXT_ENTRIES: dict[int, int] = {
    7: 4953236983334830085,
    9: 4675172966571442179,
    10: 433123563193499652,
    11: 2035558174655774722,
    14: 3930185269600321537,
}
NUMBER_ENTRIES: dict[int, int] = {
    3: 7350559166705958917,
    7: 854231418505527300,
    8: 2026787499250024451,
    12: 7859455139935944705,
    13: 2169400698607763458,
}
