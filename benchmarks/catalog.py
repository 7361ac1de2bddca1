"""What an item catalog costs: `python -m benchmarks.catalog [items] [dimensions]`, or `make bench-catalog`.

Builds one, looks 1,000 random ids up again and again, and maps it from one process and from four.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reranker import Candidates, Policy, rerank
from reranker.engine import warm_up
from reranker.signals import Catalog
from reranker.signals.batches import Batch, Places
from reranker.signals.build import build_catalog

BATCH, ASKED, ROUNDS = 65_536, 1_000, 1_000
TONES = ("1-2", "3-4", "5-6", "7-8")


def main() -> int:
    """Print all of it."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    dimension = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    with tempfile.TemporaryDirectory() as folder:
        for numbers in (False, True):
            path = Path(folder) / ("numbers" if numbers else "texts")
            kind = "64-bit numbers" if numbers else "text such as item-000000123"
            print(f"\n{items:,} items x {dimension} float16, two attributes, ids are {kind}")
            spawn = multiprocessing.get_context("spawn")  # a process of its own has a peak of its own
            with spawn.Pool(1) as pool:
                pool.apply(_build, (path, items, dimension, numbers))
            with spawn.Pool(1) as pool:
                pool.apply(_look_up, (path, items, numbers))
            for workers in (1, 4):
                _share(spawn, path, workers)
    return 0


def ids_of(rows: Any, numbers: bool) -> list[Any]:
    """The ids in some rows."""
    return [int(row) * 2_654_435_761 for row in rows] if numbers else [f"item-{row:09d}" for row in rows]


def batches(items: int, dimension: int, numbers: bool) -> Iterator[Batch]:
    """So many items with random vectors, one of four tones and one of 50,000 creators."""
    rng = np.random.default_rng(0)
    for first in range(0, items, BATCH):
        rows = range(first, min(first + BATCH, items))
        vectors = rng.standard_normal((len(rows), dimension), np.float32)
        attributes = {
            "skin_tone": [TONES[code] for code in rng.integers(0, 4, len(rows)).tolist()],
            "creator": [f"creator {code}" for code in rng.integers(0, 50_000, len(rows)).tolist()],
        }
        yield Batch(Places("random", rows), ids_of(rows, numbers), {"": vectors}, attributes)


def _build(path: Path, items: int, dimension: int, numbers: bool) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    built = build_catalog(path, batches(items, dimension, numbers), precision="float16")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    words = f"peak {peak / 1e3:.0f} MB of memory, {before / 1e3:.0f} of them before it began"
    print(f"  built in {seconds:.1f} s, {built.size / 1e6:.0f} MB; {words}")


def _look_up(path: Path, items: int, numbers: bool) -> None:
    warm_up()
    started = time.perf_counter()
    catalog = Catalog.open(path)
    opened = time.perf_counter()
    catalog.check()
    checked = time.perf_counter() - opened
    print(f"  opened in {(opened - started) * 1e3:.1f} ms, checked from end to end in {checked:.2f} s")
    rng, scores = np.random.default_rng(1), np.linspace(1.0, 0.0, ASKED)
    policy = Policy.from_dict({"name": "x", "objective": {"strategy": "dpp"}})
    taken: dict[str, list[float]] = {"ids to rows": [], "rows to vectors": [], "two attributes": [], "DPP of 50": []}
    for _ in range(ROUNDS):  # fresh ids every time: nothing of them is in the processor's cache
        bare = Candidates(ids_of(rng.choice(items, ASKED, replace=False), numbers), scores)
        times = [time.perf_counter()]
        rows = catalog.find(bare.ids)
        times.append(time.perf_counter())
        candidates = catalog.join(bare, rows, attributes=[])
        times.append(time.perf_counter())
        catalog.join(bare, rows, embeddings=[])
        times.append(time.perf_counter())
        rerank(candidates, policy, 50)
        times.append(time.perf_counter())
        assert (rows >= 0).all()
        for name, seconds in zip(taken, np.diff(times).tolist(), strict=True):
            taken[name].append(seconds)
    for name, each in taken.items():
        p50, p99 = np.percentile(each, [50, 99]) * 1e6
        print(f"  {ASKED:,} {name}: p50 {p50:.0f} us, p99 {p99:.0f} us")


def _share(spawn: Any, path: Path, workers: int) -> None:
    """What so many processes hold of the file together: each page counts once, divided among those who map it."""
    barrier = spawn.Barrier(workers)
    with spawn.Pool(workers, _remember, (barrier,)) as pool:
        found = pool.map(_hold, [path] * workers, 1)
    shared, own = sum(each[0] for each in found), sum(each[1] for each in found)
    size = Path(path, f"{(path / 'current').read_text().strip()}.catalog").stat().st_size
    words = f"{shared / 1e6:.0f} MB of the file's {size / 1e6:.0f}, {own / 1e6:.1f} MB of their own"
    print(f"  mapped by {workers} process{'es' if workers > 1 else ''}: {words}")


_barrier: Any = None


def _remember(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _hold(path: Path) -> tuple[int, int]:
    """Proportional and private bytes of the mapping, looked at while every process has it."""
    catalog = Catalog.open(path)
    catalog.check()
    _barrier.wait()
    sizes = {"Pss": 0, "Private_Dirty": 0}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, _, rest = line.partition(":")
        if "-" in line.split(" ")[0]:
            inside = line.endswith(str(catalog.path))
        elif inside and key in sizes:
            sizes[key] += int(rest.split()[0]) * 1024
    _barrier.wait()
    return sizes["Pss"], sizes["Private_Dirty"]


if __name__ == "__main__":
    sys.exit(main())
