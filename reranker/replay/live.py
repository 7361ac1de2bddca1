"""Asks servers what a run wants to know, at the times at which its requests were recorded, and keeps the answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from reranker.client import Client, ServerError
from reranker.errors import InvalidInput, RerankerError, Violation
from reranker.replay.arrow import answers_table
from reranker.replay.one import described, let_bare_lists_refer
from reranker.replay.plan import Entry, Plan, Timing
from reranker.replay.shards import RunFolder, number_of_shards
from reranker.replay.survey import Traffic
from reranker.replay.timetable import Timed, by_time, by_turns
from reranker.v1.policy_pb2 import Policy
from reranker.v1.request_log_pb2 import RequestLog
from reranker.v1.reranker_service_pb2 import DegradedReason, RerankResponse

_READY = 30.0  # seconds in which a server has to say that it serves
_PARTS = 64  # shards of answers in memory at once, for a summary


def send(
    plan: Plan,
    traffic: Traffic,
    folder: RunFolder,
    connect: Callable[[str], Client],
    *,
    records: int,
    size: int,
    progress: Callable[[int, int], None],
) -> None:
    """Ask what is not answered yet; the folder has begun. Calls are sent when they are due, answered or not.

    Requests that a user refined are never sent. Whatever goes wrong with a call is its answer. Raises `InvalidInput`
    naming every server that does not serve, and as `timetable.by_time`.
    """
    timing = plan.timing or Timing()
    done = folder.answered(number_of_shards(records, size))
    progress(min(sum(done) * size, records), records)
    if all(done):
        return
    requests = by_turns(traffic) if timing.rate else by_time(traffic)
    left = (timed for timed in requests if not done[timed.ordinal // size])
    policies = {entry.label: None if entry.as_served else entry.policy.message for entry in plan.asking}
    with ExitStack() as open_clients:
        clients = {entry.asks: connect(entry.asks) for entry in plan.asking}
        for client in clients.values():
            open_clients.enter_context(client)
        _wait_for(clients)
        keeper = _Keeper(folder, size, records, len(plan.asking), done, progress)
        room = threading.BoundedSemaphore(timing.in_flight)
        pool = open_clients.enter_context(ThreadPoolExecutor(timing.in_flight))

        broken: list[Exception] = []  # what is no fault of a server, such as a disk that is full

        def call(entry: Entry, ordinal: int, log: RequestLog, due: float) -> None:
            try:
                keeper.keep(ordinal, entry.label, _ask(clients[entry.asks], log, policies[entry.label], due))
            except Exception as error:
                broken.append(error)
            finally:
                room.release()

        try:
            for due, timed in _scheduled(left, timing):
                if timed.log is None or timed.log.request.context.refinement:
                    keeper.pass_over(timed.ordinal)
                    continue
                if plan.bare_lists_refer and plan.catalog:
                    let_bare_lists_refer(timed.log.request.candidates)
                turn = timed.ordinal % len(plan.asking)  # nobody is always asked first
                for entry in (*plan.asking[turn:], *plan.asking[:turn]):
                    _wait_until(due)
                    room.acquire()
                    if broken:
                        raise broken[0]
                    pool.submit(call, entry, timed.ordinal, timed.log, due)
            pool.shutdown(wait=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if broken:
            raise broken[0]


def _scheduled(requests: Iterator[Timed], timing: Timing) -> Iterator[tuple[float, Timed]]:
    """Each request with when it is due, by the clock of `time.perf_counter`; the first of them now."""
    start = first = None
    for at, timed in enumerate(requests):
        if start is None or first is None:
            start, first = time.perf_counter(), timed.seconds
        after = at / timing.rate if timing.rate else (timed.seconds - first) / timing.factor
        yield start + after, timed


def _wait_until(due: float) -> None:
    while (left := due - time.perf_counter()) > 0.0:
        time.sleep(left)


def _ask(client: Client, log: RequestLog, policy: Policy | None, due: float) -> dict[str, Any]:
    """One call; what became of it."""
    request = log.request
    as_recorded = request.inline_policy if request.HasField("inline_policy") else request.policy_name or None
    overridden = policy is None and request.HasField("overrides")
    began = time.perf_counter()
    response, error = RerankResponse(), ""
    try:
        slate = client.rerank(
            request.candidates,
            request.slate_size,
            as_recorded if policy is None else policy,
            overrides=request.overrides if overridden else None,
            context=request.context if request.HasField("context") else None,
            omit_cursor=True,
            request_id=described(0, log).request_id,
        )
        assert slate.response is not None  # a client that raises makes no slates of its own
        response = slate.response
    except (RerankerError, ValueError) as problem:
        error = _in_a_word(problem)
    return {
        "response": response.SerializeToString(),
        "error": error,
        "degraded": DegradedReason.Name(response.degraded).removeprefix("DEGRADED_REASON_")
        if response.degraded
        else "",
        "late_us": (began - due) * 1e6,
        "microseconds": (time.perf_counter() - due) * 1e6,
    }


def _in_a_word(problem: Exception) -> str:
    """What failed, without what differs from call to call."""
    if isinstance(problem, ServerError):
        return f"{problem.code.name} ({problem.reason})" if problem.reason else str(problem.code.name)
    if isinstance(problem, InvalidInput):
        return "; ".join(f"{each.path}: {each.reason}" for each in problem.violations)
    return str(problem).replace("\n", "; ")


def _wait_for(clients: Mapping[str, Client]) -> None:
    deaf = [server for server, client in clients.items() if not client.wait_until_ready(_READY)]
    if deaf:
        reason = f"does not say that it serves, for {_READY:g} seconds: start it, and give the same command again"
        raise InvalidInput([Violation(server, reason) for server in deaf])


class _Keeper:
    """Gathers answers until a shard has all of its own, and keeps it then; safe to use from many threads."""

    def __init__(
        self,
        folder: RunFolder,
        size: int,
        records: int,
        asked: int,
        done: Sequence[bool],
        progress: Callable[[int, int], None],
    ) -> None:
        self._folder, self._size, self._records, self._asked, self._progress = folder, size, records, asked, progress
        self._lock = threading.Lock()
        self._answers: dict[int, list[dict[str, Any]]] = {}
        self._missing: dict[int, int] = {}
        self._requests: Counter[int] = Counter()
        self._finished = min(sum(done) * size, records)

    def keep(self, ordinal: int, label: str, answer: dict[str, Any]) -> None:
        self._settle(ordinal, [{"ordinal": ordinal, "label": label, **answer}], 1)

    def pass_over(self, ordinal: int) -> None:
        """Nobody is asked about this request."""
        self._settle(ordinal, [], self._asked)

    def _settle(self, ordinal: int, answers: list[dict[str, Any]], calls: int) -> None:
        number = ordinal // self._size
        with self._lock:
            shard = self._answers.setdefault(number, [])
            shard += answers
            here = min(self._size, self._records - number * self._size)
            self._missing[number] = self._missing.get(number, here * self._asked) - calls
            is_whole = self._missing[number] == 0
            if is_whole:
                del self._answers[number], self._missing[number]
            before = self._requests[ordinal]
            self._requests[ordinal] = before + calls
            if before + calls == self._asked:
                del self._requests[ordinal]
                self._finished += 1
                self._progress(self._finished, self._records)
        if is_whole:
            in_order = sorted(shard, key=lambda each: (each["ordinal"], each["label"]))
            self._folder.put_answers(number, answers_table(in_order))


@dataclass(frozen=True, slots=True)
class Sent:
    """How the calls of a run went: by what was wrong with them, and by how many microseconds they were late."""

    calls: int
    errors: Counter[str]
    degraded: Counter[str]
    late_us: tuple[float, float, float]
    """Median, 99 of 100, and the latest."""

    @classmethod
    def of(cls, folder: RunFolder) -> Sent:
        """A summary of the whole run, however often it was stopped."""
        manifest = folder.manifest
        count = number_of_shards(manifest["records"], manifest["shard_size"])
        errors: Counter[str] = Counter()
        degraded: Counter[str] = Counter()
        late = [np.zeros(0)]
        for first in range(0, count, _PARTS):
            table = folder.answers(range(first, min(first + _PARTS, count)), ("error", "degraded", "late_us"))
            errors.update(table.column("error").to_pylist())
            degraded.update(table.column("degraded").to_pylist())
            late.append(table.column("late_us").to_numpy())
        all_late = np.concatenate(late)
        calls = len(all_late)
        del errors[""], degraded[""]
        ends = (
            tuple(float(np.quantile(all_late, share, method="higher")) for share in (0.5, 0.99, 1.0)) if calls else ()
        )
        return cls(calls, errors, degraded, (ends[0], ends[1], ends[2]) if ends else (0.0, 0.0, 0.0))

    def sentences(self) -> list[str]:
        """The same in words."""
        median, most, latest = (f"{value / 1e3:.1f}" for value in self.late_us)
        said = [
            f"{self.calls:,} calls were sent, late by {median} ms at the median, {most} at p99 and {latest} at most"
        ]
        for counts, words in ((self.errors, "failed"), (self.degraded, "were answered with less than was asked for")):
            if counts:
                listed = ", ".join(f"{reason}: {count:,}" for reason, count in counts.most_common())
                said.append(f"{counts.total():,} calls {words} ({listed})")
        return said
