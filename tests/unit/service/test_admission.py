"""Who may wait: so many, and nobody for longer than callers do; nobody is refused while a thread is free."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import grpc
import pytest
from google.rpc import error_details_pb2

from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.service.admission import Admission, WorkerPool
from reranker.service.patience import Patience

METHOD = "/test.Service/Call"


class Arrival(NamedTuple):
    """What is known of a call when it arrives."""

    method: str = METHOD
    invocation_metadata: tuple[tuple[str, str], ...] = ()


@contextmanager
def busy(pool: WorkerPool, calls: int) -> Iterator[None]:
    """So many calls are the pool's: its threads are at work on the first, the others wait."""
    ends = threading.Event()
    held = [pool.submit(ends.wait, 60) for _ in range(calls)]
    try:
        yield
    finally:
        ends.set()
        for one in held:
            one.result(60)


def admission(pool: WorkerPool, patience: Patience) -> Admission:
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(lambda data, _: data)
    service = grpc.method_handlers_generic_handler("test.Service", {"Call": handler})
    return Admission([service], pool, 4, Observer(Metrics()), patience=patience)


def refusal(found: Admission) -> str:
    failure = found._crowded(found._pool)
    handler = found.service(cast("grpc.HandlerCallDetails", Arrival()))
    assert handler is not None
    assert handler.request_streaming == (failure is not None), "a refusal does not wait for the message"
    if failure is None:
        return ""
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(failure.details[0], error_details_pb2.RetryInfo)
    return failure.reason


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as made:
        yield made


def test_a_call_waits_no_longer_than_callers_do(pool: WorkerPool) -> None:
    patience = Patience()
    found = admission(pool, patience)
    pool.mean = 0.1  # seconds a call: 0.05 s until one of two threads is free, 0.1 s until the next
    with busy(pool, 3):
        assert refusal(found) == "", "nobody knows how long callers wait"
        assert pool.wait == pytest.approx(0.1)
        patience.seen(0.31)  # twice the wait, and what the call takes itself
        assert refusal(found) == ""
        patience.seconds = 0.29
        assert refusal(found) == "WAIT_TOO_LONG"


def test_calls_that_are_held_back_teach_nothing(pool: WorkerPool) -> None:
    pool.learns = False
    pool.submit(threading.Event().wait, 0.05).result(60)
    assert pool.mean == 0.0
    pool.learns = True
    pool.submit(threading.Event().wait, 0.05).result(60)
    assert pool.mean > 0.0


def test_nobody_is_refused_while_a_thread_is_free(pool: WorkerPool) -> None:
    patience = Patience()
    patience.seen(1e-6)
    pool.mean = 1e6
    found = admission(pool, patience)
    assert refusal(found) == ""
    with busy(pool, 1):
        assert refusal(found) == ""
    with busy(pool, 2):
        assert refusal(found) == "WAIT_TOO_LONG"


def test_so_many_wait_and_no_more(pool: WorkerPool) -> None:
    found = admission(pool, Patience())
    with busy(pool, 5):
        assert refusal(found) == ""
    with busy(pool, 6):
        assert refusal(found) == "QUEUE_FULL"
