"""Who comes too late for any answer, who gets a faster one, and that no estimate shuts the service for good."""

from __future__ import annotations

from time import perf_counter

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from reranker.client import from_columns
from reranker.codec.limits import Limits
from reranker.errors import TooLittleTime
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.policy import Policy
from reranker.policy.snapshots import PolicyBook
from reranker.service.errors import Failure, failure_of
from reranker.service.patience import Patience
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import RerankerServicer
from reranker.service.timekeeper import Timekeeper
from reranker.service.wire import Call
from reranker.slate import Rung
from reranker.v1 import reranker_service_pb2 as messages
from tests.reference.told_paces import ToldPaces

STAGES = {"policy": 0.0, "plan": 1.0, "select": 2.0, "report": 3.0, "encode": 4.0}
SIZE = 5_000


def due(seconds: float) -> Call:
    now = perf_counter()
    return Call(now, now + seconds, size=SIZE)


def taught(total: float = 13.0) -> Timekeeper:
    keeper = Timekeeper()
    keeper.learn(due(1e3), messages.RerankRequest(), 100, STAGES, total)
    return keeper


def reason_of(keeper: Timekeeper, seconds: float) -> str:
    try:
        keeper.admit(due(seconds))
    except Failure as failure:
        return f"{failure.code.name} {failure.reason}"
    return ""


LATE = "RESOURCE_EXHAUSTED NO_TIME"


def test_nobody_is_turned_away_before_anything_is_known() -> None:
    assert reason_of(Timekeeper(), 1e-3) == ""


def test_what_no_answer_does_without_decides_before_the_message_is_read() -> None:
    keeper = taught()
    assert reason_of(keeper, 8.0) == LATE
    assert reason_of(keeper, 60.0) == ""
    assert not keeper.admit(Call(perf_counter(), size=SIZE)).against_the_odds, "without a deadline there is time"


def test_who_is_turned_away_hears_how_long_an_answer_takes() -> None:
    with pytest.raises(Failure, match="takes about") as raised:
        taught().admit(due(8.0))
    (retry,) = raised.value.details
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToNanoseconds() == 10_000_000_000  # all but plan and select: 13 - 3 s


def test_an_estimate_gone_wrong_is_put_right_by_a_try() -> None:
    keeper = taught()
    reasons = [reason_of(keeper, 8.0) for _ in range(7)]
    tried = keeper.admit(due(8.0))
    assert reasons == [LATE] * 7
    assert tried.against_the_odds
    keeper.learn(tried, messages.RerankRequest(), 100, STAGES, 3.001)
    assert [reason_of(keeper, 8.0) for _ in range(20)] == [""] * 20


def test_what_comes_after_the_slots_are_filled_is_kept_free() -> None:
    schedule = taught().schedule(due(60.0), messages.RerankRequest(), 100)
    assert schedule.reserve == 7.0
    assert schedule.left == pytest.approx(53.0, abs=5.0)
    assert taught().schedule(due(60.0), messages.RerankRequest(explain=True), 100).reserve == 0.0


def request() -> messages.RerankRequest:
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    columns = {"tone": ["a", "b", "c"] * 20}
    listed = from_columns(range(60), range(60), rows, attributes=columns)
    return messages.RerankRequest(candidates=listed, slate_size=6, policy_name="p")


POLICY = Policy.from_dict(
    {"name": "p", "objective": {"strategy": "dpp"}, "quotas": [{"attribute": "tone", "max_share": {"a": 0.5}}]}
)


@pytest.mark.parametrize("rung", list(Rung))
def test_an_answer_says_what_it_is_and_the_metrics_count_it(rung: Rung) -> None:
    metrics = Metrics()
    keeper = Timekeeper(paces=ToldPaces(rung, "dpp"))
    desk = PolicyDesk(PolicyBook([POLICY]), Limits())
    servicer = RerankerServicer(desk, Limits(), Observer(metrics), timekeeper=keeper)
    answer = servicer.rerank(request(), due(1e5))
    degraded = rung is not Rung.WHOLE
    assert (answer.degraded == messages.DEGRADED_REASON_DEADLINE) == degraded
    assert any(note.startswith("too little time") for note in answer.notes) == degraded
    assert len(set(answer.positions)) == 6

    def counted(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert counted("reranker_degraded_total", reason="deadline") == (1 if degraded else None)
    if degraded:
        assert counted("reranker_degraded_rungs_total", rung=rung.lower()) == 1


def test_where_nothing_is_degraded_who_has_too_little_time_is_refused() -> None:
    keeper = Timekeeper(degrades=False, paces=ToldPaces(Rung.UPSTREAM, "dpp"))
    servicer = RerankerServicer(
        PolicyDesk(PolicyBook([POLICY]), Limits()), Limits(), Observer(Metrics()), timekeeper=keeper
    )
    with pytest.raises(TooLittleTime) as raised:
        servicer.rerank(request(), due(1e5))
    failure = failure_of(raised.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_TIME")
    assert isinstance(failure.details[0], error_details_pb2.RetryInfo)


def test_patience_is_that_of_the_most_patient_lately() -> None:
    patience = Patience()
    assert patience.seconds == float("inf")
    patience.seen(0.05)
    patience.seen(0.2)
    patience.seen(0.01)
    assert 0.19 < patience.seconds < 0.2
    patience.seen(None)
    assert patience.seconds == 3_600.0
    for _ in range(2_000):
        patience.seen(0.05)
    assert patience.seconds == 0.05
