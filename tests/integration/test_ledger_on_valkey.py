"""The exposure ledger on a real Valkey: exactly once, whatever becomes of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from loadtest.servers.valkey import Valkey, running_cluster, running_valkey
from reranker.exposure import redis
from reranker.exposure.board import Board
from reranker.exposure.ledger import Counts, Impression, Ledger, LedgerUnavailable
from reranker.exposure.receipt import Receipt, make_receipt
from reranker.exposure.redis import RedisLedger
from reranker.exposure.tally import Served, Tally, TallyKey
from reranker.store import StoreAddress, command
from reranker.store.store import Store

NOW = 1_800_000_000.0
HOUR = 3_600.0
KEY = TallyKey("search", "inclusive", "b", "tone", (("intent", "beauty"),))
SECONDS = 30.0
LINES = "reranker:{ledger}:s:"


def receipt(request_id: str, time: float = NOW, key: TallyKey = KEY) -> Receipt:
    return make_receipt(request_id, time, [Served(key, HOUR, 0, (("a",), ("b",)), (3.0, 1.0), {"a": 0.5}, {})])


def tally_of(ledger: Ledger, key: TallyKey = KEY, board: Board | None = None) -> Tally:
    board = board or Board(clock=lambda: NOW)
    board.refresh(ledger, SECONDS)
    tally = board.tally(key, HOUR)
    assert tally is not None
    return tally


def until(works: Callable[[], object]) -> None:
    """Call it until the ledger is there again."""
    end = time.monotonic() + 60
    while True:
        try:
            works()
        except LedgerUnavailable:
            assert time.monotonic() < end
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module")
def shared() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def valkey(shared: Valkey) -> Valkey:
    shared.ask("FLUSHALL")
    shared.ask("CONFIG", "SET", "maxmemory", "0")
    return shared


@pytest.fixture
def store(valkey: Valkey) -> Iterator[Store]:
    made = Store(StoreAddress.parse(valkey.url))
    made.start(SECONDS)
    yield made
    made.close()


def keys_of(store: Store) -> set[bytes]:
    return set(store.call(command("KEYS", "*"), SECONDS))


def test_a_batch_with_repetitions_and_early_reports(store: Store) -> None:
    ledger = RedisLedger(store)
    assert ledger.record_impressions([Impression("early", 0b10)] * 2, SECONDS) == Counts(unknown=2)
    names = [str(number % 70) for number in range(100)] + ["early", ""]
    assert ledger.record([receipt(name) for name in names], SECONDS) == Counts(new=72, repeated=30)
    reports = [Impression(str(number), 0b01) for number in range(70)] + [Impression("3", 0), Impression("early", 3)]
    assert ledger.record_impressions(reports, SECONDS) == Counts(new=70, repeated=2)
    tally = tally_of(ledger)
    assert (tally.requests, tally.groups["a"].items, tally.groups["b"].items) == (72.0, 71.0, 2.0)
    assert tally.groups["a"].relevance == 3.0 * 71


def test_servers_of_another_prefix_have_a_ledger_of_their_own(store: Store) -> None:
    ours, theirs = RedisLedger(store), RedisLedger(store, prefix="shop")
    assert ours.record([receipt("r")], SECONDS) == Counts(new=1)
    assert theirs.record([receipt("r")], SECONDS) == Counts(new=1)
    assert theirs.record_impressions([Impression("r", 0)], SECONDS) == Counts(new=1)
    assert tally_of(ours).groups["a"].items == 1.0
    assert tally_of(theirs).groups["a"].items == 0.0
    assert {key.partition(b"{ledger}")[0] for key in keys_of(store)} == {b"reranker:", b"shop:"}


def test_two_servers_share_one_ledger(valkey: Valkey, store: Store) -> None:
    other_store = Store(StoreAddress.parse(valkey.url))
    other_store.start(SECONDS)
    one, other = RedisLedger(store), RedisLedger(other_store)
    board = Board(clock=lambda: NOW)
    assert one.record([receipt("r")], SECONDS) == Counts(new=1)
    assert tally_of(other, board=board).requests == 1.0
    assert other.record([receipt("r"), receipt("s")], SECONDS) == Counts(new=1, repeated=1)
    assert other.record_impressions([Impression("r", 0)], SECONDS) == Counts(new=1)
    assert tally_of(one, board=board).groups["a"].items == 1.0
    other_store.close()


def test_everything_but_three_keys_expires_and_names_nobody(store: Store) -> None:
    ledger = RedisLedger(store)
    ledger.record([receipt("request-of-somebody")], SECONDS)
    ledger.record_impressions([Impression("another-of-somebody", 1)], SECONDS)
    lives = {key: store.call(command("PTTL", key), SECONDS) for key in keys_of(store)}
    forever = {key for key, life in lives.items() if life == -1}
    assert forever == {b"reranker:{ledger}:meta", b"reranker:{ledger}:changed"}
    assert all(life <= 34 * HOUR * 1_000 for life in lives.values())
    dumps = [store.call(command("DUMP", key), SECONDS) for key in lives]
    assert not any(b"of-somebody" in data for data in (*dumps, *lives))


def test_ids_are_forgotten_with_their_keys(store: Store) -> None:
    now = [NOW]
    ledger = RedisLedger(store, memory=HOUR, clock=lambda: now[0])
    ledger.record([receipt("r")], SECONDS)
    now[0] += HOUR
    assert ledger.record([receipt("r")], SECONDS) == Counts(repeated=1)
    now[0] += HOUR
    assert ledger.record_impressions([Impression("r", 0)], SECONDS) == Counts(unknown=1)


def test_a_flush_begins_a_new_ledger_for_everybody(valkey: Valkey, store: Store) -> None:
    ledger, board = RedisLedger(store), Board(clock=lambda: NOW)
    for number in range(3):
        ledger.record([receipt(str(number))], SECONDS)
    assert tally_of(ledger, board=board).requests == 3.0
    valkey.ask("FLUSHALL")
    for number in range(5):
        ledger.record([receipt(f"new {number}")], SECONDS)
    assert tally_of(ledger, board=board).requests == 5.0
    valkey.ask("FLUSHALL")
    board.refresh(ledger, SECONDS)
    assert board.tally(KEY, HOUR) is None


def test_sums_that_have_expired_leave_the_list_of_changes(store: Store) -> None:
    ledger = RedisLedger(store)
    for number in range(3):
        ledger.record([receipt(str(number), NOW - number * HOUR)], SECONDS)
    (oldest, *_) = store.call(command("ZRANGE", "reranker:{ledger}:changed", 0, 0), SECONDS)
    store.call(command("DEL", LINES.encode() + oldest), SECONDS)
    assert ledger.record_impressions([Impression("0", 0)], SECONDS) == Counts(new=1)  # taken back from nothing
    assert LINES.encode() + oldest not in keys_of(store)
    assert store.call(command("ZCARD", "reranker:{ledger}:changed"), SECONDS) == 2
    assert tally_of(ledger).requests == pytest.approx(0.75)


def test_very_much_is_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = RedisLedger(store)
    keys = [TallyKey(f"surface {number}", "inclusive", "", "tone") for number in range(50)]
    for number, key in enumerate(keys):
        ledger.record([receipt(str(number), key=key)], SECONDS)
    monkeypatch.setattr(redis, "_READ_AT_ONCE", 7)
    board = Board(clock=lambda: NOW)
    board.refresh(ledger, SECONDS)
    assert {stream.key for stream in board.streams} == set(keys)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("SET", "reranker:{ledger}:meta", "x"), "wrong_type"),
        (("SET", "reranker:{ledger}:changed", "x"), "wrong_type"),
    ],
)
def test_a_key_of_another_type_changes_nothing_and_is_told(store: Store, words: tuple[str, ...], reason: str) -> None:
    ledger = RedisLedger(store)
    store.call(command(words[0], *words[1:]), SECONDS)
    before = keys_of(store)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable) as caught:
            ledger.record([receipt("r")], SECONDS)
        assert caught.value.reason == reason
    assert {key for key in keys_of(store) - before if b":k:" not in key} == set()
    store.call(command("DEL", words[1]), SECONDS)
    assert ledger.record([receipt("r")], SECONDS) == Counts(new=1)
    assert tally_of(ledger).requests == 1.0


def test_sums_that_are_no_numbers_are_left_alone(store: Store) -> None:
    ledger = RedisLedger(store)
    ledger.record([receipt("r"), receipt("s", NOW - HOUR)], SECONDS)
    members = store.call(command("ZRANGE", "reranker:{ledger}:changed", 0, -1), SECONDS)
    line = LINES.encode() + max(members)
    whole = store.call(command("HGET", line, "ea"), SECONDS)
    store.call(command("HSET", line, "ea", whole + b"."), SECONDS)
    with pytest.raises(LedgerUnavailable):
        ledger.record([receipt("t")], SECONDS)
    board = Board(clock=lambda: NOW)
    assert board.refresh(ledger, SECONDS) == 1
    tally = board.tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 0.5
    store.call(command("HSET", line, "ea", whole), SECONDS)
    assert ledger.record([receipt("t")], SECONDS) == Counts(new=1)
    assert tally_of(ledger).requests == 2.5


@pytest.mark.parametrize(
    ("field", "text"),
    [("ea", "007"), ("ea", ""), ("ea", "9" * 19), ("ra", "nan"), ("ra", "inf"), ("ra", " 1"), ("ra", "1e308")],
)
def test_a_sum_that_cannot_be_added_to_loses_no_slate(store: Store, field: str, text: str) -> None:
    """What the server's own commands would refuse half-way is refused before anything is written."""
    ledger = RedisLedger(store)
    ledger.record([receipt("r")], SECONDS)
    (member,) = store.call(command("ZRANGE", "reranker:{ledger}:changed", 0, -1), SECONDS)
    whole = store.call(command("HGET", LINES.encode() + member, field), SECONDS)
    store.call(command("HSET", LINES.encode() + member, field, text), SECONDS)
    with pytest.raises(LedgerUnavailable):
        ledger.record([receipt("s")], SECONDS)
    store.call(command("HSET", LINES.encode() + member, field, whole), SECONDS)
    assert ledger.record([receipt("s")], SECONDS) == Counts(new=1)
    assert tally_of(ledger).requests == 2.0


