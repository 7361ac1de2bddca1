"""Is every request counted exactly once? `python -m benchmarks.ledger_proof --on sqlite`, or `make ledger-proof`.

Processes record requests and report what was seen of them, are killed (SIGKILL) again and again, begin anew somewhat
before where they were, and repeat each other's requests. At the end every sum of the ledger is compared with a plain
sum over the requests, each taken once. Exits with 1 when one differs.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from loadtest.servers.valkey import running_valkey
from reranker.codec.limits import Limits
from reranker.exposure.board import Board
from reranker.exposure.ledger import Ledger, Position
from reranker.exposure.receipt import Amounts, add_amounts, amounts_of, make_receipt
from reranker.exposure.redis import RedisLedger
from reranker.exposure.sqlite import SqliteLedger
from reranker.exposure.states import bits_of
from reranker.exposure.tally import Served, TallyKey
from reranker.observability.metrics import Metrics
from reranker.service.after import Answered
from reranker.service.errors import Failure
from reranker.service.exposure import ExposureServicer, LedgerFeed
from reranker.service.wire import Call
from reranker.store import StoreAddress
from reranker.store.store import Store
from reranker.v1 import exposure_service_pb2, reranker_service_pb2
from reranker.v1.ledger_pb2 import LedgerReceipt

BATCH = 100
NOW = 1_800_000_000.0
SECONDS = 60.0
_TONES = ("1-2", "3-4", "5-6", "7-8")
_GENRES = ("noir", "crime", "comedy", "drama", "romance")
_STEP_BACK = 400  # requests that a process goes back at most when it begins anew


class Request(NamedTuple):
    """One request and what was seen of it; `seen` is None when nobody reports, `is_early`: the report comes first."""

    request_id: str
    time: float
    served: tuple[Served, ...]
    seen: tuple[int, ...] | None
    is_early: bool


def request_of(process: int, number: int) -> Request:
    """The same request each time: 5 to 20 slots, two attributes, some of three hours ago, most of them reported."""
    rng = random.Random(process * 1_000_003 + number)
    slots = rng.randint(5, 20)
    surface, arm = rng.choice(("search", "home")), rng.choice(("", "b"))
    tones = tuple((rng.choice(_TONES),) if rng.random() < 0.9 else () for _ in range(slots))
    genres = tuple(tuple(rng.sample(_GENRES, rng.randint(0, 3))) for _ in range(slots))
    relevance = tuple(rng.uniform(0.0, 30.0) for _ in range(slots))
    shares = dict.fromkeys(_TONES, 0.25)
    served = (
        Served(TallyKey(surface, "p", arm, "tone"), 3_600.0, 0, tones, relevance, shares, {"5-6": 0.3}),
        Served(TallyKey(surface, "p", arm, "genre"), 86_400.0, 0, genres, relevance, {}, {}),
    )
    seen = None if rng.random() < 0.3 else tuple(slot for slot in range(1, slots + 1) if rng.random() < 0.6)
    return Request(f"{process}-{number}", NOW - rng.uniform(0.0, 10_800.0), served, seen, rng.random() < 0.1)


@dataclass(frozen=True)
class Plan:
    """What is to be done: `opened` gives a process its ledger, `folder` has notes of how far each has got."""

    processes: int
    requests: int
    kills: int
    folder: Path
    opened: Callable[[], Ledger]
    parent: int


def main() -> int:
    """Do it, say what came of it."""
    parser = argparse.ArgumentParser(description="Is every request counted exactly once?")
    parser.add_argument("--on", choices=("sqlite", "valkey"), default="sqlite")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--requests", type=int, default=50_000, help="of each process")
    parser.add_argument("--kills", type=int, default=10, help="of each process")
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _place(given.on, Path(folder)) as opened:
        plan = Plan(given.processes, given.requests, given.kills, Path(folder), opened, os.getpid())
        begun = _run(plan)
        _work(plan, 0, repeats_others=True)
        ledger = opened()
        held = _all_sums(ledger)
        expected = _expected(plan)
    wrong = sum(not _equal(held.get(cell), expected.get(cell)) for cell in {*held, *expected})
    kills, seconds = begun - given.processes, time.perf_counter() - began
    print(f"{given.on}: {given.processes} processes x {given.requests:,} requests; {kills} times one was killed")
    print(f"{len(expected)} lines of 5 sums beside plain sums over the requests: {wrong} differ ({seconds:.0f} s)")
    return 1 if wrong else 0


@contextlib.contextmanager
def _place(kind: str, folder: Path) -> Iterator[Callable[[], Ledger]]:
    """Where the ledger is, and how a process opens it."""
    if kind == "sqlite":
        yield lambda: SqliteLedger(folder)
        return
    with running_valkey() as server:

        def opened() -> Ledger:
            store = Store(StoreAddress.parse(server.url))
            store.start(SECONDS)
            return RedisLedger(store)

        yield opened


def _run(plan: Plan) -> int:
    """Let every process do its requests, and kill each when it gets to certain places; returns how often one began."""
    fork, rng = multiprocessing.get_context("fork"), random.Random(7)
    ends = {
        number: sorted(rng.sample(range(1, plan.requests * 2 // 3), plan.kills)) for number in range(plan.processes)
    }
    running: dict[int, BaseProcess] = {}
    begun = 0
    while ends:
        for number in list(ends):
            process = running.get(number)
            if process is None:
                running[number] = process = fork.Process(target=_work, args=(plan, number))
                process.start()
                begun += 1
            elif process.exitcode == 0:
                del ends[number]
            elif process.exitcode is not None:
                raise RuntimeError(f"process {number} failed by itself")
            elif ends[number] and _progress(plan, number) >= ends[number][0]:
                ends[number].pop(0)
                process.kill()
                process.join()
                del running[number]
        time.sleep(0.01)
    return begun


def _work(plan: Plan, number: int, *, repeats_others: bool = False) -> None:
    """A process's requests from before where it was, and some of the next one's; or a tenth of everybody's."""
    ledger, metrics = plan.opened(), Metrics()
    feed, servicer = LedgerFeed(ledger, Board(), metrics), ExposureServicer(ledger, Limits(), metrics)
    if repeats_others:
        for process in range(plan.processes):
            for first in range(0, plan.requests, 10 * BATCH):
                some = range(first, min(first + 10 * BATCH, plan.requests), 10)
                _record(feed, servicer, [request_of(process, one) for one in some])
        return
    start = max(0, _progress(plan, number) - random.randint(0, _STEP_BACK))
    for first in range(start, plan.requests, BATCH):
        if os.getppid() != plan.parent:
            return  # nobody is there to compare anything
        last = min(first + BATCH, plan.requests)
        others = [request_of((number + 1) % plan.processes, one) for one in range(first, last, 20)]
        _record(feed, servicer, [*(request_of(number, one) for one in range(first, last)), *others])
        note = plan.folder / f"{number}.new"
        note.write_text(str(last))
        os.replace(note, plan.folder / f"{number}.done")


