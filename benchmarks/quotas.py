"""What quotas cost: `python -m benchmarks.quotas`, or `make bench-quotas`.

Every quota is timed in turn with the same call without it. Where attributes overlap, HiGHS solves the same instances.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.inputs import SHAPES, Work, real, synthetic
from benchmarks.ours import Stages, candidates_of
from benchmarks.timing import medians
from reranker import Candidates, Policy
from reranker.engine import warm_up
from reranker.slate import SlateStatus

INSTANCES, ROUNDS = 150, 9
LOWER = {"attribute": "group", "min_share": {"b": 0.15, "c": 0.05, "d": 0.02}}
BOTH = {**LOWER, "max_share": {"a": 0.7, "b": 0.3}}


def main() -> int:
    """Print all of it."""
    warm_up()
    for work in [synthetic(shape, 1000, 128, 50) for shape in SHAPES]:
        _on_one_attribute(work, LOWER, BOTH)
    tones = {"attribute": "group", "min_share": dict.fromkeys(("light", "medium", "brown", "dark"), 0.1)}
    _on_one_attribute(real(20), tones, {**tones, "max_share": {"light": 0.7, "medium": 0.5}})
    _overlapping()
    return 0


def _on_one_attribute(work: Work, lower: dict[str, Any], both: dict[str, Any]) -> None:
    """Lower bounds at every prefix, then both, beside none."""
    candidates = candidates_of(work, groups=True)
    policies = {"none": [], "lower": [lower], "both": [both]}
    runs = {name: Stages(candidates, _policy("dpp", quotas), work.slate_size) for name, quotas in policies.items()}
    times = medians(runs, rounds=300, seconds=5.0)
    print(f"one attribute, DPP, {work.name}, ms; beside the same call without quotas")
    for name in ("lower", "both"):
        more = 1e3 * (runs[name].median("plan") - runs["none"].median("plan"))
        report = 1e3 * (runs[name].median("report") - runs["none"].median("report"))
        select = runs[name].median("select") / runs["none"].median("select")
        print(
            f"  {name:<6}{times[name]:7.3f} ms whole, {times[name] / times['none']:5.2f}x;"
            f" selection {select:5.2f}x; planning {more:6.0f} µs more; report {report:6.0f} µs more"
        )
        print(f"        {runs[name].tier}, {runs[name].status}")


def _policy(strategy: str, quotas: list[dict[str, Any]]) -> Policy:
    return Policy.from_dict({"objective": {"strategy": strategy}, "quotas": quotas})


def _overlapping() -> None:
    """Three attributes, 14 bounds at every prefix, N=200, k=24."""
    print(f"overlapping: 3 attributes, 14 bounds, N=200 k=24, {INSTANCES} random instances")
    for strategy in ("relevance", "dpp"):
        more: dict[str, list[float]] = {"plan": [], "select": [], "whole": []}
        met = 0
        for seed in range(INSTANCES):
            candidates = _three_attributes(np.random.default_rng(seed))
            with_quotas = Stages(candidates, _policy(strategy, FOURTEEN), 24)
            without = Stages(candidates, _policy(strategy, []), 24)
            times = medians({"with": with_quotas, "without": without}, rounds=ROUNDS)
            more["whole"].append(times["with"] - times["without"])
            for stage in ("plan", "select"):
                more[stage].append(with_quotas.median(stage) - without.median(stage))
            met += with_quotas.status == SlateStatus.SATISFIED
        kept = np.add(more["plan"], more["select"])
        for name, values in (("planning and selecting", kept), ("the whole call", more["whole"])):
            p50, p99 = np.percentile(values, [50, 99])
            print(f"  {strategy:<10}{name:<24} more by p50 {p50:.3f} ms, p99 {p99:.3f} ms")
        print(f"  {strategy:<10}all bounds kept in {met} of {INSTANCES}")


FOURTEEN: list[dict[str, Any]] = [
    {"attribute": "tone", "min_share": {"b": 0.2, "c": 0.2, "d": 0.1}, "max_share": {"a": 0.5, "b": 0.4, "c": 0.4}},
    {"attribute": "body", "min_share": {"y": 0.3, "z": 0.2}, "max_share": {"x": 0.5}},
    {"attribute": "genre", "min_count": {"r": 4, "s": 3}, "max_count": {"p": 8}},
    {"attribute": "genre", "min_share": {"q": 0.2}, "max_share": {"q": 0.4}},
]


def _three_attributes(numbers: np.random.Generator) -> Candidates:
    def drawn(values: str, shares: list[float]) -> list[str]:
        return [str(value) for value in numbers.choice(list(values), 200, p=shares)]

    attributes = {
        "tone": drawn("abcd", [0.5, 0.25, 0.15, 0.1]),
        "body": drawn("xyz", [0.6, 0.25, 0.15]),
        "genre": drawn("pqrs", [0.4, 0.3, 0.2, 0.1]),
    }
    embeddings = numbers.standard_normal((200, 16)).astype(np.float32)
    return Candidates(list(range(200)), numbers.random(200), embeddings, attributes)


if __name__ == "__main__":
    sys.exit(main())
