"""Items in a real Valkey: what a request by reference makes of them, inline and out of the catalog alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.servers.valkey import Valkey, running_cluster, running_valkey
from reranker import Candidates, LabelProbabilities
from reranker.candidates import AttributeColumn, Id
from reranker.client import from_columns
from reranker.codec.candidates import decode_candidates
from reranker.codec.catalog import Lookup
from reranker.codec.limits import Limits
from reranker.errors import StoreError, StoreUnavailable, Violation
from reranker.lane import Lane
from reranker.signals import Catalog
from reranker.signals.stored import StoredItems, StoredSettings
from reranker.store import Command, Reply, StoreAddress, command
from reranker.store.store import Store
from tests.reference.catalogs import catalog_of
from tests.waiting import wait_for

PATIENT = 5.0


@pytest.fixture
def store(valkey: Valkey) -> Iterator[Store]:
    valkey.ask("FLUSHALL")
    made = Store(StoreAddress.parse(valkey.url), connections=3)
    made.start(PATIENT)
    yield made
    made.close()


def items_in(store: Store, **settings: Any) -> StoredItems:
    return StoredItems(store, StoredSettings(**settings))


@pytest.fixture
def items(store: Store) -> StoredItems:
    return items_in(store)


class SlowLooks:
    """A store in which a look at the feed waits, before it is sent, until a fetch has its values."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.looks, self.may_look = threading.Event(), threading.Event()
        self.between: Callable[[], object] = lambda: None

    def run(self, commands: Sequence[Command], seconds: float) -> list[Reply]:
        self.looks.set()
        assert self.may_look.wait(60)
        return self._store.run(commands, seconds)

    def fetch(self, keys: Sequence[bytes], seconds: float) -> list[bytes | StoreError | None]:
        values = self._store.fetch(keys, seconds)
        self.between()
        return values


def sample(ids: Sequence[Id], seed: int = 0, width: int = 6) -> Candidates:
    rng = np.random.default_rng(seed)
    count = len(ids)
    genres = [[["noir", "crime", "küss"][n] for n in range(3) if rng.random() < 0.4] for _ in ids]
    shares = rng.dirichlet([1, 1, 1], count).astype(np.float32)
    rows: list[Any] = list(rng.normal(size=(count, width)))
    return Candidates(
        list(ids),
        np.zeros(count),
        {
            "": [None if n % 5 == 4 else row for n, row in enumerate(rows)],
            "text": rng.integers(-3, 4, (count, 3)) + 0.5,
        },
        {
            "tone": [[None, "a", "b", "c"][int(rng.integers(4))] for _ in ids],
            "genre": genres,
            "gender": LabelProbabilities(["f", "m"], shares[:, :2]),
        },
    )


def by_reference(
    items: StoredItems | None, ids: Sequence[Id], catalog: Catalog | None = None
) -> tuple[Candidates, Lookup]:
    """What the codec makes of a request that carries ids alone."""
    find = None if items is None else lambda distinct: items.find(distinct, lambda: PATIENT)
    lookup, found = Lookup(catalog, find), list[Violation]()
    message = from_columns(list(ids), np.linspace(1, 0.5, len(ids)), catalog=True)
    candidates = decode_candidates(message, Limits(), found, lookup=lookup)
    assert not found
    return candidates, lookup


def texts(column: AttributeColumn) -> list[tuple[str, ...]]:
    offsets = np.arange(len(column.codes) + 1) if column.offsets is None else column.offsets
    return [
        tuple(column.values[code - 1] for code in column.codes[a:b].tolist() if code)
        for a, b in zip(offsets.tolist(), offsets[1:].tolist(), strict=False)
    ]


def assert_same(given: Candidates, expected: Candidates, rows: Sequence[int]) -> None:
    assert set(given.embeddings) == set(expected.embeddings)
    assert set(given.attributes) == set(expected.attributes)
    for name, own in expected.embeddings.items():
        assert np.array_equal(given.embeddings[name].matrix, np.where(own.norms[:, None] > 0, own.matrix, 0)[rows])
    for name, column in expected.attributes.items():
        if column.probabilities is not None:
            assert given.attributes[name].values == column.values
            assert np.array_equal(given.attributes[name].probabilities, column.probabilities[rows])  # type: ignore[arg-type]
        else:
            put = texts(column)
            assert texts(given.attributes[name]) == [put[row] for row in rows]
            carried = [text for row in texts(given.attributes[name]) for text in row]
            assert given.attributes[name].values == tuple(dict.fromkeys(carried))