def _record(feed: LedgerFeed, servicer: ExposureServicer, requests: Sequence[Request]) -> None:
    """Serve requests and report what was seen, until all of it is acknowledged."""
    _report(servicer, [request for request in requests if request.is_early])
    feed.take([_answered(request) for request in requests])
    while not feed.flush():
        time.sleep(0.01)
    _report(servicer, [request for request in requests if not request.is_early])
    _report(servicer, requests[::7])  # some of them again


def _report(servicer: ExposureServicer, requests: Sequence[Request]) -> None:
    message = exposure_service_pb2.RecordImpressionsRequest()
    for request in requests:
        if request.seen is not None:
            message.impressions.add(request_id=request.request_id, seen_slots=request.seen)
    while True:
        with contextlib.suppress(Failure):
            servicer.record_impressions(message, Call(0.0))
            return
        time.sleep(0.01)


def _answered(request: Request) -> Answered:
    message = reranker_service_pb2.RerankRequest(request_id=request.request_id)
    trace: Any = SimpleNamespace(refined=False, exposure=request.served)
    nothing: Any = None
    return Answered(request.time, message, nothing, nothing, trace, nothing, nothing, nothing)


def _progress(plan: Plan, number: int) -> int:
    note = plan.folder / f"{number}.done"
    return int(note.read_text()) if note.exists() else 0


def _all_sums(ledger: Ledger) -> dict[tuple[bytes, int, str], Amounts]:
    position, found, is_last = Position(), dict[tuple[bytes, int, str], Amounts](), False
    while not is_last:
        changes = ledger.changes(position, SECONDS)
        position, is_last = changes.position, changes.is_last
        found |= {(one.stream.digest, one.bucket, one.value): amounts for one, amounts in changes.sums.items()}
    return found


def _expected(plan: Plan) -> dict[tuple[bytes, int, str], Amounts]:
    sums: dict[Any, Amounts] = {}
    for process in range(plan.processes):
        for number in range(plan.requests):
            request = request_of(process, number)
            receipt = LedgerReceipt.FromString(make_receipt("", request.time, request.served).data)
            add_amounts(sums, amounts_of(receipt, None if request.seen is None else bits_of(request.seen)))
    return {tuple(cell): amounts for cell, amounts in sums.items()}


def _equal(one: Amounts | None, other: Amounts | None) -> bool:
    """To the last unit; relevance, a floating-point sum, to twelve digits."""
    if one is None or other is None:
        return one is other or not any(one or other or ())
    return one[:4] == other[:4] and abs(one.relevance - other.relevance) <= 1e-12 * max(1.0, abs(other.relevance))


if __name__ == "__main__":
    raise SystemExit(main())
