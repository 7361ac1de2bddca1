"""How fast a replay is beside the bare engine, and with two processes: `python -m benchmarks.replay [requests]`.

Or `make bench-replay`. Recorded searches for make-up shades, by reference to a catalog, through two policies, the four
that `reranker replay` makes of them to split the price, and the eight of a sweep as in `make replay`: what each stage
of a request takes in one process, the share of that which is the engine itself, and how the rate grows from one process
to two, over the same requests again and again. On a machine that does anything else this last number says nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.catalog import DATA
from examples.replay import POLICIES, ROOT
from reranker import engine
from reranker.cli import main as command_line
from reranker.codec import DecodedRequest
from reranker.policy import Policy
from reranker.replay.arrow import results_of
from reranker.replay.measured import Yardstick
from reranker.replay.one import Replayer
from reranker.replay.plan import Plan, entries_of, looked_at
from reranker.replay.runner import run
from reranker.replay.shards import RunFolder
from reranker.replay.survey import Traffic
from reranker.signals import Catalog
from reranker.v1.request_log_pb2 import RequestLog

ROUNDS, REPEATS, SHARD, GOAL = 3, 20, 100, 0.7

SWEEP = {"objective.diversity": [0.0, 0.25, 0.75, 1.0]}


def main() -> int:
    """Print all of it."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    policies = [Policy.from_toml(ROOT / "policies" / f"{name}.toml") for name in POLICIES]
    ways = [entries_of(policies, sweeps, parts=parts) for sweeps, parts in (({}, False), ({}, True), (SWEEP, True))]
    plans = [Plan(entries, Yardstick.of(policies)) for entries in ways]
    traffic = Traffic((DATA / "shades" / "requests.rlog.gz",), limit)
    records = list(islice(traffic.records(), limit))
    with TemporaryDirectory() as folder:
        source, built = DATA / "shades" / "catalog.npz", Path(folder) / "catalog"
        with redirect_stdout(StringIO()):
            command_line(["catalog", "build", str(built), str(source), "--precision", "float16"])
        catalog = Catalog.open(built)
        engine.warm_up()
        for plan in plans:
            print(f"{len(records):,} requests under {len(plan.entries)} policies, best of {ROUNDS}")
            _stages(plan, catalog, records)
        again = Traffic(traffic.files * REPEATS, limit * REPEATS)
        rates = [_rate(plans[0], catalog, again, Path(folder) / f"run-{jobs}", jobs) for jobs in (1, 2)]
    print(f"  slates a second: {rates[0]:,.0f} in one process, {rates[1]:,.0f} in two, {rates[1] / rates[0]:.2f} times")
    return 0


def _stages(plan: Plan, catalog: Catalog, records: list[bytes]) -> None:
    """What one process does with every record, part by part and all together."""
    replayer, names = Replayer(plan, catalog), looked_at(plan)
    read = [_read(replayer, record, names) for record in records]
    slates = len(records) * len(plan.entries)
    bare = _least(lambda: [replayer.slate(each, entry) for each in read for entry in plan.entries])
    reading = _least(lambda: [_read(replayer, record, names) for record in records])
    rows = _least(lambda: replayer.replay(range(len(records)), records))
    made = replayer.replay(range(len(records)), records)
    arrow = _least(lambda: results_of(made))
    whole = rows + arrow
    for what, took in (
        ("reading", reading),
        ("the engine", bare),
        ("measuring", rows - reading - bare),
        ("Arrow", arrow),
        ("all of it", whole),
    ):
        print(f"  {what:<12} {took / slates * 1e6:8,.0f} µs a slate")
    share = bare / whole
    print(f"  of the bare engine's rate: {share:.2f} (the goal is {GOAL}{', met' if share >= GOAL else ''})")


def _read(replayer: Replayer, record: bytes, names: frozenset[str] | None) -> DecodedRequest:
    found = replayer.decoded(RequestLog.FromString(record), names)
    if isinstance(found, str):
        raise SystemExit(f"a recorded request cannot be replayed: {found}")
    return found


def _least(work: Callable[[], object]) -> float:
    """Seconds of processor time of the fastest round: what else the machine does counts less so."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def _rate(plan: Plan, catalog: Catalog, traffic: Traffic, folder: Path, jobs: int) -> float:
    """Slates a second from the first shard that is done to the last: processes have started by then."""
    marks: list[tuple[float, int]] = []

    def note(done: int, _: int) -> None:
        marks.append((time.perf_counter(), done))

    run(plan, traffic, RunFolder(folder), catalog=catalog, jobs=jobs, size=SHARD, progress=note)
    (began, first), (ended, last) = next(mark for mark in marks if mark[1]), marks[-1]
    return (last - first) * len(plan.entries) / (ended - began)


if __name__ == "__main__":
    sys.exit(main())