@pytest.mark.parametrize("ids", [[f"p{n}" for n in range(40)], list(range(1 << 60, (1 << 60) + 40))])
def test_what_was_put_comes_back_to_the_bit(items: StoredItems, ids: Sequence[Id]) -> None:
    put = sample(ids)
    items.put(put, PATIENT)
    rows = [7, 3, 39, 0, 22, 14]
    for counts in ({"store": 6}, {"cache": 6}):
        given, lookup = by_reference(items, [ids[row] for row in rows])
        assert_same(given, put, rows)
        assert given.unknown is not None
        assert not given.unknown.any()
        assert {source: count for source, count in lookup.counts.items() if count} == counts
        assert (lookup.version, lookup.degraded, lookup.notes) == ("store", False, [])


def test_texts_and_numbers_never_meet(items: StoredItems) -> None:
    items.put(sample(["7"]), PATIENT)
    given, _ = by_reference(items, [7])
    assert given.unknown is not None
    assert given.unknown.all()


def test_the_store_stands_over_the_catalog(items: StoredItems, tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "embedding": [n + 1.0, 1.0], "tone": "old", "era": str(n)} for n in range(6)]
    catalog = catalog_of(tmp_path, rows)
    fresh = Candidates(["p1", "new"], [0, 0], [[5.0, 5.0], [6.0, 6.0]], {"tone": [["x", "y"], ["z"]]})
    items.put(fresh, PATIENT)
    items.erase(["p3", "never"], PATIENT)
    given, lookup = by_reference(items, ["p0", "p1", "p3", "new", "never", "p5"], catalog)
    assert lookup.version == catalog.version
    assert given.embeddings[""].matrix.tolist() == [[1, 1], [5, 5], [0, 0], [6, 6], [0, 0], [6, 1]]
    assert texts(given.attributes["tone"]) == [("old",), ("x", "y"), (), ("z",), (), ("old",)]
    assert texts(given.attributes["era"]) == [("0",), (), (), (), (), ("5",)]
    assert given.unknown is not None
    assert given.unknown.tolist() == [False, False, True, False, True, False]
    assert set(items.feed.erased_ids()) == {"p3", "never"}
    items.put(Candidates(["p3"], [0], [[1.0, 2.0]]), PATIENT)
    assert items.feed.erased_ids() == ["never"]
    assert by_reference(items, ["p3"], catalog)[0].embeddings[""].matrix.tolist() == [[1, 2]]


def test_probabilities_over_labels_and_lengths_that_differ(items: StoredItems, tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, [{"id": "a", "embedding": [1.0, 2.0], "tone": "x"}])
    items.put(
        Candidates(["b"], [0], [[1.0, 2.0, 3.0]], {"tone": LabelProbabilities(["y", "x"], [[0.5, 0.25]])}), PATIENT
    )
    given, _ = by_reference(items, ["a", "b"], catalog)
    assert given.embeddings[""].matrix.tolist() == [[1, 2], [0, 0]]
    column = given.attributes["tone"]
    assert column.values == ("x", "y")
    assert column.probabilities is not None
    assert column.probabilities.tolist() == [[1, 0], [0.25, 0.5]]


def test_inline_columns_win_and_names_choose(items: StoredItems) -> None:
    items.put(sample(["a", "b"]), PATIENT)
    lookup, found = Lookup(None, lambda ids: items.find(ids, lambda: PATIENT)), list[Violation]()
    message = from_columns(["a", "b"], [2, 1], [[1.0, 0.0], [0.0, 1.0]], catalog=True)
    given = decode_candidates(message, Limits(), found, lookup=lookup)
    assert given.embeddings[""].matrix.tolist() == [[1, 0], [0, 1]]
    assert set(given.embeddings) == {"", "text"}


def test_recent_items_may_repeat(items: StoredItems) -> None:
    put = sample(["a", "b", "c"])
    items.put(put, PATIENT)
    lookup, found = Lookup(None, lambda ids: items.find(ids, lambda: PATIENT)), list[Violation]()
    message = from_columns(["c", "a"], [0, 0], catalog=True)
    message.item_ids[:] = ["c", "a", "c", "nobody", "a"]
    del message.scores[:]
    given = decode_candidates(message, Limits(), found, lookup=lookup, scored=False)
    assert given.unknown is not None
    assert given.unknown.tolist() == [False, False, False, True, False]
    assert np.array_equal(given.embeddings["text"].matrix[2], put.embeddings["text"].matrix[2])
    assert np.array_equal(given.embeddings["text"].matrix[4], put.embeddings["text"].matrix[0])


