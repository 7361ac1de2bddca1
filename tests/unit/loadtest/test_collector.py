"""From records to figures, on schedules whose answers are known by arithmetic."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace

import grpc
import numpy as np
import pytest

from loadtest.generator.records import NOT_SENT, OK, STAGES, Order, Usage
from loadtest.results.collector import Collector
from loadtest.results.latencies import Latencies
from loadtest.results.outcome import Second
from loadtest.results.saturation import reasons
from tests.unit.loadtest.figures import ECHO, MS, SECOND, SERVER, order_of, outcome, records

HUNDRED_A_SECOND = np.arange(1000, dtype=np.int64) * (SECOND // 100)
UNAVAILABLE = int(grpc.StatusCode.UNAVAILABLE.value[0])
DEADLINE_EXCEEDED = int(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])


def test_a_server_that_stands_still_for_a_second_is_seen_by_all_who_asked_meanwhile() -> None:
    """Of 1,000 requests in 10 s, those due in [4 s, 5 s) wait for its end: 100 of them, evenly from 1 s to 0."""
    due = HUNDRED_A_SECOND
    stalled = (due >= 4 * SECOND) & (due < 5 * SECOND)
    latency = np.where(stalled, (5 * SECOND - due) / MS, 2.0)
    found = outcome(records(due, latency), 10, deadline=5)
    # A tenth of all requests waited, so 5 % waited more than half of the second and 1 % more than nine tenths.
    assert found.latency.percentile(50) == pytest.approx(2, rel=2e-3)
    assert found.latency.percentile(90) == pytest.approx(2, rel=2e-3)
    assert found.latency.percentile(95) == pytest.approx(500, rel=2e-3)
    assert found.latency.percentile(99) == pytest.approx(900, rel=2e-3)
    assert found.latency.longest == pytest.approx(1000, rel=2e-3)
    of_the_second = found.series[4]
    assert (of_the_second.due, of_the_second.answered) == (100, 100)
    assert of_the_second.p50 == pytest.approx(500, rel=2e-3)
    assert found.series[5].p99 == pytest.approx(2, rel=2e-3)


def test_latency_counts_from_when_a_request_was_due_not_from_when_it_left() -> None:
    found = outcome(records(HUNDRED_A_SECOND, 30.0, late_ms=20.0), 10)
    assert found.latency.percentile(50) == pytest.approx(30, rel=2e-3)
    assert found.service.percentile(50) == pytest.approx(10, rel=2e-3)
    assert found.late.percentile(50) == pytest.approx(20, rel=2e-3)


def test_the_warm_up_is_in_the_series_and_in_nothing_else() -> None:
    latency = np.where(HUNDRED_A_SECOND < 3 * SECOND, 500.0, 1.0)
    found = outcome(records(HUNDRED_A_SECOND, latency), 7, warm_up=3)
    assert found.counts.due == found.latency.count == 700
    assert found.latency.longest == pytest.approx(1, rel=2e-3)
    assert found.offered == 100
    assert [second.warm_up for second in found.series] == [True] * 3 + [False] * 7
    assert found.series[0].p50 == pytest.approx(500, rel=2e-3)


def test_errors_degraded_answers_and_deadline_misses_are_counted() -> None:
    codes = np.zeros(1000, np.uint8)
    codes[:10], codes[10:15], codes[15:18] = UNAVAILABLE, DEADLINE_EXCEEDED, NOT_SENT
    degraded = np.arange(1000) >= 996
    latency = np.where(np.arange(1000) < 994, 1.0, 1500.0)  # six answers come after the deadline of a second
    found = outcome(records(HUNDRED_A_SECOND, latency, codes=codes.tolist(), degraded=degraded.tolist()), 10)
    assert found.counts.codes == {"OK": 982, "UNAVAILABLE": 10, "DEADLINE_EXCEEDED": 5, "NOT_SENT": 3}
    assert (found.counts.errors, found.counts.degraded, found.counts.deadline_misses) == (18, 4, 11)
    assert found.latency.percentile(98.2) == pytest.approx(1500, rel=2e-3)
    assert found.latency.percentile(98.3) == math.inf
    assert found.series[0].errors == 18
    assert "3 requests never left" in " ".join(found.saturated)


def test_requests_of_which_nothing_is_ever_heard_are_errors_too() -> None:
    made = records(HUNDRED_A_SECOND, 1.0)
    whole = outcome(made, 10)
    assert whole.counts.errors == 0
    collected = outcome(np.concatenate([made[:-5], records(made["due"][-5:], 1.0, codes=UNAVAILABLE)]), 10)
    assert collected.counts.errors == collected.latency.unanswered == 5


def test_groups_have_percentiles_of_their_own() -> None:
    latency = np.where(np.arange(1000) % 2 == 0, 1.0, 9.0)
    codes = np.where(np.arange(1000) == 1, UNAVAILABLE, OK)
    found = outcome(records(HUNDRED_A_SECOND, latency, codes=codes.tolist()), 10)
    assert found.groups["even"].longest == pytest.approx(1, rel=2e-3)
    assert found.groups["odd"].percentile(50) == pytest.approx(9, rel=2e-3)
    assert (found.groups["even"].unanswered, found.groups["odd"].unanswered) == (0, 1)


def test_stages_are_summed_up_for_a_server_and_not_for_an_echo_of_its_answers() -> None:
    made = records(HUNDRED_A_SECOND, 1.0, stages=range(1, 1 + len(STAGES)))
    stages = outcome(made, 10).stages
    assert stages is not None
    assert stages.tolist() == [[number] * 3 for number in range(1, 1 + len(STAGES))]
    assert outcome(made, 10, target=ECHO).stages is None


def test_every_second_is_told_once_and_in_order() -> None:
    told: list[Second] = []
    outcome(records(HUNDRED_A_SECOND, 1.0), 10, told=told)
    assert [second.second for second in told] == list(range(10))
    assert all(second.due == 100 for second in told)


def test_a_generator_that_keeps_its_schedule_is_not_saturated() -> None:
    assert outcome(records(HUNDRED_A_SECOND, 5.0, late_ms=0.3), 10, cpu=0.5).saturated == ()


def latencies(milliseconds: float) -> Latencies:
    made = Latencies()
    made.add(np.full(100, round(milliseconds * MS)))
    return made


@pytest.mark.parametrize(
    ("late", "latency", "cpu", "not_sent", "says"),
    [
        (0.1, 1, 0.5, 0, []),
        (4.9, 5, 0.5, 0, []),  # a busy machine's scheduler
        (20, 100, 0.5, 0, []),  # no more than a quarter of what is reported
        (30, 100, 0.5, 0, ["left 30.0 ms late or more, the limit is 25.0 ms"]),
        (0.1, 1, 0.95, 0, ["took 95% of a core"]),
        (6, 7, 0.9, 2, ["took 90% of a core", "left 6.0 ms late", "2 requests never left"]),
    ],
)
def test_why_a_generator_is_not_believed(
    late: float, latency: float, cpu: float, not_sent: int, says: list[str]
) -> None:
    found = reasons(latencies(late), latencies(latency), [Usage(0.2, 1.0), Usage(cpu, 1.0)], not_sent, 1.0)
    assert len(found) == len(says)
    for reason, text in zip(found, says, strict=True):
        assert text in reason


def test_answers_that_never_come_do_not_excuse_requests_that_leave_late() -> None:
    unanswered = latencies(1)
    unanswered.add_unanswered(100)
    assert len(reasons(latencies(26), unanswered, [], 0, deadline=0.1)) == 1
    # A quarter of the deadline, which each of them took at least: a server that is gone saturates no generator.
    assert reasons(latencies(24), unanswered, [], 0, deadline=0.1) == ()


def collector(order: Order, seconds: float, server: int | None = None) -> Collector:
    return Collector(order, ("even", "odd"), np.array([0, 1], np.uint8), seconds, server, lambda *_: None)


def test_each_second_is_in_the_series_once_however_far_a_client_is_behind() -> None:
    """One of two clients stands still: its half of the second second comes 20 s late."""
    made = records(HUNDRED_A_SECOND[:300], 1.0)
    behind = (made["due"] >= SECOND) & (made["due"] < 2 * SECOND) & (np.arange(300) % 2 == 0)
    of = collector(order_of(HUNDRED_A_SECOND[:300]), 3)
    of.add(made[~behind])
    for tick in range(20):
        of.tick(float(tick))
    of.add(made[behind])
    of.tick(21.0)
    found = of.outcome(SERVER, 100.0, 22.0, [])
    assert [(second.second, second.due, second.answered) for second in found.series] == [
        (0, 100, 100), (1, 100, 100), (2, 100, 100)
    ]  # fmt: skip


def test_seconds_in_which_nothing_was_due_are_in_the_series() -> None:
    due = np.concatenate([HUNDRED_A_SECOND[:100], HUNDRED_A_SECOND[300:400]])
    found = outcome(records(due, 1.0), 6)
    assert [(second.second, second.due) for second in found.series] == [
        (0, 100), (1, 0), (2, 0), (3, 100), (4, 0), (5, 0)
    ]  # fmt: skip
    assert math.isnan(found.series[1].p50)


def test_requests_that_no_client_tells_of_are_errors_of_their_second() -> None:
    of = collector(order_of(HUNDRED_A_SECOND[:200]), 2)
    of.add(records(HUNDRED_A_SECOND[:150], 1.0))
    found = of.outcome(SERVER, 100.0, 2.0, [])
    assert [second.errors for second in found.series] == [0, 50]


def test_percentiles_that_rest_on_too_few_are_not_numbers() -> None:
    due = np.arange(50, dtype=np.int64) * (SECOND // 50)
    found = outcome(records(due, 1.0, stages=range(1, 1 + len(STAGES))), 1)
    (second,) = found.series
    assert second.p50 == pytest.approx(1, rel=2e-3)
    assert math.isnan(second.p99)
    assert math.isnan(second.late_p99)
    assert found.stages is not None
    assert np.isnan(found.stages[:, 2]).all()


def test_cpu_is_for_each_answer_and_unknown_below_ten_ticks() -> None:
    found = outcome(records(HUNDRED_A_SECOND, 1.0, codes=np.where(np.arange(1000) < 600, 14, 0).tolist()), 10)
    assert 300 < found.machine.answered <= 400
    for cpu, microseconds in ((0.4, pytest.approx(1000)), (0.09, None), (None, None)):
        machine = replace(found.machine, server_cpu=cpu, answered=400)
        assert replace(found, machine=machine).server_us == microseconds


def test_thirds_hold_every_measured_request_once() -> None:
    codes = np.where(np.arange(1000) >= 990, UNAVAILABLE, OK)
    found = outcome(records(HUNDRED_A_SECOND, np.arange(1000.0), codes=codes.tolist()), 9, warm_up=1)
    assert [third.count for third in found.thirds] == [300, 300, 300]
    assert [third.unanswered for third in found.thirds] == [0, 0, 10]
    assert found.thirds[1].longest == pytest.approx(699, rel=2e-3)


def test_a_server_whose_process_has_ended_is_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        of = collector(order_of(HUNDRED_A_SECOND), 10, process.pid)
        of.add(records(HUNDRED_A_SECOND, 1.0))
        assert of.outcome(SERVER, 100.0, 10.0, []).machine.server_gone
    of = collector(order_of(HUNDRED_A_SECOND), 10, os.getpid())
    assert not of.outcome(SERVER, 100.0, 10.0, []).machine.server_gone
