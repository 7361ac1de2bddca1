"""Is a killed replay the same as one that was not? `python -m benchmarks.replay_proof`, or `make replay-proof`.

One run is left alone. Another is killed (SIGKILL: the process that leads it, or one of those that work for it) at
random moments, each time begun again, and at the end every byte of its results is compared with the first. Exits with 1
when one differs, or when a request is missing or there twice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.replay_stream import children
from benchmarks.traffic import catalog_of, plan_of_two, traffic_files
from reranker.replay.runner import SHARD, WorkerDied, run
from reranker.replay.shards import RunFolder
from reranker.replay.survey import Traffic

_JOBS = 2
_WORKER_DIED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Do both runs, say what came of it."""
    parser = argparse.ArgumentParser(description="Is a killed replay the same as one that was not?")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--shard", type=int, default=SHARD, help="requests in a shard")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as root:
        folder = Path(root)
        catalog_of(folder)
        traffic_files(folder, options.requests, _JOBS)
        whole, killed = folder / "whole", folder / "killed"
        _replay(folder, whole, options.requests, options.shard)
        kills = _run_killed(folder, killed, options)
        words = ", ".join(f"{count} times {who}" for who, count in kills.items())
        print(f"{options.requests:,} requests under 2 policies in shards of {options.shard}; killed {words}")
        return _compared(whole, killed, options.requests)


def _replay(folder: Path, own: Path, requests: int, shard: int) -> None:
    """What the process that is killed does."""
    traffic = Traffic(traffic_files(folder, requests))
    try:
        run(plan_of_two(), traffic, RunFolder(own), catalog=catalog_of(folder), jobs=_JOBS, size=shard)
    except WorkerDied:
        os._exit(_WORKER_DIED)


def _run_killed(folder: Path, own: Path, options: argparse.Namespace) -> dict[str, int]:
    """Begin, kill, and begin again; the last time nobody kills. Returns who was killed how often."""
    spawn, rng = multiprocessing.get_context("spawn"), random.Random(options.seed)
    ends = sorted(rng.sample(range(1, max(options.requests // options.shard, options.kills + 1)), options.kills))
    kills = {"the leader": 0, "a worker": 0}
    while True:
        process = spawn.Process(target=_replay, args=(folder, own, options.requests, options.shard))
        process.start()
        while process.exitcode is None and not (ends and _shards(own) >= ends[0]):
            time.sleep(0.005)
        if process.exitcode is None:
            while ends and _shards(own) >= ends[0]:
                ends.pop(0)
            time.sleep(rng.uniform(0.0, 0.2))  # anywhere in the work on a shard
            kills[_kill(process, rng)] += 1
        elif process.exitcode == 0:
            return kills
        else:
            raise RuntimeError(f"the run failed by itself: exit code {process.exitcode}")


def _kill(process: BaseProcess, rng: random.Random) -> str:
    """Kill the process or one of its own; returns which, when all of them have ended."""
    assert process.pid is not None
    workers = [pid for pid in children(process.pid) if _works(pid)]
    who = "the leader"
    if workers and rng.random() < 0.5:
        who = "a worker"
        os.kill(rng.choice(workers), signal.SIGKILL)
        process.join(30.0)
    process.kill()
    process.join()
    while any(_runs(pid) for pid in workers):  # they end with the leader
        time.sleep(0.005)
    return who


def _runs(pid: int) -> bool:
    """Whether it has not ended; one that ended waits in /proc for a parent that may never ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _works(pid: int) -> bool:
    """Whether it is one of the processes that replay, and not one that counts what they share."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _shards(own: Path) -> int:
    return sum(1 for _ in (own / "results").glob("0*.parquet"))


def _compared(whole: Path, killed: Path, requests: int) -> int:
    one, other = ({path.name: path.read_bytes() for path in (own / "results").iterdir()} for own in (whole, killed))
    different = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    left = list(killed.rglob("*.partial"))
    table, _ = RunFolder(killed).read()
    ordinals = table.column("ordinal").to_numpy()
    times = np.bincount(ordinals, minlength=requests)
    missing, twice = int(np.count_nonzero(times < 2)), int(np.count_nonzero(times > 2))
    size = sum(map(len, one.values()))
    print(f"{len(one)} files of {size / 1e6:.1f} MB compared byte for byte: {len(different)} differ")
    print(f"requests missing: {missing}, there twice: {twice}, beyond the last: {len(times) - requests}")
    print(f"files left behind half written: {len(left)}")
    return 1 if different or missing or twice or left or len(times) != requests else 0


if __name__ == "__main__":
    sys.exit(main())