def test_another_process_hears_of_it(items: StoredItems, store: Store) -> None:
    ids = ["a", "b", "c"]
    items.put(sample(ids, 1), PATIENT)
    other = items_in(store)
    other.read_feed()
    by_reference(other, ids)
    items.put(sample(ids[:1], 2), PATIENT)
    items.erase(["b"], PATIENT)
    assert by_reference(other, ids)[1].counts["cache"] == 3  # it does not know yet
    other.read_feed()
    given, lookup = by_reference(other, ids)
    assert (lookup.counts["store"], lookup.counts["cache"]) == (2, 1)
    assert np.array_equal(given.embeddings["text"].matrix[0], sample(ids[:1], 2).embeddings["text"].matrix[0])
    assert given.unknown is not None
    assert given.unknown.tolist() == [False, True, False]


def test_who_missed_news_trusts_nothing_that_he_remembers(items: StoredItems, store: Store, valkey: Valkey) -> None:
    items.put(sample(["a", "b"], 1), PATIENT)
    other = items_in(store)
    other.read_feed()
    by_reference(other, ["a", "b"])
    valkey.ask("DEL", other.feed.key)
    items.erase(["c"], PATIENT)
    items.put(sample(["a"], 2), PATIENT)
    valkey.ask("XDEL", other.feed.key, valkey.ask("XREVRANGE", other.feed.key, "+", "-").split(b"\r\n")[3])
    items.erase(["d"], PATIENT)
    other.read_feed()
    assert by_reference(other, ["a", "b"])[1].counts["cache"] == 0


def test_what_was_on_its_way_while_it_was_erased_is_not_remembered(items: StoredItems, store: Store) -> None:
    items.put(sample(["a"]), PATIENT)
    other = items_in(store)
    other.read_feed()
    slow = SlowLooks(store)
    other.store = other.feed.store = slow  # type: ignore[assignment]
    look = threading.Thread(target=other.read_feed)
    look.start()
    assert slow.looks.wait(60)

    def erase_and_hear_of_it() -> None:
        items.erase(["a"], PATIENT)
        slow.may_look.set()
        look.join(60)

    slow.between = erase_and_hear_of_it
    assert by_reference(other, ["a"])[0].embeddings  # the request began before the deletion
    slow.between = lambda: None
    assert other.find(["a"], lambda: PATIENT).erased.all()


def test_whoever_waits_for_the_store_leaves_the_lane_to_others(items: StoredItems, store: Store) -> None:
    lane, slow = Lane(), SlowLooks(store)
    items.store = slow  # type: ignore[assignment]
    with ThreadPoolExecutor(1) as other, lane:
        slow.between = lambda: [other.submit(step).result(60) for step in (lane.__enter__, lane.__exit__)]
        assert items.find(["a"], lambda: PATIENT).counts["store"] == 1


def test_a_feed_that_begins_anew_is_heard_though_the_clock_went_back(items: StoredItems, store: Store) -> None:
    items.put(sample(["a"], 1), PATIENT)
    other = items_in(store)
    store.call(command("XADD", other.feed.key, f"{2**62}-0", "n", 9, "w", "put", "i", ""), PATIENT)
    store.call(command("SET", other.feed.count_key, 9), PATIENT)
    other.read_feed()
    by_reference(other, ["a"])
    store.call(Command(("FLUSHALL",)), PATIENT)
    other.read_feed()
    assert by_reference(other, ["a"])[1].counts["cache"] == 1  # nothing is known to have changed
    items.put(sample(["a"], 2), PATIENT)
    other.read_feed()
    other.read_feed()
    given, lookup = by_reference(other, ["a"])
    assert lookup.counts["store"] == 1
    assert np.array_equal(given.embeddings["text"].matrix, sample(["a"], 2).embeddings["text"].matrix)


def test_a_count_that_was_evicted_casts_no_doubt(items: StoredItems, store: Store, valkey: Valkey) -> None:
    items.put(sample(["a", "b"]), PATIENT)
    other = items_in(store)
    other.read_feed()
    by_reference(other, ["a", "b"])
    valkey.ask("DEL", other.feed.count_key)
    for _ in range(3):
        other.read_feed()
    by_reference(other, ["a", "b"])
    other.read_feed()
    assert by_reference(other, ["a", "b"])[1].counts["cache"] == 2
    items.erase(["b"], PATIENT)
    other.read_feed()
    assert by_reference(other, ["a", "b"])[1].counts["store"] == 1


def test_the_thread_follows_the_feed(items: StoredItems, store: Store) -> None:
    other = items_in(store)
    other.start()
    items.put(sample(["a"], 1), PATIENT)
    wait_for(lambda: bool(by_reference(other, ["a"])[0].unknown is not None))
    items.erase(["a"], PATIENT)
    wait_for(lambda: bool(by_reference(other, ["a"])[0].unknown.all()))  # type: ignore[union-attr]
    other.close()


