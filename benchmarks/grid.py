"""Never slower than the best peer? Every strategy over N x D x k: `python -m benchmarks.grid`, or `make bench-grid`.

Points that a file holds already are not measured again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, record
from benchmarks.inputs import forget, synthetic
from benchmarks.ours import Setting
from benchmarks.timing import medians
from reranker.engine import warm_up

CANDIDATES = (50, 100, 300, 1000, 3000, 10000)
DIMENSIONS = (32, 64, 128, 256, 768)
SLATES = (10, 25, 50, 100)
KNOB = (0.5, 1.0)
STRATEGIES = (("dpp", 0), ("ssd", 0), ("ssd", 10), ("mmr", 0), ("msd", 0), ("cover", 0))
COVERED = 1000  # candidates for cover, whose peer takes N² memory a slot
ROUNDS = 200


@dataclass(frozen=True)
class Point:
    """One place in the grid."""

    N: int
    D: int
    k: int
    strategy: str
    window: int
    diversity: float

    @property
    def setting(self) -> Setting:
        """What is asked for there."""
        return Setting(self.strategy, self.diversity, self.window)

    def __str__(self) -> str:
        return f"{self.setting.name} {self.diversity:g} at {self.N}/{self.D}/{self.k}"


def points(only: dict[str, set[str]]) -> Iterator[Point]:
    """The grid, lists of one size after another; `only` keeps those with one of the values for each name."""
    for n, d, k, (strategy, window), diversity in product(CANDIDATES, DIMENSIONS, SLATES, STRATEGIES, KNOB):
        point = Point(n, d, k, strategy, window, diversity)
        if k <= n and (strategy != "cover" or n <= COVERED) and _kept(point, only):
            yield point


def _kept(point: Point, only: dict[str, set[str]]) -> bool:
    named = {**{name: f"{value:g}" for name, value in asdict(point).items() if name != "strategy"}}
    named["strategy"] = point.strategy
    return all(named[name] in values for name, values in only.items())


def read_only(text: str) -> dict[str, set[str]]:
    """`N=50,N=100,strategy=dpp` as values by name. Raises `ValueError` for a name that the grid does not have."""
    only: dict[str, set[str]] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in Point.__dataclass_fields__:
            raise ValueError(f"{name!r} is none of {', '.join(Point.__dataclass_fields__)}")
        only.setdefault(name, set()).add(value if name == "strategy" else f"{float(value):g}")
    return only


def main(arguments: list[str] | None = None) -> int:
    """Measure, write after every size of list, list the points where we are slower; 1 when there are any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description=__doc__)
    parser.add_argument("--only", type=read_only, default={}, help="e.g. N=1000,N=3000,D=128,k=50,strategy=dpp")
    parser.add_argument("--seconds", type=float, default=0.6, help="for one point, about (default 0.6)")
    parser.add_argument("--shape", default="uniform", help="of the candidates: uniform, clustered, duplicates")
    parser.add_argument("--output", type=Path, default=record.RESULTS / "grid.json")
    parser.add_argument("--anew", action="store_true", help="forget what the file holds")
    options = parser.parse_args(arguments)
    warm_up()
    found = {} if options.anew else _held(options.output, options.shape)
    asked = list(points(options.only))
    left = [point for point in asked if str(point) not in found]
    print(f"{len(asked)} points, {len(left)} to measure, about {len(left) * options.seconds * 1.3 / 60:.0f} minutes")
    size = (0, 0)
    for done, point in enumerate(left):
        if size != (point.N, point.D):
            size = (point.N, point.D)
            forget()
            _write(options.output, options.shape, found)
            print(f"{done:>5} of {len(left)}: N={point.N} D={point.D}", flush=True)
        found[str(point)] = measured(point, options.shape, options.seconds)
    _write(options.output, options.shape, found)
    record.said(options.output)
    return summary([found[str(point)] for point in asked])


def measured(point: Point, shape: str, seconds: float) -> dict[str, Any]:
    """Times of every peer and of ours at one point, in turn."""
    work = synthetic(shape, point.N, point.D, point.k)
    found: dict[str, peers.Call] = peers.of(work, point.setting)
    if point.N > 300:
        found.pop("NumPy MAP, kernel", None)  # N² products where the columns do: it cannot be the best any more
    times = medians({**found, **ours.calls(work, point.setting.policy())}, ROUNDS, seconds)
    best = min(found, key=lambda name: times[name])
    return {
        **asdict(point),
        "best_peer": best,
        "peer_ms": times[best],
        "ours_ms": times["ours"],
        "ours_checked_ms": times["checked"],
        "ratio": times[best] / times["ours"],
        "peers": {name: times[name] for name in found},
    }


def summary(rows: list[dict[str, Any]]) -> int:
    """The worst and the median by strategy, then every point where we are slower, worst first."""
    print(f"{'strategy':<12}{'knob':>6}{'points':>8}{'slower':>8}{'least':>9}{'median':>9}{'most':>9}")
    for (strategy, window), diversity in product(STRATEGIES, KNOB):
        setting = Setting(strategy, diversity, window)
        ratios = sorted(
            row["ratio"]
            for row in rows
            if (row["strategy"], row["window"], row["diversity"]) == (strategy, window, diversity)
        )
        if ratios:
            slower = sum(ratio < 1.0 for ratio in ratios)
            ends = f"{ratios[0]:>8.2f}x{ratios[len(ratios) // 2]:>8.2f}x{ratios[-1]:>8.2f}x"
            print(f"{setting.name:<12}{diversity:>6g}{len(ratios):>8}{slower:>8}{ends}")
    behind = sorted((row for row in rows if row["ratio"] < 1.0), key=lambda row: row["ratio"])
    print(f"slower at {len(behind)} of {len(rows)} points" + (", worst first:" if behind else ""))
    for row in behind:
        point = Point(*(row[name] for name in Point.__dataclass_fields__))
        times = f"{row['peer_ms']:.3f} ms against our {row['ours_ms']:.3f} ({row['ours_checked_ms']:.3f} checked)"
        print(f"  {row['ratio']:.2f}x  {point}: {row['best_peer']} {times}")
    return 1 if behind else 0


def _held(path: Path, shape: str) -> dict[str, dict[str, Any]]:
    """What a file holds of the same kind of candidates."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    return dict(stored["points"]) if stored.get("shape") == shape else {}


def _write(path: Path, shape: str, found: dict[str, dict[str, Any]]) -> None:
    record.write(path, {"shape": shape, "points": found})


if __name__ == "__main__":
    sys.exit(main())