def test_a_version_that_is_no_number_loses_no_slate(store: Store) -> None:
    ledger = RedisLedger(store)
    ledger.record([receipt("r")], SECONDS)
    store.call(command("HSET", "reranker:{ledger}:meta", "version", "x"), SECONDS)
    with pytest.raises(LedgerUnavailable):
        ledger.record([receipt("s")], SECONDS)
    store.call(command("HSET", "reranker:{ledger}:meta", "version", "1"), SECONDS)
    assert ledger.record([receipt("s")], SECONDS) == Counts(new=1)
    assert tally_of(ledger).requests == 2.0


def test_a_receipt_that_was_cut_off_is_left_alone(store: Store) -> None:
    ledger = RedisLedger(store)
    ledger.record([receipt("r")], SECONDS)
    (name,) = (key for key in keys_of(store) if b":r:" in key)
    state = store.call(command("GET", name), SECONDS)
    store.call(command("SET", name, state[:-4]), SECONDS)
    assert ledger.record_impressions([Impression("r", 0)], SECONDS) == Counts(unknown=1)
    assert tally_of(ledger).groups["a"].items == 1.0


def test_a_full_server_loses_nothing_that_was_acknowledged(valkey: Valkey, store: Store) -> None:
    ledger = RedisLedger(store)
    ledger.record([receipt("before")], SECONDS)
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.record([receipt("r")], SECONDS)
    assert caught.value.reason == "full"
    with pytest.raises(LedgerUnavailable):
        ledger.record_impressions([Impression("before", 0)], SECONDS)
    assert tally_of(ledger).requests == 1.0
    valkey.ask("CONFIG", "SET", "maxmemory", "0")
    assert ledger.record([receipt("r"), receipt("before")], SECONDS) == Counts(new=1, repeated=1)
    assert ledger.record_impressions([Impression("before", 0)], SECONDS) == Counts(new=1)
    assert tally_of(ledger).requests == 2.0


