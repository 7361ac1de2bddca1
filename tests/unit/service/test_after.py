from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from reranker.candidates import Candidates
from reranker.observability.metrics import Metrics
from reranker.service import after as lanes
from reranker.service.after import AfterAnswer, Answered
from reranker.v1 import reranker_service_pb2 as messages
from tests.waiting import wait_for

PATIENCE = 60.0  # seconds, on a machine that has other things to do


class Recorder:
    """A consumer that notes what it takes, and can be held up."""

    def __init__(self, name: str, wanted: Callable[[Answered], bool] = lambda _: True) -> None:
        self.name = name
        self.wanted = wanted
        self.taken: list[str] = []
        self.batches: list[int] = []
        self.is_closed = False
        self.begun, self.may_go_on, self.rested = threading.Event(), threading.Event(), threading.Event()
        self.may_go_on.set()

    def wants(self, answered: Answered) -> bool:
        return self.wanted(answered)

    def take(self, batch: Sequence[Answered]) -> None:
        self.begun.set()
        assert self.may_go_on.wait(PATIENCE)
        self.taken += [answered.request.request_id for answered in batch]
        self.batches.append(len(batch))

    def rest(self) -> None:
        self.rested.set()

    def close(self) -> None:
        self.is_closed = True


class Failing(Recorder):
    def take(self, batch: Sequence[Answered]) -> None:
        super().take(batch)
        raise OSError("the disk is full")


def answered(request_id: str, *, refined: bool = False, items: int = 1, dimension: int = 1) -> Answered:
    candidates = Candidates([str(i) for i in range(items)], np.ones(items), np.ones((items, dimension), np.float32))
    request = messages.RerankRequest(request_id=request_id)
    trace: Any = SimpleNamespace(refined=refined)
    nothing: Any = None
    return Answered(0.0, request, messages.RerankResponse(arm="b"), nothing, trace, nothing, candidates, nothing)


def count(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"reranker_after_answer_{name}", labels)


def test_every_consumer_gets_every_answer_that_it_wants_in_order() -> None:
    metrics = Metrics()
    everything, odd = Recorder("everything"), Recorder("odd", lambda one: int(one.request.request_id) % 2 == 1)
    after = AfterAnswer(metrics, [everything, odd])
    after.start()
    for number in range(1_000):
        after.offer(answered(str(number)))
    assert after.close(PATIENCE)
    assert everything.taken == [str(number) for number in range(1_000)]
    assert odd.taken == [str(number) for number in range(1, 1_000, 2)]
    assert everything.is_closed
    assert odd.is_closed
    assert count(metrics.registry, "taken_total", consumer="everything") == 1_000
    assert count(metrics.registry, "queue", consumer="everything") == 0
    assert len(everything.batches) < 1_000


def test_answers_that_came_before_the_start_are_dealt_with() -> None:
    recorder = Recorder("ledger")
    after = AfterAnswer(Metrics(), [recorder])
    after.offer(answered("early"))
    after.start()
    assert after.close(PATIENCE)
    assert recorder.taken == ["early"]


def test_a_consumer_that_gets_nothing_may_do_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_REST", 0.01)
    recorder = Recorder("ledger")
    after = AfterAnswer(Metrics(), [recorder])
    after.start()
    assert recorder.rested.wait(PATIENCE)
    after.offer(answered("late"))
    assert after.close(PATIENCE)
    assert recorder.taken == ["late"]


def test_a_refined_request_reaches_nobody() -> None:
    recorder = Recorder("ledger")
    after = AfterAnswer(Metrics(), [recorder])
    after.start()
    after.offer(answered("private", refined=True))
    after.offer(answered("plain"))
    assert after.close(PATIENCE)
    assert recorder.taken == ["plain"]


def test_a_slow_consumer_loses_its_own_answers_and_nobody_waits_for_it() -> None:
    metrics = Metrics()
    slow, quick = Recorder("slow"), Recorder("quick")
    slow.may_go_on.clear()
    after = AfterAnswer(metrics, [slow, quick], length=10)
    after.start()
    after.offer(answered("first"))
    assert slow.begun.wait(PATIENCE)
    for number in range(20):
        after.offer(answered(str(number)))  # returns although nobody takes them
        wait_for(lambda: count(metrics.registry, "queue", consumer="quick") == 0)
    assert count(metrics.registry, "queue", consumer="slow") == 10
    assert count(metrics.registry, "dropped_total", consumer="slow", reason="full") == 11
    assert count(metrics.registry, "dropped_total", consumer="quick", reason="full") == 0
    slow.may_go_on.set()
    assert after.close(PATIENCE)
    assert slow.taken == ["first", *map(str, range(9))]
    assert quick.taken == ["first", *map(str, range(20))]


def test_large_requests_fill_a_lane_by_their_size() -> None:
    metrics = Metrics()
    recorder = Recorder("log")
    after = AfterAnswer(metrics, [recorder], size=1 << 20)
    for number in range(3):
        after.offer(answered(str(number), items=100, dimension=1_000))  # 0.8 MB each
    assert count(metrics.registry, "queue", consumer="log") == 1
    assert count(metrics.registry, "dropped_total", consumer="log", reason="full") == 2
    after.start()
    assert after.close(PATIENCE)


def test_one_answer_that_is_larger_than_the_lane_passes_alone() -> None:
    recorder = Recorder("log")
    after = AfterAnswer(Metrics(), [recorder], size=10)
    after.offer(answered("large", items=100, dimension=1_000))
    after.start()
    assert after.close(PATIENCE)
    assert recorder.taken == ["large"]


def test_a_consumer_that_fails_loses_the_batch_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    failing = Failing("log")
    after = AfterAnswer(metrics, [failing])
    after.start()
    for name in ("one", "two"):
        failing.begun.clear()
        after.offer(answered(name))
        assert failing.begun.wait(PATIENCE)
    assert after.close(PATIENCE)
    assert failing.taken == ["one", "two"]
    assert count(metrics.registry, "dropped_total", consumer="log", reason="failed") == 2
    assert count(metrics.registry, "taken_total", consumer="log") == 0


def test_what_cannot_be_worked_off_in_time_is_counted() -> None:
    metrics = Metrics()
    slow = Recorder("slow")
    slow.may_go_on.clear()
    after = AfterAnswer(metrics, [slow])
    after.start()
    after.offer(answered("held"))
    assert slow.begun.wait(PATIENCE)
    after.offer(answered("behind"))
    assert not after.close(0.0)
    after.offer(answered("too late"))
    assert count(metrics.registry, "dropped_total", consumer="slow", reason="shutdown") == 2
    slow.may_go_on.set()
    wait_for(lambda: slow.is_closed)
    assert slow.taken == ["held"]


def test_close_before_start_leaves_what_waits_behind() -> None:
    metrics = Metrics()
    after = AfterAnswer(metrics, [Recorder("log")])
    after.offer(answered("never"))
    assert not after.close(PATIENCE)
    assert count(metrics.registry, "dropped_total", consumer="log", reason="shutdown") == 1
