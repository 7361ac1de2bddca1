"""Our call beside the peer's: `python -m benchmarks.run`, or `make bench`."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyversity

from benchmarks.inputs import Work, real, synthetic
from benchmarks.timing import medians
from reranker import Candidates, Policy, rerank
from reranker.engine import warm_up

RESULTS = Path(__file__).parent / "results"
WINDOW = {"ssd": 10}  # by strategy; the others look at the whole slate


def main() -> int:
    """Time every case, print the table, write the JSON; non-zero when we are slower anywhere."""
    warm_up()
    works = [real(20), synthetic("uniform", 300, 64, 20), synthetic("uniform", 1000, 128, 50)]
    works += [synthetic("clustered", 1000, 128, 50), synthetic("duplicates", 1000, 128, 50)]
    print(f"{'work':<27}{'strategy':<10}{'diversity':>9}{'pyversity':>11}{'ours':>9}{'ratio':>8}{'same picks':>12}")
    rows = [row for work in works for row in _compare(work)]
    rows += [_quota_row(work) for work in works]
    _write(rows)
    slower = [row for row in rows if row["peer_ms"] and row["ours_ms"] > row["peer_ms"]]
    for row in slower:
        print(f"slower than the peer: {row['work']}, {row['strategy']}, diversity {row['diversity']}")
    return 1 if slower else 0


def _compare(work: Work) -> list[dict[str, Any]]:
    """The strategies that we share with the peer, across the knob."""
    rows = []
    for strategy in ("dpp", "ssd", "mmr", "msd", "cover"):
        for diversity in (0.2, 0.5, 0.8, 1.0):
            times = medians(_calls(work, strategy, diversity), rounds=150, seconds=3.0)
            same = _overlap_when_set_alike(work, strategy, diversity)
            rows.append(_row(work, strategy, diversity, times, same))
            print(
                f"{work.name:<27}{strategy:<10}{diversity:>9}{times['peer']:>8.3f} ms{times['ours']:>7.3f} ms"
                f"{times['peer'] / times['ours']:>7.1f}x{'-' if same is None else f'{same:.0%}':>11}"
            )
    return rows


def _calls(work: Work, strategy: str, diversity: float) -> dict[str, Callable[[], object]]:
    peer = pyversity.Strategy(strategy)
    objective = {"strategy": strategy, "diversity": diversity, "window": WINDOW.get(strategy, 0)}
    policy = Policy.from_dict({"objective": objective})
    candidates, settings = _candidates(work), _peer_settings(strategy)

    def theirs() -> object:
        with np.errstate(all="ignore"):
            return pyversity.diversify(work.embeddings, work.scores, work.slate_size, peer, diversity, **settings)

    def ours() -> object:
        # The whole call, as a notebook makes it: checking the candidates is part of the price.
        return rerank(_candidates(work), policy, work.slate_size)

    def checked() -> object:
        return rerank(candidates, policy, work.slate_size)

    return {"peer": theirs, "ours": ours, "checked": checked}


def _quota_row(work: Work) -> dict[str, Any]:
    """What four floors on one attribute add to the whole call."""
    values = sorted(set(work.groups) - {"unknown"})
    floors = {"attribute": "group", "min_share": dict.fromkeys(values, 0.1)}
    bare = Policy.from_dict({"objective": {"strategy": "dpp"}})
    quotas = Policy.from_dict({"objective": {"strategy": "dpp"}, "quotas": [floors]})
    candidates = _candidates(work, groups=True)
    times = medians(
        {
            "bare": lambda: rerank(candidates, bare, work.slate_size),
            "quotas": lambda: rerank(candidates, quotas, work.slate_size),
        },
        rounds=200,
    )
    ratio = times["quotas"] / times["bare"]
    print(f"{work.name:<27}dpp with {len(values)} floors: {times['quotas']:.3f} ms, {ratio:.2f}x without them")
    return {
        "work": work.name,
        "strategy": "dpp + floors",
        "diversity": 0.5,
        "peer_ms": None,
        "ours_ms": times["quotas"],
        "without_quotas_ms": times["bare"],
    }


def _candidates(work: Work, groups: bool = False) -> Candidates:
    attributes = {"group": work.groups} if groups else None
    return Candidates(list(range(len(work.scores))), work.scores, work.embeddings, attributes)


def _overlap_when_set_alike(work: Work, strategy: str, diversity: float) -> float | None:
    """Share of equal picks under the peer's own normalisation and similarity; None for MSD, which is another sum.

    Its DPP at knob d weighs z-scored relevance 2 (1 - d) against log d2, which is our knob 1 / (3 - 2 d). Its SSD works
    on vectors longer than ours by the root of 2.
    """
    if strategy == "msd":
        return None
    words: dict[str, Any] = {"strategy": strategy, "diversity": diversity, "window": WINDOW.get(strategy, 0)}
    settings: dict[str, Any] = dict(_peer_settings(strategy))
    if strategy == "dpp":
        words |= {"diversity": 1.0 / (3.0 - 2.0 * diversity), "similarity": "cosine"}
    elif strategy == "ssd":
        settings["gamma"] = np.sqrt(0.5)
    else:
        words |= {"similarity": "cosine", "score_normalisation": "none"}
    ours = rerank(_candidates(work), Policy.from_dict({"objective": words}), work.slate_size).positions
    peer = pyversity.Strategy(strategy)
    with np.errstate(all="ignore"):
        found = pyversity.diversify(work.embeddings, work.scores, work.slate_size, peer, diversity, **settings)
    return float(np.mean(ours == found.indices))


def _peer_settings(strategy: str) -> dict[str, Any]:
    return {"window": WINDOW[strategy]} if strategy in WINDOW else {}


def _row(work: Work, strategy: str, diversity: float, times: dict[str, float], same: float | None) -> dict[str, Any]:
    return {
        "work": work.name,
        "strategy": strategy,
        "diversity": diversity,
        "peer_ms": times["peer"],
        "ours_ms": times["ours"],
        "ours_checked_ms": times["checked"],
        "same_picks_when_set_alike": same,
    }


def _write(rows: list[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    versions = {name: version(name) for name in ("numpy", "numba", "pyversity")}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    path = RESULTS / f"{time.strftime('%Y-%m-%d')}.json"
    path.write_text(json.dumps({"machine": machine, "versions": versions, "rows": rows}, indent=1) + "\n")
    print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    sys.exit(main())
