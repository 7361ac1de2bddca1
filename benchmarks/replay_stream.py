"""How long, how large and how hungry a long replay is: `python -m benchmarks.replay_stream`, or `make bench-stream`.

A million requests by reference through two policies: what lies on disk, the memory of every process over time, and
the rate. Exits with 1 when the disk takes more than 4 GB, or when memory grows with what was replayed. With --folder it
can be killed at any time, and the same command goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.traffic import catalog_of, plan_of_two, traffic_files
from reranker.replay.runner import run
from reranker.replay.shards import RunFolder
from reranker.replay.survey import Traffic

MOST_DISK = 4e9
MOST_GROWTH = 0.1  # of memory, from the first quarter of a run to its last
_EVERY = 5.0  # seconds between two looks
_LINES = 20  # of looks that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the traffic, replay it, say what that took."""
    parser = argparse.ArgumentParser(description="A long replay: disk, memory over time, rate.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where everything lies and stays (default: a temporary one)")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(TemporaryDirectory()))
        began = time.perf_counter()
        catalog = catalog_of(folder)
        files = traffic_files(folder, options.requests, options.jobs)
        print(f"{options.requests:,} requests by reference, made in {time.perf_counter() - began:.0f} s", flush=True)
        watch = Watch(folder, options.requests)
        with watch:
            run(
                plan_of_two(),
                Traffic(files),
                RunFolder(folder / "run"),
                catalog=catalog,
                jobs=options.jobs,
                progress=watch.note,
            )
        return watch.verdict()


class Watch:
    """Looks at a run every few seconds: requests done, memory of this process and of those it began, disk."""

    def __init__(self, folder: Path, requests: int) -> None:
        self._folder, self._requests = folder, requests
        self._done, self._first = 0, -1
        self._looks: list[tuple[float, int, list[int]]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._began = self._started = time.perf_counter()
        self._seconds = 0.0

    def note(self, done: int, _: int) -> None:
        """How many requests are done."""
        if self._first < 0:
            self._first, self._started = done, time.perf_counter()
        self._done = done

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = time.perf_counter() - self._started
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_EVERY):
            sizes = sorted((resident(pid) for pid in (os.getpid(), *children(os.getpid()))), reverse=True)
            self._looks.append((time.perf_counter() - self._began, self._done, sizes))

    def verdict(self) -> int:
        """Print it; 1 when disk or memory are not as they should be."""
        step = max(1, len(self._looks) // _LINES)
        for seconds, done, sizes in self._looks[::step]:
            print(f"  {seconds:5.0f} s {done:>11,} requests  resident MB " + " ".join(f"{s / 1e6:.0f}" for s in sizes))
        parts = {name: disk(self._folder / name) for name in ("catalog", "traffic", "run")}
        words = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
        made, slates = self._done - self._first, 2 * (self._done - self._first)
        rate = slates / self._seconds
        print(f"{made:,} requests in {self._seconds:.0f} s: {rate / 2:,.0f} requests, {rate:,.0f} slates a second")
        print(f"disk: {sum(parts.values()) / 1e9:.2f} GB ({words})")
        growth = self._growth()
        print(f"memory, all processes: {growth[0] / 1e6:.0f} MB early, {growth[1] / 1e6:.0f} MB late")
        is_small = sum(parts.values()) <= MOST_DISK
        is_level = not growth[0] or growth[1] <= growth[0] * (1.0 + MOST_GROWTH)  # nobody looks at a short run early
        print(f"at most 4 GB of disk: {'yes' if is_small else 'NO'}; memory is constant: {'yes' if is_level else 'NO'}")
        return 0 if is_small and is_level else 1

    def _growth(self) -> tuple[float, float]:
        """The most that all processes had between a tenth and a quarter of the run, and in its last quarter."""
        left = self._done - self._first
        early = [sum(sizes) for _, done, sizes in self._looks if 0.1 <= (done - self._first) / max(left, 1) <= 0.25]
        late = [sum(sizes) for _, done, sizes in self._looks if 0.75 <= (done - self._first) / max(left, 1) < 1.0]
        return max(early, default=0), max(late, default=0)


def resident(pid: int) -> int:
    """Bytes of a process that are in memory, 0 when it has ended; pages of a mapped catalog count in each."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def children(pid: int) -> list[int]:
    """The processes that a process has begun."""
    try:
        own = [
            Path(f"/proc/{pid}/task/{task}/children").read_text().split() for task in os.listdir(f"/proc/{pid}/task")
        ]
    except OSError:
        return []
    return [int(child) for each in own for child in each]


def disk(folder: Path) -> int:
    """Bytes on disk below a folder."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
