"""Our call beside every peer's, same input, one process: `python -m benchmarks.run`, or `make bench`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ours, peers, record, slates
from benchmarks.goals import goal
from benchmarks.inputs import Work, best_first, queried, real, real_384, synthetic
from benchmarks.ours import Setting
from benchmarks.peers import quotas
from benchmarks.timing import medians
from reranker import Policy
from reranker.engine import warm_up

ROUNDS = 300
DRAWS = 10  # of a k-DPP: one slate by chance says little about relevance and distance
COLUMNS = "{:<26}{:<11}{:>5}  {:<30}{:>10}{:>9}{:>9}{:>9}{:>8}{:>11}  {:<26}{}"
HEAD = ("work", "strategy", "knob", "best peer", "its ms", "ours", "checked", "select", "ratio", "goal", "picks")
ACROSS = tuple(
    Setting(strategy, diversity, window)
    for strategy, window in (("dpp", 0), ("ssd", 10), ("ssd", 0), ("mmr", 0), ("msd", 0), ("cover", 0))
    for diversity in (0.2, 0.5, 0.8, 1.0)
)


@dataclass(frozen=True)
class Case:
    """A candidate list and what to ask of it."""

    make: Callable[[], Work]
    settings: tuple[Setting, ...]


CASES = (
    Case(partial(real, 20), ACROSS),
    Case(partial(real_384, 50), ACROSS),
    *(
        Case(partial(synthetic, shape, *size), ACROSS)
        for shape, size in (
            ("uniform", (300, 64, 20)),
            ("uniform", (1000, 128, 50)),
            ("clustered", (1000, 128, 50)),
            ("duplicates", (1000, 128, 50)),
        )
    ),
    Case(partial(synthetic, "uniform", 5000, 256, 100), (Setting("dpp", 0.5),)),
    Case(lambda: queried(synthetic("uniform", 300, 64, 20)), (Setting("mmr", 0.5),)),
    Case(lambda: queried(real_384(50)), (Setting("mmr", 0.5),)),
    Case(partial(synthetic, "uniform", 300, 64, 20), (Setting("dpp", 0.5, sample=True),)),
    Case(partial(synthetic, "uniform", 1000, 128, 50), (Setting("dpp", 0.5, sample=True),)),
)
QUOTAS = (quotas.Shares(0.3, capped=False), quotas.Shares(0.4, capped=True))


def main(arguments: list[str] | None = None) -> int:
    """Time every case, print the table, write the JSON; 1 when we are slower than a peer anywhere."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for one row, about (default 1)")
    parser.add_argument("--only", default="", help="rows whose work and strategy contain this text")
    parser.add_argument("--output", type=Path, default=record.RESULTS / f"{time.strftime('%Y-%m-%d')}.json")
    options = parser.parse_args(arguments)
    warm_up()
    print(COLUMNS.format(*HEAD, "kept and ILD, beside the peer's"), flush=True)
    rows = list(_rows(options.only, options.seconds))
    record.write(options.output, {"rows": rows})
    record.said(options.output)
    return summary(rows)


def _rows(only: str, seconds: float) -> Iterator[dict[str, Any]]:
    for case in CASES:
        work = case.make()
        for setting in case.settings:
            if only in f"{work.name} {setting.name}":
                yield _shown(compare(work, setting, seconds))
    for shares in QUOTAS:
        work = _two_groups(synthetic("uniform", 300, 64, 20))
        if only in f"{work.name} quotas" and (found := quotas.peers(work, shares)):
            yield _shown(compare_quotas(work, shares, found, seconds))


def compare(work: Work, setting: Setting, seconds: float) -> dict[str, Any]:
    """One row: picks first, then times."""
    policy, found = setting.policy(), peers.of(work, setting)
    row: dict[str, Any] = {"work": work.name, "strategy": setting.name, "diversity": setting.diversity, "peers": {}}
    same = _same(work, setting, found)
    for name, call in found.items():
        seeds = range(DRAWS if setting.sample else 1)
        mine = [ours.positions(work, policy, seed=seed) for seed in seeds]
        row["peers"][name] = {"same_picks_when_set_alike": same[name]} | _worth(work, mine, [call() for _ in seeds])
    return _timed(row, work, policy, found, seconds, goal(work.name, setting))


def compare_quotas(work: Work, shares: quotas.Shares, found: dict[str, peers.Call], seconds: float) -> dict[str, Any]:
    """One row of the quota libraries."""
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": shares.words()})
    kind = "quota ±" if shares.capped else "quota min"
    row: dict[str, Any] = {"work": work.name, "strategy": kind, "diversity": 0.0, "peers": {}}
    picks = ours.positions(work, policy, groups=True)
    for name, call in found.items():
        theirs = list(call())
        row["peers"][name] = {
            "same_picks_when_set_alike": slates.equal(picks, theirs),
            "prefixes_broken": shares.broken(work, theirs),
            **_worth(work, [picks], [theirs]),
        }
    return _timed(row, work, policy, found, seconds, None, groups=True)


