from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, cast

import grpc
import pytest

from reranker.client import from_columns
from reranker.codec.limits import Limits
from reranker.errors import CallerGone, DeadlinePassed
from reranker.lane import Lane, aside
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.policy.snapshots import PolicyBook
from reranker.service.errors import Failure
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import RerankerServicer
from reranker.service.wire import Call, Gate, Wire
from reranker.v1 import reranker_service_pb2 as messages

LATE = "DEADLINE_EXCEEDED DEADLINE_SPENT"


class Caller:
    """What the gate asks of a call."""

    def __init__(self, remaining: float | None) -> None:
        self._remaining = remaining

    def time_remaining(self) -> float | None:
        return self._remaining

    def add_callback(self, _: Callable[[], None]) -> bool:
        return self._remaining is None or self._remaining > 0


def refusal(gate: Gate, remaining: float | None) -> str:
    try:
        gate.admit(cast("grpc.ServicerContext", Caller(remaining)))
    except Failure as failure:
        return f"{failure.code.name} {failure.reason}"
    return ""


def test_a_closed_gate_lets_nobody_in() -> None:
    assert refusal(Gate(), 5.0) == "UNAVAILABLE NOT_READY"


@pytest.mark.parametrize(("remaining", "expected"), [(5.0, ""), (None, ""), (0.0, LATE), (-1.0, LATE)])
def test_who_comes_too_late_is_not_worked_for(remaining: float | None, expected: str) -> None:
    gate = Gate()
    gate.open()
    assert refusal(gate, remaining) == expected


def test_the_callers_deadline_becomes_a_time_of_our_clock() -> None:
    gate = Gate()
    gate.open()
    call = gate.admit(cast("grpc.ServicerContext", Caller(5.0)))
    assert call.deadline == call.started + 5.0
    assert gate.admit(cast("grpc.ServicerContext", Caller(None))).deadline is None


def test_newcomers_can_be_held() -> None:
    gate = Gate()
    gate.open()
    gate.hold()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(refusal, gate, 5.0)
        with pytest.raises(TimeoutError):
            held.result(0.05)
        gate.release()
        assert held.result(5) == ""


def test_whoever_is_held_leaves_the_lane_to_those_who_are_not() -> None:
    gate, lane = Gate(), Lane()
    gate.open()
    gate.hold()

    def newcomer() -> str:
        with lane:
            return refusal(gate, 120.0)

    def half_made() -> None:
        with lane:
            aside_now.set()
            with aside():
                in_between.wait(60)

    aside_now, in_between = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(half_made)
        assert aside_now.wait(60)
        held = pool.submit(newcomer)
        with pytest.raises(TimeoutError):
            held.result(0.05)
        in_between.set()
        try:
            answer.result(20)
            assert not held.done()
        finally:
            gate.release()
        assert held.result(20) == ""


def test_whoever_is_held_keeps_half_of_its_time() -> None:
    gate = Gate()
    gate.open()
    gate.hold()
    began = perf_counter()
    assert refusal(gate, 0.2) == ""
    assert 0.1 <= perf_counter() - began < 5.0
    assert refusal(gate, -1.0) == LATE


def test_a_deadline_that_passes_at_work_ends_it() -> None:
    servicer = RerankerServicer(PolicyDesk(PolicyBook(), Limits()), Limits(), Observer(Metrics()))
    request = messages.RerankRequest(candidates=from_columns(range(9), range(9), [[i, 1] for i in range(9)]))
    request.slate_size = 5
    now = perf_counter()
    assert len(servicer.rerank(request, Call(now, now + 60)).positions) == 5
    with pytest.raises(DeadlinePassed):
        servicer.rerank(request, Call(now, now - 1))


def test_a_bug_is_internal_and_its_text_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.open()
    metrics = Metrics()
    pool = ThreadPoolExecutor(2)
    wire = Wire(gate, Observer(metrics), pool, streams=1)

    def buggy(_: messages.RerankRequest, __: Call) -> messages.RerankResponse:
        raise KeyError("item-4711")

    handler: Any = wire.unary("Rerank", messages.RerankRequest, buggy)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", {"Rerank": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        logging.getLogger("reranker").propagate = True
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test.Service/Rerank")
            with pytest.raises(grpc.RpcError) as raised:
                call(messages.RerankRequest(request_id="r-1").SerializeToString(), timeout=5)
    finally:
        server.stop(0).wait()
        pool.shutdown()
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "item-4711" not in str(raised.value)
    record = next(record for record in caplog.records if record.name == "reranker")
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    fields = cast("dict[str, str]", vars(record)["fields"])
    assert fields["error_id"] in str(raised.value.details())
    assert "r-1" not in json.dumps(fields)
    labels = {"grpc_service": "reranker.v1.RerankerService", "grpc_method": "Rerank", "grpc_code": "Internal"}
    assert metrics.registry.get_sample_value("grpc_server_handled_total", labels) == 1


@pytest.mark.parametrize(("elsewhere", "at_a_time"), [(aside, 2), (nullcontext, 1)])
def test_so_many_requests_are_worked_on_at_once_and_one_of_them_in_python(
    elsewhere: Callable[[], AbstractContextManager[None]], at_a_time: int
) -> None:
    gate = Gate()
    gate.open()
    pool = ThreadPoolExecutor(8)
    at_work: list[int] = []
    most: list[int] = []

    def slow(_: messages.RerankRequest, __: Call) -> messages.RerankResponse:
        with elsewhere():
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.01)
            at_work.pop()
        return messages.RerankResponse()

    wire = Wire(gate, Observer(Metrics()), pool, streams=1, at_once=2)
    server = grpc.server(pool)
    handler: Any = wire.unary("Rerank", messages.RerankRequest, slow)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", {"Rerank": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test.Service/Rerank")
            for future in [call.future(b"", timeout=20) for _ in range(40)]:
                future.result()
    finally:
        server.stop(0).wait()
        pool.shutdown()
    assert max(most) == at_a_time


def test_work_hears_that_its_caller_has_left() -> None:
    gate = Gate()
    gate.open()
    pool = ThreadPoolExecutor(2)
    began, heard = threading.Event(), threading.Event()

    def patient(_: messages.RerankRequest, call: Call) -> messages.RerankResponse:
        assert call.present is not None
        assert not call.present.gone
        began.set()
        end = perf_counter() + 60
        while not call.present.gone and perf_counter() < end:
            threading.Event().wait(0.005)
        if call.present.gone:
            heard.set()
        raise CallerGone(5, 2)

    wire = Wire(gate, Observer(Metrics()), pool, streams=1)
    handler: Any = wire.unary("Rerank", messages.RerankRequest, patient)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", {"Rerank": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test.Service/Rerank")
            future = call.future(b"", timeout=120)
            assert began.wait(60)
            future.cancel()
            assert heard.wait(60)
    finally:
        server.stop(0).wait()
        pool.shutdown()
