"""Runs a plan over traffic on all cores, shard by shard: it can be killed at any time and goes on where it was."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reranker import __version__, engine
from reranker.errors import RerankerError
from reranker.policy import Policy
from reranker.replay.arrow import answers_in, records_of, replay_batches, timings_of
from reranker.replay.engines import replayed
from reranker.replay.measured import Yardstick
from reranker.replay.one import Row
from reranker.replay.plan import Entry, Plan, Timing
from reranker.replay.shards import RunFolder, number_of_shards
from reranker.replay.survey import Survey, Traffic, shards
from reranker.signals import Catalog
from reranker.v1 import policy_pb2

SHARD = 250
"""Requests in one shard: what a killed run does again at most, for each process."""
_AHEAD = 2  # shards that wait for each process: what is read of the traffic and not yet replayed
_PR_SET_PDEATHSIG = 1
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerDied(RerankerError):
    """A process of the run ended in the middle of its work."""

    def __init__(self) -> None:
        super().__init__("a process of the run was ended, as by a lack of memory: run the same again, and it goes on")


def manifest_of(
    plan: Plan, catalog: Catalog | None, survey: Survey, traffic: Traffic, size: int = SHARD
) -> dict[str, Any]:
    """What a run is: equal manifests make equal results, byte for byte."""
    yardstick = plan.yardstick
    return {
        "version": __version__,
        "traffic": [str(file) for file in traffic.files],
        "limit": traffic.limit,
        "records": survey.records,
        "digest": survey.digest,
        "shard_size": size,
        "catalog": plan.catalog,
        "catalog_version": "" if catalog is None else catalog.version,
        "bare_lists_refer": plan.bare_lists_refer,
        "yardstick": {
            "attributes": list(yardstick.attributes),
            "thresholds": dict(yardstick.thresholds),
            "domains": {name: list(values) for name, values in yardstick.domains.items()},
            "score_zero": yardstick.score_zero,
        },
        "policies": [
            {
                "label": entry.label,
                "name": entry.policy.name,
                "revision": entry.policy.revision,
                "part_of": entry.part_of,
                "setting": [list(pair) for pair in entry.setting],
                "message": b64encode(entry.policy.message.SerializeToString(deterministic=True)).decode(),
                **({"asks": entry.asks, "as_served": entry.as_served} if entry.asks else {}),
            }
            for entry in plan.entries
        ],
        **({"timing": asdict(plan.timing)} if plan.timing else {}),
    }


def plan_of(manifest: Mapping[str, Any]) -> Plan:
    """The plan of a run that was begun."""
    entries = tuple(
        Entry(
            each["label"],
            Policy.from_proto(policy_pb2.Policy.FromString(b64decode(each["message"]))),
            each["part_of"],
            tuple((path, value) for path, value in each["setting"]),
            each.get("asks", ""),
            each.get("as_served", False),
        )
        for each in manifest["policies"]
    )
    known = manifest["yardstick"]
    domains = {name: tuple(values) for name, values in known["domains"].items()}
    yardstick = Yardstick(tuple(known["attributes"]), known["thresholds"], domains, known["score_zero"])
    timing = Timing(**manifest["timing"]) if "timing" in manifest else None
    return Plan(entries, yardstick, manifest["catalog"], manifest["bare_lists_refer"], timing)


def traffic_of(manifest: Mapping[str, Any]) -> Traffic:
    """The traffic of a run that was begun."""
    return Traffic(tuple(map(Path, manifest["traffic"])), manifest["limit"])


def run(
    plan: Plan,
    traffic: Traffic,
    folder: RunFolder,
    *,
    catalog: Catalog | None = None,
    jobs: int | None = None,
    size: int = SHARD,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on: str = "local",
) -> Survey:
    """Replay what is not done yet; `progress` hears of requests done and requests in all.

    `jobs` processes work (default: one for each core that this one may use), on kernels that are compiled before they
    start. Memory grows with `jobs` and the shard, not with the traffic. Raises `InvalidInput` where the folder holds
    another run or a file is damaged, `WorkerDied`, `OSError`. `on` is one of `engines.NAMES`; all make the same bytes.
    """
    survey = Survey.of(traffic)
    folder.begin(manifest_of(plan, catalog, survey, traffic, size), fresh=fresh)
    done = folder.done(number_of_shards(survey.records, size))
    tell = progress or _nobody
    finished = min(sum(done) * size, survey.records)
    tell(finished, survey.records)
    if all(done):
        return survey
    engine.warm_up()
    work = shards(traffic.records(), size, done)
    jobs = min(jobs or len(os.sched_getaffinity(0)), done.count(False))
    file = None if catalog is None else catalog.path
    if on != "local":
        finishing = replayed(on, plan, None if file is None else str(file.resolve()), folder, work, size, jobs)
    elif jobs == 1:
        finishing = _in_this_process(plan, catalog, folder, work, size)
    else:
        finishing = _in_processes(plan, file, folder, work, size, jobs)
    for requests in finishing:
        finished = min(finished + requests, survey.records)
        tell(finished, survey.records)
    return survey


def _nobody(_: int, __: int) -> None:
    """Hears of the progress where nobody wants to."""


def _in_this_process(
    plan: Plan, catalog: Catalog | None, folder: RunFolder, work: Iterator[tuple[int, list[bytes]]], size: int
) -> Iterator[int]:
    worker = Worker(plan, catalog, folder, size)
    for number, records in work:
        yield worker.replay(number, records)


def _in_processes(
    plan: Plan, catalog: Path | None, folder: RunFolder, work: Iterator[tuple[int, list[bytes]]], size: int, jobs: int
) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    begin = (plan, catalog, folder.path, size, os.getpid())
    with _one_thread_each(), ProcessPoolExecutor(jobs, context, _begin, begin) as pool:
        waiting: set[Future[int]] = set()
        try:
            for number, records in work:
                waiting.add(pool.submit(_replay, number, records))
                if len(waiting) >= jobs * (1 + _AHEAD):
                    ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ready)
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ready)
        except BrokenProcessPool:
            raise WorkerDied from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class Worker:
    """Replays shards and keeps their results; one a process."""

    def __init__(self, plan: Plan, catalog: Catalog | None, folder: RunFolder, size: int) -> None:
        self._plan, self._catalog, self._folder, self._size = plan, catalog, folder, size

    def replay(self, number: int, records: list[bytes]) -> int:
        """Replay one shard and keep it; how many requests it has."""
        rows: list[Row] = []
        batch = records_of(number * self._size, records)
        answers = answers_in(self._folder.answers([number])) if self._plan.timing else None
        (results,) = replay_batches([batch], self._plan, self._catalog, rows.extend, answers)
        self._folder.put(number, results, timings_of(rows))
        return len(records)


_worker: Worker | None = None  # of a process that was started for nothing else


def _begin(plan: Plan, catalog: Path | None, folder: Path, size: int, parent: int) -> None:
    """The first thing in a process of the pool: it leaves interrupts to its parent, and ends with it."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    engine.warm_up()
    opened = None if catalog is None else Catalog.open(catalog, check=False)  # the parent has checked every byte
    _worker = Worker(plan, opened, RunFolder(folder), size)


def _replay(number: int, records: list[bytes]) -> int:
    assert _worker is not None
    return _worker.replay(number, records)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started in here compute with one thread each: there is one for every core already."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