def _same(work: Work, setting: Setting, found: dict[str, peers.Call]) -> dict[str, float | None]:
    """The share of equal picks where both sides can be set so that all must be.

    At diversity 1 scores no longer count and all first picks tie: ours takes the most relevant candidate, most peers
    the first. So that they take the same one, the list is then in upstream order.
    """
    if setting.diversity == 1.0:
        work = best_first(work)
        found = peers.of(work, setting)
    shares: dict[str, float | None] = {}
    for name, call in found.items():
        alike = peers.alike(work, setting, name)
        if alike is None:
            shares[name] = None
            continue
        words, call_alike = alike
        shares[name] = slates.equal(ours.positions(work, setting.policy(**words)), (call_alike or call)())
    return shares


def _worth(work: Work, mine: list[Any], theirs: list[Any]) -> dict[str, Any]:
    return {
        "overlap": float(np.mean([slates.overlap(a, b) for a, b in zip(mine, theirs, strict=True)])),
        "retained": float(np.mean([slates.retained(work, picks) for picks in theirs])),
        "ild": float(np.mean([slates.distance(work, picks) for picks in theirs])),
        "ours_retained": float(np.mean([slates.retained(work, picks) for picks in mine])),
        "ours_ild": float(np.mean([slates.distance(work, picks) for picks in mine])),
    }


def _timed(
    row: dict[str, Any],
    work: Work,
    policy: Policy,
    found: dict[str, peers.Call],
    seconds: float,
    asked: float | None,
    groups: bool = False,
) -> dict[str, Any]:
    stages = ours.Stages(ours.candidates_of(work, groups), policy, work.slate_size)
    times = medians({**found, **ours.calls(work, policy, groups), "stages": stages}, ROUNDS, seconds)
    for name in found:
        row["peers"][name]["ms"] = times[name]
    best = min(found, key=lambda name: times[name]) if found else None
    ratio = times[best] / times["ours"] if best else None
    return row | {
        "best_peer": best,
        "peer_ms": times[best] if best else None,
        "ours_ms": times["ours"],
        "ours_checked_ms": times["checked"],
        "ours_select_ms": stages.median("select"),
        "ratio": ratio,
        "goal": asked,
        "met": None if asked is None or ratio is None else ratio >= asked,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Print a row: the best peer in full, the others' times below."""
    best = row["best_peer"]
    beside = row["peers"].get(best, {})
    asked = "" if row["goal"] is None else f"{row['goal']:g}x {'met' if row['met'] else 'MISSED'}"
    print(
        COLUMNS.format(
            row["work"],
            row["strategy"],
            f"{row['diversity']:g}",
            best or "no peer is installed",
            f"{row['peer_ms']:.3f}" if best else "",
            *(f"{row[name]:.3f}" for name in ("ours_ms", "ours_checked_ms", "ours_select_ms")),
            f"{row['ratio']:.1f}x" if best else "",
            asked,
            _picks(beside),
            f"{beside['ours_retained']:.3f} {beside['ours_ild']:.3f}, {beside['retained']:.3f} {beside['ild']:.3f}"
            if beside
            else "",
        ),
        flush=True,
    )
    for name, other in row["peers"].items():
        if name != best:
            print(COLUMNS.format("", "", "", name, f"{other['ms']:.3f}", *[""] * 5, _picks(other), "").rstrip())
    return row


def _picks(beside: dict[str, Any]) -> str:
    """Equal where both can be set alike; the overlap as they are set here."""
    if not beside:
        return ""
    same = beside["same_picks_when_set_alike"]
    broken = f", breaks {beside['prefixes_broken']} prefixes" if beside.get("prefixes_broken") else ""
    return ("" if same is None else f"{same:.0%} equal, ") + f"{beside['overlap']:.0%} overlap{broken}"


def summary(rows: list[dict[str, Any]]) -> int:
    """Where goals were missed and where we are slower; 1 when that is anywhere."""
    goals = [row for row in rows if row["met"] is not None]
    print(f"{sum(row['met'] for row in goals)} of {len(goals)} goals met")
    slower = [row for row in rows if row["ratio"] is not None and row["ratio"] < 1.0]
    for row in sorted(slower, key=lambda row: row["ratio"]):
        print(
            f"slower than {row['best_peer']}: {row['work']}, {row['strategy']}, diversity {row['diversity']:g}:"
            f" {row['ratio']:.2f}x"
        )
    return 1 if slower else 0


def _two_groups(work: Work) -> Work:
    """One candidate in ten protected: bounds that relevance alone would break."""
    drawn = np.random.default_rng(0).random(len(work.scores)) < 0.1
    groups = [quotas.PROTECTED if one else quotas.OTHER for one in drawn.tolist()]
    return replace(work, groups=groups)


if __name__ == "__main__":
    sys.exit(main())
