from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from reranker.codec.limits import Limits
from reranker.errors import InvalidInput
from reranker.exposure.board import Board
from reranker.exposure.ledger import Counts, Impression, LedgerUnavailable
from reranker.exposure.receipt import Receipt
from reranker.exposure.sqlite import SqliteLedger
from reranker.exposure.tally import Served, TallyKey
from reranker.observability.metrics import Metrics
from reranker.service import exposure
from reranker.service.after import Answered
from reranker.service.errors import Failure, status_of
from reranker.service.exposure import ExposureServicer, LedgerFeed
from reranker.service.wire import Call
from reranker.v1 import exposure_service_pb2 as messages
from reranker.v1 import policy_pb2, reranker_service_pb2

KEY = TallyKey("search", "inclusive", "", "tone")
NOW = 1_800_000_000.0
SECONDS = 60.0


class Moody:
    """A ledger that can be told to be away."""

    def __init__(self, folder: Path) -> None:
        self.inner = SqliteLedger(folder)
        self.error: Exception | None = None
        self.lets_pass = 10**9

    def _check(self) -> None:
        self.lets_pass -= 1
        if self.error is not None and self.lets_pass < 0:
            raise self.error

    def record(self, receipts: Sequence[Receipt], seconds: float) -> Counts:
        self._check()
        return self.inner.record(receipts, seconds)

    def record_impressions(self, impressions: Sequence[Impression], seconds: float) -> Counts:
        self._check()
        return self.inner.record_impressions(impressions, seconds)

    def changes(self, *arguments: Any) -> Any:
        return self.inner.changes(*arguments)

    def close(self) -> None:
        self.inner.close()


def answered(request_id: str, key: TallyKey = KEY, *, inline: bool = False, steers: bool = True) -> Answered:
    request = reranker_service_pb2.RerankRequest(request_id=request_id)
    if inline:
        request.inline_policy.CopyFrom(policy_pb2.Policy(name="inclusive"))
    served = Served(key, 3_600.0, 0, (("a",), ("b",)), (1.0, 1.0), {}, {})
    trace: Any = SimpleNamespace(refined=False, exposure=(served,) if steers else ())
    nothing: Any = None
    return Answered(NOW, request, nothing, nothing, trace, nothing, nothing, nothing)


def slates(metrics: Metrics, result: str) -> float | None:
    return metrics.registry.get_sample_value("reranker_exposure_slates_total", {"result": result})


def requests_in(ledger: Moody, key: TallyKey = KEY) -> float:
    board = Board(clock=lambda: NOW)
    board.refresh(ledger, SECONDS)
    tally = board.tally(key, 3_600.0)
    return 0.0 if tally is None else tally.requests


def test_the_feed_wants_slates_of_our_own_policies_that_steer(tmp_path: Path) -> None:
    feed = LedgerFeed(Moody(tmp_path), Board(), Metrics())
    assert feed.wants(answered("r"))
    assert not feed.wants(answered("r", inline=True))
    assert not feed.wants(answered("r", steers=False))


