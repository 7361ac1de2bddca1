"""What calls do to memory: `python -m benchmarks.memory`, or `make bench-memory`.

Resident size over many calls, which has to stay flat; the pages that a call makes the system hand over; and what a call
allocates by line, with Python's own tracer, which NumPy reports its arrays to. What compiled kernels allocate for
themselves the tracer does not see: that shows in resident size and page faults.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ours, record
from benchmarks.allocations import traced
from benchmarks.inputs import synthetic
from benchmarks.ours import Setting
from reranker.engine import warm_up

MIX = tuple(Setting(strategy, 0.5) for strategy in ("dpp", "ssd", "mmr", "msd", "cover"))
SIZES = ((100, 64, 10), (300, 64, 20), (1000, 128, 50))
SAMPLES = 200
PAGE = resource.getpagesize()


def main(arguments: list[str] | None = None) -> int:
    """Print all of it and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="over which resident size is watched")
    parser.add_argument("--seconds", type=float, default=300.0, help="stop watching after so many (default 300)")
    parser.add_argument("--output", type=Path, default=record.RESULTS / "memory.json")
    options = parser.parse_args(arguments)
    warm_up()
    flat = watched(options.calls, options.seconds)
    print(
        f"resident size over {flat['calls']:,} calls of {len(MIX)} strategies in turn, N/D/k {SIZES[0]}:"
        f" {flat['first_mb']:.1f} MB after warm-up, {flat['last_mb']:.1f} at the end, {flat['most_mb']:.1f} at most;"
        f" {flat['bytes_per_call']:+.2f} bytes a call"
    )
    rows = [_call(size, setting) for size in SIZES for setting in MIX]
    record.write(options.output, {"resident": flat, "calls": rows})
    record.said(options.output)
    return 0


def watched(calls: int, seconds: float) -> dict[str, Any]:
    """Resident size while whole calls are made; the slope is fitted over samples after the first tenth."""
    work = synthetic("uniform", *SIZES[0])
    whole = [ours.calls(work, setting.policy())["ours"] for setting in MIX]
    every = max(1, calls // SAMPLES)
    at: list[int] = []
    sizes: list[int] = []
    stop = time.perf_counter() + seconds
    for done in range(calls):
        whole[done % len(whole)]()
        if done % every == every - 1:
            at.append(done + 1)
            sizes.append(resident())
            if time.perf_counter() > stop:
                break
    later = slice(len(at) // 10, None)
    slope = float(np.polyfit(at[later], sizes[later], 1)[0]) if len(at[later]) > 1 else 0.0
    return {
        "calls": at[-1],
        "first_mb": sizes[later][0] / 1e6,
        "last_mb": sizes[-1] / 1e6,
        "most_mb": max(sizes) / 1e6,
        "bytes_per_call": slope,
    }


def resident() -> int:
    """Bytes of this process that are in memory now; elsewhere than on Linux, the most there ever were."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def faults(call: Callable[[], object], times: int = 200) -> float:
    """Minor page faults a call."""
    for _ in range(20):
        call()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        call()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / times


def _call(size: tuple[int, int, int], setting: Setting) -> dict[str, Any]:
    """One strategy at one size: faults and allocations of the whole call and of that on checked candidates."""
    work = synthetic("uniform", *size)
    row: dict[str, Any] = {"work": work.size, "strategy": setting.name}
    for name, call in ours.calls(work, setting.policy()).items():
        row[f"{name}_faults"] = faults(call)
        gc.collect()
        row[name] = traced(call).row()
    _print(row)
    return row


def _print(row: dict[str, Any]) -> None:
    parts = [
        f"{name}: {row[f'{name}_faults']:.1f} page faults, {row[name]['bytes'] / 1e3:.1f} kB of arrays in"
        f" {row[name]['lines']} lines, {row[name]['peak'] / 1e3:.1f} kB at once, its answer keeps"
        f" {row[name]['kept_bytes'] / 1e3:.1f} kB in {row[name]['kept_blocks']} blocks"
        for name in ("ours", "checked")
    ]
    print(f"{row['work']} {row['strategy']}; " + "\n    ".join(parts))
    for place, size in row["checked"]["largest"][:3]:
        print(f"        {size / 1e3:>9.1f} kB  {place}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