def test_without_the_store_what_is_remembered_serves(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, [{"id": "c", "embedding": [9.0] * 6, "tone": "c"}])
    with running_valkey() as server:
        store = Store(StoreAddress.parse(server.url), connections=2)
        store.start(PATIENT)
        items, put = items_in(store, fresh=0.0), sample(["a", "b"])
        items.put(put, PATIENT)
        by_reference(items, ["a"], catalog)
        server.kill()
        given, lookup = by_reference(items, ["a", "b", "c"], catalog)
        assert lookup.degraded
        assert (lookup.counts["stale"], lookup.counts["unread"]) == (1, 2)
        assert np.array_equal(given.embeddings[""].matrix[0], put.embeddings[""].matrix[0])
        assert given.embeddings[""].matrix[2].tolist() == [9] * 6
        assert given.unknown is not None
        assert given.unknown.tolist() == [False, True, False]
        assert lookup.notes == ["items that the store could not be asked for: 3"]
        with pytest.raises(StoreUnavailable):
            items.erase(["a"], PATIENT)
        server.start()
        wait_for(lambda: not by_reference(items, ["a"], catalog)[1].degraded)
        assert by_reference(items, ["a"], catalog)[0].unknown.tolist() == [True]  # type: ignore[union-attr]
        store.close()


@pytest.mark.parametrize("length", [1, 29, 30, 60, -1])
def test_a_value_that_was_cut_off_is_recognised(items: StoredItems, valkey: Valkey, length: int) -> None:
    items.put(sample(["a", "b"]), PATIENT)
    whole = items.store.fetch([items._key("a")], PATIENT)[0]
    assert isinstance(whole, bytes)
    valkey.ask("SET", items._key("a"), whole[:length])
    given, lookup = by_reference(items_in(items.store), ["a", "b"])
    assert lookup.degraded
    assert given.unknown is not None
    assert given.unknown.tolist() == [True, False]


def test_values_of_another_type_and_other_make(items: StoredItems, valkey: Valkey) -> None:
    valkey.ask("RPUSH", items._key("list"), "x")
    valkey.ask("SET", items._key("text"), "anything that somebody may write there")
    items.put(sample(["good"]), PATIENT)
    given, lookup = by_reference(items, ["list", "text", "good"])
    assert lookup.degraded
    assert given.unknown is not None
    assert given.unknown.tolist() == [True, True, False]


def test_items_leave_after_a_while(store: Store, valkey: Valkey) -> None:
    items = items_in(store, keep=1000)
    items.put(sample(["a"]), PATIENT)
    items.erase(["b"], PATIENT)
    assert 0 < int(valkey.ask("TTL", items._key("a")).strip()[1:]) <= 1000
    assert valkey.ask("TTL", items._key("b")).strip() == b":-1"


def test_a_small_cache_gives_up_who_was_used_least_lately(store: Store) -> None:
    items = items_in(store, cache_bytes=100_000)
    ids = [f"p{n}" for n in range(1000)]
    items.put(sample(ids), PATIENT)
    expected = sample(ids)
    rng = np.random.default_rng(1)
    for _ in range(40):
        rows = rng.choice(1000, 60, replace=False).tolist()
        given, _ = by_reference(items, ["p0", *[ids[row] for row in rows if row]])
        assert_same(given, expected, [0, *[row for row in rows if row]])
        assert items.cache.size <= 100_000
    assert by_reference(items, ["p0"])[1].counts["cache"] == 1
    given, _ = by_reference(items, ids)  # more than there is room for
    assert_same(given, expected, range(1000))


def test_a_cluster_keeps_them_too() -> None:
    with running_cluster() as nodes:
        store = Store(StoreAddress.parse(nodes[0].url.replace("redis://", "redis+cluster://")), connections=2)
        store.start(PATIENT)
        wait_for(lambda: len(store._lines()) == 3 and store.well)
        items, ids = items_in(store), [f"p{n}" for n in range(60)]
        items.put(sample(ids), PATIENT)
        items.erase(["p7"], PATIENT)
        given, lookup = by_reference(items_in(store), [f"p{n}" for n in range(8)])
        assert not lookup.degraded
        assert_same(given.take(np.arange(7)), sample(ids), range(7))
        assert given.unknown is not None
        assert given.unknown.tolist() == [False] * 7 + [True]
        assert items.feed.erased_ids() == ["p7"]
        store.close()