def test_slates_wait_while_the_ledger_is_away_and_are_counted_once(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    feed = LedgerFeed(ledger, Board(), metrics)
    ledger.error, ledger.lets_pass = LedgerUnavailable("busy"), 1
    feed.take([answered(str(number)) for number in range(300)])  # the first batch passes
    assert metrics.registry.get_sample_value("reranker_exposure_spool") == 300 - 256
    labels = {"operation": "slates", "reason": "busy"}
    assert metrics.registry.get_sample_value("reranker_exposure_failures_total", labels) == 1
    ledger.error = None
    feed.take([answered("0"), answered("more")])
    feed.flush()
    assert requests_in(ledger) == 301
    assert (slates(metrics, "new"), slates(metrics, "repeated")) == (301, 1)
    assert metrics.registry.get_sample_value("reranker_exposure_spool") == 0


def test_answers_wait_once_and_not_one_after_another_for_a_ledger_that_is_away(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    feed = LedgerFeed(ledger, Board(), metrics)
    ledger.error, ledger.lets_pass = LedgerUnavailable("busy"), 0
    for number in range(5):
        feed.take([answered(f"{number} while it is away")])
    labels = {"operation": "slates", "reason": "busy"}
    assert metrics.registry.get_sample_value("reranker_exposure_failures_total", labels) == 1
    assert metrics.registry.get_sample_value("reranker_exposure_spool") == 5
    ledger.error = None
    assert feed.flush()
    feed.take([answered("afterwards")])
    assert requests_in(ledger) == 6


def test_a_full_spool_loses_the_newest_and_counts_them(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    feed = LedgerFeed(ledger, Board(), metrics, spool=10)
    ledger.error, ledger.lets_pass = LedgerUnavailable("full"), 0
    feed.take([answered(str(number)) for number in range(15)])
    assert slates(metrics, "spool_full") == 5
    ledger.error = None
    feed.close()
    assert requests_in(ledger) == 10


def test_what_waits_when_the_server_stops_is_counted(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    feed = LedgerFeed(ledger, Board(), metrics)
    ledger.error, ledger.lets_pass = LedgerUnavailable("unreadable"), 0
    feed.take([answered("r")])
    feed.close()
    assert slates(metrics, "shutdown") == 1


def test_receipts_that_cannot_be_written_at_all_do_not_hold_up_others(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    feed = LedgerFeed(ledger, Board(), metrics)
    ledger.error, ledger.lets_pass = RuntimeError("a mistake of ours"), 0
    with pytest.raises(RuntimeError):
        feed.take([answered("r")])
    ledger.error = None
    feed.take([answered("s")])
    assert (slates(metrics, "failed"), requests_in(ledger)) == (1, 1)


def test_new_streams_are_left_out_when_there_are_very_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "STREAMS", 1)
    metrics, ledger, board = Metrics(), Moody(tmp_path), Board(clock=lambda: NOW)
    feed = LedgerFeed(ledger, board, metrics)
    feed.take([answered("one")])
    board.refresh(ledger, SECONDS)
    other = TallyKey("made up by a caller", "inclusive", "", "tone")
    feed.take([answered("two"), answered("three", other)])
    assert (requests_in(ledger), requests_in(ledger, other)) == (2, 0)
    assert slates(metrics, "streams") == 1


def impressions(*seen: tuple[str, Sequence[int]]) -> messages.RecordImpressionsRequest:
    request = messages.RecordImpressionsRequest()
    for request_id, slots in seen:
        request.impressions.add(request_id=request_id, seen_slots=slots)
    return request


def test_impressions_are_reconciled_and_counted(tmp_path: Path) -> None:
    metrics, ledger = Metrics(), Moody(tmp_path)
    LedgerFeed(ledger, Board(), metrics).take([answered("r"), answered("s")])
    servicer = ExposureServicer(ledger, Limits(), metrics)
    response = servicer.record_impressions(impressions(("r", [1, 1]), ("s", []), ("r", [2]), ("t", [1])), Call(0.0))
    assert (response.recorded, response.repeated_ids, response.unknown_ids) == (2, 1, 1)
    board = Board(clock=lambda: NOW)
    board.refresh(ledger, SECONDS)
    tally = board.tally(KEY, 3_600.0)
    assert tally is not None
    assert (tally.groups["a"].exposure, tally.groups["b"].exposure) == (1.0, 0.0)
    for result, count in (("new", 2), ("repeated", 1), ("unknown", 1)):
        found = metrics.registry.get_sample_value("reranker_exposure_impressions_total", {"result": result})
        assert found == count


def test_an_empty_report_needs_no_ledger(tmp_path: Path) -> None:
    ledger = Moody(tmp_path)
    ledger.error, ledger.lets_pass = LedgerUnavailable("busy"), 0
    response = ExposureServicer(ledger, Limits(), Metrics()).record_impressions(impressions(), Call(0.0))
    assert response == messages.RecordImpressionsResponse()


def test_a_ledger_that_cannot_be_written_is_unavailable_and_says_when_to_try_again(tmp_path: Path) -> None:
    ledger = Moody(tmp_path)
    ledger.error, ledger.lets_pass = LedgerUnavailable("full"), 0
    with pytest.raises(Failure) as caught:
        ExposureServicer(ledger, Limits(), Metrics()).record_impressions(impressions(("r", [1])), Call(0.0))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    details = status_of(caught.value).details
    (retry,) = [detail for detail in details if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)]
    info = error_details_pb2.RetryInfo()
    retry.Unpack(info)
    assert info.retry_delay.seconds == 1


def test_a_call_waits_no_longer_than_its_deadline(tmp_path: Path) -> None:
    waits: list[float] = []

    class Waiting(Moody):
        def record_impressions(self, impressions: Sequence[Impression], seconds: float) -> Counts:
            waits.append(seconds)
            return super().record_impressions(impressions, seconds)

    servicer = ExposureServicer(Waiting(tmp_path), Limits(), Metrics())
    now = perf_counter()
    servicer.record_impressions(impressions(("r", [1])), Call(now, now + 2.0))
    servicer.record_impressions(impressions(("r", [1])), Call(now))
    assert waits[0] <= 2.0 < waits[1] == 5.0


def test_every_mistake_is_named(tmp_path: Path) -> None:
    limits = Limits(slate_size=10, text_length=8)
    request = impressions(("", [1]), ("r", [0]), ("s", [11]), ("t", range(1, 12)), ("much too long", []))
    with pytest.raises(InvalidInput) as caught:
        ExposureServicer(Moody(tmp_path), limits, Metrics()).record_impressions(request, Call(0.0))
    assert [violation.path for violation in caught.value.violations] == [
        "impressions[0].request_id",
        "impressions[1].seen_slots",
        "impressions[2].seen_slots",
        "impressions[3].seen_slots",
        "impressions[4].request_id",
    ]
    assert "much too long" not in str(caught.value)


def test_too_many_reports_are_refused_as_a_whole(tmp_path: Path) -> None:
    request = impressions(*((str(number), [1]) for number in range(4)))
    with pytest.raises(InvalidInput, match="at most 3, is 4"):
        ExposureServicer(Moody(tmp_path), Limits(impressions=3), Metrics()).record_impressions(request, Call(0.0))
