from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reranker.errors import BadLedger
from reranker.exposure.board import Board
from reranker.exposure.decay import BUCKETS
from reranker.exposure.ledger import Counts, Impression, LedgerUnavailable, Position
from reranker.exposure.receipt import Receipt, make_receipt
from reranker.exposure.sqlite import FILE, SqliteLedger
from reranker.exposure.states import bits_of
from reranker.exposure.stream import Stream, read_stream
from reranker.exposure.tally import Served, TallyKey

NOW = 1_800_000_000.0
HOUR = 3_600.0
KEY = TallyKey("search", "inclusive", "b", "tone", (("intent", "beauty"),))
SECONDS = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def receipt(request_id: str, time: float = NOW, key: TallyKey = KEY, half_life: float = HOUR) -> Receipt:
    """Three slots: a, nobody, a and b."""
    values = (("a",), (), ("a", "b"))
    served = Served(key, half_life, 0, values, (3.0, 2.0, 1.0), {"a": 0.5, "c": 0.25}, {"a": 0.125})
    return make_receipt(request_id, time, [served])


def board_of(ledger: SqliteLedger, now: float = NOW) -> Board:
    board = Board(clock=lambda: now)
    board.refresh(ledger, SECONDS)
    return board


def test_one_slate_by_hand(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("r")], SECONDS)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert (tally.time, tally.requests) == (NOW, 1.0)
    a, b, c = (tally.groups[value] for value in "abc")
    assert a.exposure == pytest.approx(1.5, abs=2e-6)
    assert (a.relevance, a.items, a.price) == (4.0, 2.0, 0.125)
    assert (b.exposure, b.relevance, b.items, b.price) == (0.5, 1.0, 1.0, 0.0)
    assert a.target == pytest.approx(1.0, abs=2e-6)  # half of what a and b got
    assert c.target == pytest.approx(0.5, abs=2e-6)
    assert (b.target, c.exposure) == (0.0, 0.0)


def test_what_was_not_seen_is_taken_back_and_the_request_stays(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("partly"), receipt("never")], SECONDS)
    reports = [Impression("partly", bits_of([1, 2])), Impression("never", 0)]
    assert ledger.record_impressions(reports, SECONDS) == Counts(new=2)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 2.0
    assert (tally.groups["a"].exposure, tally.groups["a"].items, tally.groups["a"].price) == (1.0, 1.0, 0.25)
    assert tally.groups["a"].target == 0.5
    assert (tally.groups["b"].exposure, tally.groups["b"].items) == (0.0, 0.0)


