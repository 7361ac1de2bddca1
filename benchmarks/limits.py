"""How near a selection comes to what this machine can do: `python -m benchmarks.limits`, or `make bench-limits`.

Time is that of the stage `select`: the kernel, with its arrays laid out. The shortest that it could be has two bounds:
every input read once at the speed of memory, and the multiply-adds at SGEMM's speed: those that even a lazy scan with
foresight must do (`benchmarks.lazy`), those of an eager loop where nothing is known of a lazy one. A share of an eager
bound above 100 % is work that was never done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine, ours, record
from benchmarks.inputs import Work, synthetic
from benchmarks.lazy import least
from benchmarks.operations import eager
from benchmarks.ours import Setting
from benchmarks.timing import medians
from reranker.engine import warm_up

SIZES = ((300, 64, 20), (1000, 128, 50), (5000, 256, 100))
STRATEGIES = (("dpp", 0), ("ssd", 0), ("ssd", 10), ("mmr", 0), ("msd", 0), ("cover", 0))
KNOB = (0.5, 1.0)
COVERED = 1000  # candidates; above, cover works similarities out again and again instead of keeping them
ROUNDS = 300


def main(arguments: list[str] | None = None) -> int:
    """Print the peaks, then a row a kernel and size; write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for one row, about (default 1)")
    parser.add_argument("--most", type=int, default=10**9, help="leave out lists of more candidates")
    parser.add_argument("--output", type=Path, default=record.RESULTS / "limits.json")
    options = parser.parse_args(arguments)
    warm_up()
    peaks = machine.measure(min(options.seconds, 0.5))
    print("this machine, one BLAS thread, the best of many rounds:")
    for name, value in peaks.rows().items():
        unit = "multiply-adds/s" if name.startswith("sg") else "bytes/s"
        print(f"  {name:<14}{value:>8.1f} thousand million {unit}")
    rows = list(_rows(peaks, options.seconds, options.most))
    record.write(options.output, {"peaks": peaks.rows(), "rows": rows})
    record.said(options.output)
    return 0


def _rows(peaks: machine.Peaks, seconds: float, most: int) -> Iterator[dict[str, Any]]:
    above = ("", "eager", "its share", "its share", "lazy", "its share", "input", "shortest", "")
    head = ("select ms", "MMAC", "of SGEMV", "of SGEMM", "MMAC", "of SGEMM", "MB", "ms", "reached")
    print(f"{'':<29}" + "".join(f"{name:>10}" for name in above))
    print(f"{'N/D/k':<14}{'strategy':<10}{'knob':>5}" + "".join(f"{name:>10}" for name in head) + "  bound by")
    for size in SIZES:
        if size[0] > most:
            continue
        work = synthetic("uniform", *size)
        for strategy, window in STRATEGIES:
            for diversity in KNOB if strategy != "cover" or size[0] <= COVERED else ():
                row = reached(work, Setting(strategy, diversity, window), peaks, seconds)
                print(_line(row), flush=True)
                yield row


def reached(work: Work, setting: Setting, peaks: machine.Peaks, seconds: float) -> dict[str, Any]:
    """One row: what it needs, how long it took, and the shares of the peaks."""
    policy = setting.policy()
    stages = ours.Stages(ours.candidates_of(work), policy, work.slate_size)
    medians({"stages": stages}, ROUNDS, seconds)
    milliseconds = stages.median("select")
    N, D = work.embeddings.shape
    need = eager(setting, N, D, work.slate_size)
    lazy = least(setting, work, ours.positions(work, policy))
    must = need.multiply_adds if lazy is None else lazy
    bounds = {"reading once": need.once / peaks.copy_memory / 1e6, "multiply-adds": must / peaks.sgemm / 1e6}
    shortest = max(bounds.values())
    rates = {"eager": need.multiply_adds / milliseconds / 1e6, "lazy": must / milliseconds / 1e6}
    return {
        "work": work.size,
        "strategy": setting.name,
        "diversity": setting.diversity,
        "select_ms": milliseconds,
        "eager_multiply_adds": need.multiply_adds,
        "eager_of_sgemv": rates["eager"] / peaks.sgemv_cached,
        "eager_of_sgemm": rates["eager"] / peaks.sgemm,
        "eager_bytes": need.streamed,
        "eager_bytes_of_copy": need.streamed / milliseconds / 1e6 / peaks.copy_cached,
        "lazy_multiply_adds": lazy,
        "lazy_of_sgemm": None if lazy is None else rates["lazy"] / peaks.sgemm,
        "bytes_once": need.once,
        "shortest_ms": shortest,
        "reached": shortest / milliseconds,
        "bound_by": max(bounds, key=lambda name: bounds[name]),
    }


def _line(row: dict[str, Any]) -> str:
    lazy = ("-", "-") if row["lazy_multiply_adds"] is None else (
        f"{row['lazy_multiply_adds'] / 1e6:.2f}", f"{row['lazy_of_sgemm']:.0%}",
    )  # fmt: skip
    cells = (
        f"{row['select_ms']:.3f}",
        f"{row['eager_multiply_adds'] / 1e6:.2f}",
        f"{row['eager_of_sgemv']:.0%}",
        f"{row['eager_of_sgemm']:.0%}",
        *lazy,
        f"{row['bytes_once'] / 1e6:.2f}",
        f"{row['shortest_ms']:.3f}",
        f"{row['reached']:.0%}",
    )
    start = f"{row['work']:<14}{row['strategy']:<10}{row['diversity']:>5g}"
    return start + "".join(f"{cell:>10}" for cell in cells) + f"  {row['bound_by']}"


if __name__ == "__main__":
    sys.exit(main())
