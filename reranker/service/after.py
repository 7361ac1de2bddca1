"""What happens after the answer: request log, exposure ledger, shadow policies, measures, each in a bounded lane.

Nothing here can change or delay an answer. A lane that cannot keep up loses answers, its own and counted; the others
go on. Answers to requests that a user refined enter no lane (rule 12): they are only counted, before they get here.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.request import Trace
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.policy import Policy
from reranker.policy.model import UPSTREAM
from reranker.slate import Slate
from reranker.v1 import reranker_service_pb2 as messages

LENGTH = 4_096  # answers in one lane
SIZE = 64 << 20  # bytes that they keep alive, roughly
_BATCH = 256
_PAUSE = 0.05  # seconds in which a batch gathers: a wake-up for every answer would take the interpreter from a request
_REST = 60.0  # seconds without an answer, after which a consumer looks what else is due
_SECONDS_BETWEEN_LINES = 1.0  # about batches that fail
_BYTES_AN_ITEM = 256  # of a candidate without its embeddings: id, score, attributes, as message and as columns


class Answered(NamedTuple):
    """One answer and all that it was made from, by reference: nobody may change any of it."""

    time: float
    """When it was made, in seconds of the epoch."""
    request: messages.RerankRequest
    response: messages.RerankResponse
    slate: Slate
    trace: Trace
    policy: Policy
    """The one that was applied, overrides included."""
    candidates: Candidates
    context: Context
    shadows: tuple[Policy, ...] = ()
    """Policies of which the slates are to be made beside the answer, and only counted."""

    @property
    def arm(self) -> str:
        """The experiment's arm; empty when no route decided."""
        return self.response.arm

    @property
    def is_yardstick(self) -> bool:
        """Whether it is the upstream order of an experiment, beside which the other arms' policies are `shadows`.

        Not of a later page: its cursor speaks of the slates of another policy.
        """
        return bool(self.shadows) and self.arm == UPSTREAM and not self.context.cursor

    @property
    def is_inline(self) -> bool:
        """Whether the caller sent the policy along: then its name is the caller's word for it, and not one of ours."""
        return self.request.HasField("inline_policy")


class Consumer(Protocol):
    """Who does something with answers. All but `wants` runs on the lane's own thread and may block there."""

    @property
    def name(self) -> str:
        """What metrics and logs call it: one fixed word."""
        ...

    def wants(self, answered: Answered) -> bool:
        """Whether this one is of interest. Runs in the request's path: a look at a field or two, no work."""
        ...

    def take(self, batch: Sequence[Answered]) -> None:
        """Do it, for one answer or more, in the order of their making. What it raises is logged, the batch is lost."""
        ...

    def rest(self) -> None:
        """Do what is due though nothing came for a minute. What it raises is logged."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class AfterAnswer:
    """One lane a consumer: at most `length` answers that keep at most about `size` bytes alive wait in each."""

    def __init__(
        self, metrics: Metrics, consumers: Sequence[Consumer] = (), length: int = LENGTH, size: int = SIZE
    ) -> None:
        self._lanes = [_Lane(consumer, metrics, length, size) for consumer in consumers]

    def start(self) -> None:
        """Begin to work; until then answers wait in their lanes."""
        for lane in self._lanes:
            lane.start()

    def offer(self, answered: Answered) -> None:
        """Take an answer in, or count it as lost; never waits. Once `close` was called, all are lost."""
        if answered.trace.refined:
            return
        for lane in self._lanes:
            if lane.consumer.wants(answered):
                lane.offer(answered)

    def close(self, seconds: float) -> bool:
        """Give the lanes so many seconds to work off what waits; False when one of them could not."""
        for lane in self._lanes:
            lane.end()
        end = perf_counter() + seconds
        ended = [lane.join(max(0.0, end - perf_counter())) for lane in self._lanes]  # each of them, whatever one says
        return all(ended)


class _Lane:
    """Answers on their way to one consumer, and the thread that hands them over."""

    def __init__(self, consumer: Consumer, metrics: Metrics, length: int, size: int) -> None:
        self.consumer = consumer
        self._metrics, self._length, self._size = metrics, length, size
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Answered, int]] = deque()
        self._count = self._held = 0  # answers and bytes, waiting or being worked on
        self._arrived, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"after-{consumer.name}", daemon=True)
        self._next_line = 0.0
        metrics.watch_after_queue(consumer.name, lambda: self._count)

    def start(self) -> None:
        self._thread.start()

    def offer(self, answered: Answered) -> None:
        size = _size_of(answered)
        with self._lock:
            ending = self._ending.is_set()
            full = self._count >= self._length or (self._count > 0 and self._held + size > self._size)
            if not ending and not full:
                self._waiting.append((answered, size))
                self._count += 1
                self._held += size
        if ending or full:
            self._metrics.after_dropped(self.consumer.name, "shutdown" if ending else "full", 1)
        elif not self._arrived.is_set():
            self._arrived.set()

    def end(self) -> None:
        with self._lock:
            self._ending.set()
        self._arrived.set()

    def join(self, seconds: float) -> bool:
        """Whether everything was worked off in time; what still waits then is given up."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        with self._lock:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._metrics.after_dropped(self.consumer.name, "shutdown", left)
            log(logging.WARNING, "answers left behind", consumer=self.consumer.name, answers=left)
        return not left and not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._arrived.wait(_REST):
                self._try(self.consumer.rest, "rest")
                continue
            self._ending.wait(_PAUSE)
            self._arrived.clear()
            self._work_off()
        self._work_off()
        self._try(self.consumer.close, "closing")

    def _try(self, act: Callable[[], None], what: str) -> None:
        try:
            act()
        except Exception as error:
            log(logging.ERROR, f"{what} failed", error, consumer=self.consumer.name)

    def _work_off(self) -> None:
        while batch := self._next_batch():
            answers = [answered for answered, _ in batch]
            try:
                self.consumer.take(answers)
            except Exception as error:
                self._failed(error, len(answers))
            else:
                self._metrics.after_taken(self.consumer.name, len(answers))
            with self._lock:
                self._count -= len(batch)
                self._held -= sum(size for _, size in batch)

    def _next_batch(self) -> list[tuple[Answered, int]]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]

    def _failed(self, error: Exception, answers: int) -> None:
        self._metrics.after_dropped(self.consumer.name, "failed", answers)
        if perf_counter() >= self._next_line:
            self._next_line = perf_counter() + _SECONDS_BETWEEN_LINES
            log(logging.ERROR, "work after the answer failed", error, consumer=self.consumer.name, answers=answers)


def _size_of(answered: Answered) -> int:
    """Bytes that an answer keeps alive, roughly: embeddings stand in the message once more."""
    embeddings = answered.candidates.embeddings.values()
    return _BYTES_AN_ITEM * len(answered.candidates) + 2 * sum(column.matrix.nbytes for column in embeddings)