def test_impressions_that_come_first_are_kept_for_the_slate(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    early = [Impression("r", bits_of([3]))]
    assert ledger.record_impressions(early, SECONDS) == Counts(unknown=1)
    assert ledger.record_impressions([Impression("r", bits_of([1]))], SECONDS) == Counts(unknown=1)
    assert ledger.record([receipt("r")], SECONDS) == Counts(new=1)
    assert ledger.record_impressions(early, SECONDS) == Counts(repeated=1)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert (tally.groups["a"].exposure, tally.groups["b"].exposure) == (0.5, 0.5)


def test_a_request_without_an_id_counts_each_time_and_leaves_nothing_to_report(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    assert ledger.record([receipt(""), receipt("")], SECONDS) == Counts(new=2)
    assert ledger.record_impressions([Impression("", 0)], SECONDS) == Counts(unknown=1)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 2.0


def test_a_slate_without_an_id_that_is_written_again_counts_once(tmp_path: Path) -> None:
    """A write of which the end was never heard is made again."""
    ledger, one = SqliteLedger(tmp_path), receipt("")
    assert ledger.record([one], SECONDS) == Counts(new=1)
    assert ledger.record([one], SECONDS) == Counts(repeated=1)


def test_it_goes_on_where_another_process_left_it(tmp_path: Path) -> None:
    first, second = SqliteLedger(tmp_path), SqliteLedger(tmp_path)
    first.record([receipt("r")], SECONDS)
    assert second.record([receipt("r")], SECONDS) == Counts(repeated=1)
    first.close()
    third = SqliteLedger(tmp_path)
    assert third.record_impressions([Impression("r", 0)], SECONDS) == Counts(new=1)
    assert second.record_impressions([Impression("r", 0)], SECONDS) == Counts(repeated=1)


def test_no_request_id_rests_in_the_file(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("request-of-somebody")], SECONDS)
    ledger.record_impressions([Impression("another-of-somebody", 1)], SECONDS)
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"inclusive" in stored
    assert b"of-somebody" not in stored


def test_ids_are_forgotten_with_the_keys_that_hashed_them(tmp_path: Path) -> None:
    clock = Clock()
    ledger = SqliteLedger(tmp_path, memory=HOUR, clock=clock)
    ledger.record([receipt("r")], SECONDS)
    clock.now += HOUR
    assert ledger.record([receipt("r")], SECONDS) == Counts(repeated=1)
    clock.now += HOUR
    assert ledger.record_impressions([Impression("r", 0)], SECONDS) == Counts(unknown=1)
    with sqlite3.connect(tmp_path / FILE) as connection:
        periods = [period for (period,) in connection.execute("select period from periods order by period")]
        names = connection.execute("select count(*) from requests").fetchone()
    assert periods == [NOW // HOUR + 1, NOW // HOUR + 2]
    assert names == (1,)  # the report that found nothing


def test_a_clock_that_jumps_back_changes_no_sum(tmp_path: Path) -> None:
    clock = Clock()
    ledger = SqliteLedger(tmp_path, memory=HOUR, clock=clock)
    ledger.record([receipt("one", NOW)], SECONDS)
    clock.now -= 100 * HOUR
    ledger.record([receipt("two", clock.now)], SECONDS)
    clock.now = NOW
    assert ledger.record_impressions([Impression("two", 0)], SECONDS) == Counts(unknown=1)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == pytest.approx(1.0)


def test_a_clock_that_runs_ahead_adds_nothing_to_today(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("today"), receipt("next year", NOW + 8_000 * HOUR)], SECONDS)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 1.0


def test_the_oldest_buckets_make_room(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    board = Board(clock=lambda: NOW)
    for age in range(BUCKETS + 20, -1, -1):
        ledger.record([receipt(str(age), NOW - age * HOUR)], SECONDS)
        board.refresh(ledger, SECONDS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("select count(distinct bucket) from sums").fetchone() == (BUCKETS,)
    tally = board.tally(KEY, HOUR)
    assert tally is not None
    assert tally == board_of(ledger).tally(KEY, HOUR)
    assert tally.requests == pytest.approx(2.0)


@pytest.mark.parametrize("other", [HOUR / 2, 24 * HOUR])
def test_another_half_life_is_another_stream(tmp_path: Path, other: float) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("old", NOW - HOUR), receipt("older", NOW - 2 * HOUR)], SECONDS)
    ledger.record([receipt("new", NOW, half_life=other)], SECONDS)
    board = board_of(ledger)
    before, after = board.tally(KEY, HOUR), board.tally(KEY, other)
    assert before is not None
    assert after is not None
    assert (before.requests, after.requests) == pytest.approx((0.75, 1.0))


def test_readers_get_what_has_changed_and_nothing_else(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    first = ledger.changes(Position(), SECONDS)
    assert first.is_all
    assert {found.value for found in first.sums} == {"", "a", "b", "c"}
    assert not ledger.changes(first.position, SECONDS).sums
    other = TallyKey("home", "inclusive", "", "tone")
    ledger.record([receipt("two", key=other)], SECONDS)
    second = ledger.changes(first.position, SECONDS)
    assert not second.is_all
    assert {found.stream.key for found in second.sums} == {other}


def test_a_file_that_was_deleted_is_begun_anew(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    board = board_of(ledger)
    for path in tmp_path.iterdir():
        path.unlink()
    ledger.record([receipt("two"), receipt("three")], SECONDS)
    board.refresh(ledger, SECONDS)
    tally = board.tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 2.0
    assert (tmp_path / FILE).is_file()


def test_a_folder_that_is_gone_is_a_failure_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    ledger = SqliteLedger(folder)
    folder.rename(tmp_path / "away")
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.record([receipt("one")], SECONDS)
    assert caught.value.reason == "unwritable"
    (tmp_path / "away").rename(folder)
    assert ledger.record([receipt("one")], SECONDS) == Counts(new=1)


def test_a_writer_that_takes_long_is_not_waited_for(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.record([receipt("one")], 0.01)
    assert caught.value.reason == "busy"
    other.execute("rollback")
    assert ledger.record([receipt("one")], SECONDS) == Counts(new=1)
    other.close()


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    ledger._connection.execute("pragma max_page_count = 1")  # what a full disk looks like to SQLite
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.record([receipt(f"more {number}") for number in range(500)], SECONDS)
    assert caught.value.reason == "full"
    ledger._connection.execute("pragma max_page_count = 1000000")
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 1.0
    assert ledger.record([receipt("more 1"), receipt("one")], SECONDS) == Counts(new=1, repeated=1)


def test_a_receipt_that_was_damaged_is_left_alone(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("update requests set state = substr(state, 1, length(state) - 9)")
    assert ledger.record_impressions([Impression("one", 0)], SECONDS) == Counts(unknown=1)
    assert ledger.record_impressions([Impression("one", 0)], SECONDS) == Counts(repeated=1)
    tally = board_of(ledger).tally(KEY, HOUR)
    assert tally is not None
    assert tally.groups["a"].items == 2.0


def test_words_that_were_damaged_are_left_out_and_counted(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    other = TallyKey("home", "inclusive", "", "tone")
    ledger.record([receipt("one"), receipt("two", key=other)], SECONDS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("update streams set words = '[]' where words like '%search%'")
    board = Board(clock=lambda: NOW)
    assert board.refresh(ledger, SECONDS) == 4
    assert {stream.key for stream in board.streams} == {other}


@pytest.mark.parametrize("lie", ["exposure = 'abc'", "exposure = 1.5", "relevance = 'x'", "bucket = 'x'"])
def test_a_sum_that_is_no_number_is_left_out_and_counted(tmp_path: Path, lie: str) -> None:
    ledger, board = SqliteLedger(tmp_path), Board(clock=lambda: NOW)
    ledger.record([receipt("one")], SECONDS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"update sums set {lie} where value = 'a'")
    assert board.refresh(ledger, SECONDS) == 1
    tally = board.tally(KEY, HOUR)
    assert tally is not None
    assert (tally.requests, set(tally.groups)) == (1.0, {"b", "c"})


def test_a_ledger_without_its_own_line_is_unavailable(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("delete from ledger")
    for call in (lambda: ledger.record([receipt("one")], SECONDS), lambda: ledger.changes(Position(), SECONDS)):
        with pytest.raises(LedgerUnavailable) as caught:
            call()
        assert caught.value.reason == "damaged"


def test_a_secret_that_is_damaged_is_replaced_and_its_requests_are_forgotten(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("update periods set secret = 'x'")
    assert ledger.record_impressions([Impression("one", 0)], SECONDS) == Counts(unknown=1)
    assert ledger.record([receipt("two")], SECONDS) == Counts(new=1)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.record([receipt("one")], SECONDS)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_ledger_that_was_closed_is_unavailable_each_time(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.close()
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            ledger.record([receipt("one")], 1.0)


def test_many_threads_write_and_read_at_once(tmp_path: Path) -> None:
    ledger, board = SqliteLedger(tmp_path), Board(clock=lambda: NOW)

    def work(name: int) -> None:
        for number in range(20):
            ledger.record([receipt(f"{name} {number}"), receipt(f"shared {number}")], SECONDS)
            board.tally(KEY, HOUR)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        board.refresh(ledger, SECONDS)
        board.tally(KEY, HOUR)
    board.refresh(ledger, SECONDS)
    tally = board.tally(KEY, HOUR)
    assert tally is not None
    assert tally.requests == 100.0


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\0"])
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BadLedger, match=FILE):
        SqliteLedger(tmp_path)


def test_a_ledger_of_a_later_release_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(BadLedger, match="format 99"):
        SqliteLedger(tmp_path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLedger, match="cannot be used: No such file"):
        SqliteLedger(tmp_path / "nowhere")


def test_streams_are_words_that_can_be_read_again() -> None:
    stream = Stream(TallyKey("ü", "p", "", "tone", (("intent", 'a"b'),)), 60.0)
    assert read_stream(stream.text) == stream
    assert len(stream.digest) == 8
    with pytest.raises(ValueError, match="stream"):
        read_stream('["too", "short"]')


def test_many_who_open_a_new_one_at_the_same_moment_all_do(tmp_path: Path) -> None:
    for number in range(40):
        folder, together = tmp_path / str(number), threading.Barrier(6)
        folder.mkdir()

        def open_it(folder: Path = folder, together: threading.Barrier = together) -> None:
            together.wait(60)
            SqliteLedger(folder).close()

        with ThreadPoolExecutor(6) as threads:
            for opened in [threads.submit(open_it) for _ in range(6)]:
                opened.result(60)