def test_a_server_that_was_away_or_stood_still_is_taken_up_again() -> None:
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        store = Store(StoreAddress.parse(server.url))
        store.start(SECONDS)
        ledger, board = RedisLedger(store), Board(clock=lambda: NOW)
        ledger.record([receipt("before")], SECONDS)
        board.refresh(ledger, SECONDS)
        server.pause()
        with pytest.raises(LedgerUnavailable):
            ledger.record([receipt("meanwhile")], 0.05)
        tally = board.tally(KEY, HOUR)
        assert tally is not None
        assert tally.requests == 1.0
        server.resume()
        until(lambda: ledger.record([receipt("meanwhile")], SECONDS))
        server.kill()
        with pytest.raises(LedgerUnavailable):
            ledger.record([receipt("gone")], SECONDS)
        server.start()
        until(lambda: ledger.record([receipt("gone"), receipt("meanwhile"), receipt("before")], SECONDS))
        assert tally_of(ledger, board=board).requests == 3.0
        store.close()


def test_a_cluster_has_all_of_it_on_one_node() -> None:
    with running_cluster() as servers:
        places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        url = servers[0].url.partition("@")[0].replace("redis://", "redis+cluster://")
        store = Store(StoreAddress.parse(f"{url}@{places}"))
        store.start(SECONDS)
        ledger = RedisLedger(store)
        until(lambda: ledger.record([receipt(str(number)) for number in range(100)], SECONDS))
        assert ledger.record_impressions([Impression("7", 0)], SECONDS) == Counts(new=1)
        tally = tally_of(ledger)
        assert (tally.requests, tally.groups["a"].items) == (100.0, 99.0)
        holders = [server for server in servers if b"reranker" in server.ask("KEYS", "reranker:*")]
        assert len(holders) == 1
        store.close()
