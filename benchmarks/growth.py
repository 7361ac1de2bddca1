"""How time grows with N, D and k, and the exponents of it: `python -m benchmarks.growth`, or `make bench-growth`.

Beside each fitted exponent stands that of the eager count of multiply-adds at the same points: what theory says, the
fixed costs of a call left out. Small lists are mostly fixed costs and flatten a fit, so the larger half has its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, record
from benchmarks.fit import power
from benchmarks.inputs import forget, synthetic
from benchmarks.operations import eager
from benchmarks.ours import Setting
from benchmarks.timing import medians
from reranker.engine import warm_up
from reranker.errors import MissingExtra

ROUNDS = 200
SLACK = 0.05  # over what theory says
STRATEGIES = (("dpp", 0), ("ssd", 0), ("ssd", 10), ("mmr", 0), ("msd", 0), ("cover", 0))
KNOB = (0.5, 1.0)
MIDDLE = {  # what the other two are, by the one that grows; fewer slots than dimensions, or a dpp's rank would end
    "N": {"D": 128, "k": 50},
    "D": {"N": 1000, "k": 25},
    "k": {"N": 1000, "D": 128},
}
SWEEPS = {"N": (100, 300, 1000, 3000, 10000), "D": (32, 64, 128, 256, 512, 768), "k": (5, 10, 25, 50, 100)}
COVER_N = (100, 200, 400, 700, 1000)
LINES = ("ours_ms", "ours_checked_ms", "ours_select_ms", "peer_ms")


def main(arguments: list[str] | None = None) -> int:
    """Measure the sweeps, print exponents, write the JSON and draw it; 1 when time grows faster than theory says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for one point, about (default 1)")
    parser.add_argument("--strategy", action="append", help="only this one; may be given again")
    parser.add_argument("--most", type=int, default=10**9, help="leave out points with a size above this")
    parser.add_argument("--output", type=Path, default=record.RESULTS / "growth.json")
    parser.add_argument("--figures", type=Path, default=None, help="folder of the plot (default docs/figures)")
    options = parser.parse_args(arguments)
    warm_up()
    sweeps = list(_sweeps(options.strategy, options.seconds, options.most))
    record.write(options.output, {"sweeps": sweeps})
    record.said(options.output)
    beyond = table(sweeps)
    _draw(options.output, options.figures)
    return 1 if beyond else 0


def _sweeps(only: list[str] | None, seconds: float, most: int) -> Iterator[dict[str, Any]]:
    for axis, all_sizes in SWEEPS.items():
        for strategy, window in STRATEGIES:
            if only and strategy not in only:
                continue
            sizes = COVER_N if (strategy, axis) == ("cover", "N") else all_sizes
            for diversity in KNOB:
                setting = Setting(strategy, diversity, window)
                points = [
                    measured(setting, {**MIDDLE[axis], axis: size}, seconds)
                    for size in sizes
                    if size <= most or size < 51
                ]
                print(f"  {axis} {setting.name} {diversity:g}: {len(points)} points", flush=True)
                yield fitted(axis, setting, points)
        forget()


def measured(setting: Setting, at: dict[str, int], seconds: float) -> dict[str, Any]:
    """Median milliseconds at one point."""
    work = synthetic("uniform", at["N"], at["D"], at["k"])
    found = peers.of(work, setting)
    found.pop("NumPy MAP, kernel", None)
    policy = setting.policy()
    stages = ours.Stages(ours.candidates_of(work), policy, work.slate_size)
    times = medians({**found, **ours.calls(work, policy), "stages": stages}, ROUNDS, seconds)
    return {
        **at,
        "ours_ms": times["ours"],
        "ours_checked_ms": times["checked"],
        "ours_select_ms": stages.median("select"),
        "peer_ms": min(times[name] for name in found),
        "eager_multiply_adds": eager(setting, **at).multiply_adds,
    }


def fitted(axis: str, setting: Setting, points: list[dict[str, Any]]) -> dict[str, Any]:
    """A sweep with its exponents: of all points, and of the larger half, three of them at least."""
    half = points[-max(3, (len(points) + 1) // 2) :]
    fits = {}
    for line in (*LINES, "eager_multiply_adds"):
        whole, tail = (power([one[axis] for one in some], [one[line] for one in some]) for some in (points, half))
        fits[line] = {"exponent": whole.exponent, "explained": whole.explained, "larger_half": tail.exponent}
    return {
        "axis": axis,
        "strategy": setting.name,
        "diversity": setting.diversity,
        "points": points,
        "fits": fits,
    }


def table(sweeps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print the exponents; returns the sweeps whose whole call grows faster than theory says."""
    head = ("whole call", "larger half", "select", "larger half", "theory", "best peer")
    print(f"{'in':<4}{'strategy':<12}{'knob':>5}" + "".join(f"{name:>13}" for name in head))
    beyond = []
    for sweep in sweeps:
        fits = sweep["fits"]
        theory = fits["eager_multiply_adds"]["exponent"]
        whole, select, peer = (fits[line] for line in ("ours_ms", "ours_select_ms", "peer_ms"))
        row = (whole["exponent"], whole["larger_half"], select["exponent"], select["larger_half"], theory)
        fast = whole["exponent"] > theory + SLACK
        beyond += [sweep] if fast else []
        print(
            f"{sweep['axis']:<4}{sweep['strategy']:<12}{sweep['diversity']:>5g}"
            + "".join(f"{value:>13.2f}" for value in (*row, peer["exponent"]))
            + (f"   more than {theory + SLACK:.2f}" if fast else "")
        )
    return beyond


def _draw(source: Path, folder: Path | None) -> None:
    """The plot, where what draws it is installed."""
    from benchmarks import figures, growth_figure

    try:
        print(growth_figure.write(json.loads(source.read_text()), folder or figures.TARGET))
    except MissingExtra as missing:
        print(f"not drawn: {missing}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
