"""Steady load: each request goes out when it is due, whatever became of those before, and its answer is kept."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc

from loadtest.server_faults.bench import Bench
from loadtest.server_faults.cases import Case
from reranker.v1.exposure_service_pb2 import RecordImpressionsRequest
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

METHOD = "/reranker.v1.RerankerService/Rerank"
CONNECTIONS = 8
_REPORTED = 4  # one in so many slates that go to the ledger is reported as seen
_SECONDS_TO_REPORT = 5.0
_SECONDS_TO_BE_KNOWN = 3.0  # a slate is in the ledger soon after its answer


@dataclass
class Sent:
    """A request and what became of it: nanoseconds of `time.monotonic_ns`, gRPC's code by name, the answer's bytes."""

    case: Case
    request_id: str
    began: int
    deadline: float
    done: int = 0
    code: str = ""
    answer: bytes = b""


class Load:
    """`with Load(bench, cases, rate, deadline) as load:` requests in turn over eight connections, until it ends.

    A call waits for a connection where it has none, at most until its deadline, and is never sent again. Deadlines
    take turns. Some of what was answered is reported as seen, once its slate is in the ledger: `acknowledged` are the
    reports that the server said it wrote, `unknown` those whose slates it did not know.
    """

    def __init__(self, bench: Bench, cases: Sequence[Case], rate: float, deadlines: Sequence[float]) -> None:
        self.sent: list[Sent] = []
        self.acknowledged: list[str] = []
        self.unknown: list[str] = []
        self._bench, self._cases = bench, cases
        self._rate, self._deadlines = rate, tuple(deadlines)
        self._stop, self._ended = threading.Event(), threading.Semaphore(0)
        self._answered: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._run = f"{time.time_ns():x}"
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._report)]
        self._channels: list[grpc.Channel] = []

    def __enter__(self) -> Load:
        self._channels = [self._bench.connection() for _ in range(CONNECTIONS)]
        for channel in self._channels:
            grpc.channel_ready_future(channel).result(30)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()
        for _sent in self.sent:
            self._ended.acquire(timeout=max(self._deadlines) + 5.0)
        for channel in self._channels:
            channel.close()

    def stop(self) -> None:
        """Send no more; what is under way ends."""
        self._stop.set()

    def _send(self) -> None:
        calls: list[Any] = [channel.unary_unary(METHOD, RerankRequest.SerializeToString) for channel in self._channels]
        start = time.monotonic_ns()
        turns = zip(
            itertools.cycle(calls), itertools.cycle(self._cases), itertools.cycle(self._deadlines), strict=False
        )
        for number, (call, case, deadline) in enumerate(turns):
            due = start + int(number / self._rate * 1e9)
            if self._stop.wait(max(0.0, (due - time.monotonic_ns()) / 1e9)):
                return
            sent = Sent(case, f"{self._run}-{number}", time.monotonic_ns(), deadline)
            self.sent.append(sent)
            case.request.request_id = sent.request_id
            future = call.future(case.request, timeout=deadline, wait_for_ready=True)
            future.add_done_callback(partial(self._take, sent))

    def _take(self, sent: Sent, future: Any) -> None:
        sent.done = time.monotonic_ns()
        sent.code = future.code().name
        if sent.code == "OK":
            sent.answer = future.result()
            if sent.case.is_seen and len(self.sent) % _REPORTED == 0:
                self._answered.put(sent.request_id)
        self._ended.release()

    def _report(self) -> None:
        with self._bench.connection() as channel:
            stub = ExposureServiceStub(channel)
            while not self._stop.is_set():
                with contextlib.suppress(queue.Empty):
                    self._report_one(stub, self._answered.get(timeout=0.1))

    def _report_one(self, stub: ExposureServiceStub, request_id: str) -> None:
        end = time.monotonic() + _SECONDS_TO_BE_KNOWN
        while time.monotonic() < end and not self._stop.is_set():
            try:
                said = record(stub, [request_id])
            except grpc.RpcError:
                pass  # not acknowledged
            else:
                if not said.unknown_ids:
                    self.acknowledged.append(request_id)
                    return
            time.sleep(0.05)
        self.unknown.append(request_id)


def record(stub: ExposureServiceStub, request_ids: Sequence[str]) -> Any:
    """Report that the first item of each slate was seen."""
    request = RecordImpressionsRequest()
    for request_id in request_ids:
        request.impressions.add(request_id=request_id, seen_slots=[1])
    return stub.RecordImpressions(request, timeout=_SECONDS_TO_REPORT)


def answer_of(sent: Sent) -> RerankResponse:
    """The message."""
    return RerankResponse.FromString(sent.answer)
