"""What quotas cost: `python -m benchmarks.quotas`, or `make bench-quotas`.

Every quota is timed in turn with the same call without it. Where attributes overlap, HiGHS solves the same instances.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.inputs import synthetic
from benchmarks.timing import medians
from reranker import Candidates, Policy
from reranker.engine import warm_up
from reranker.engine.request import rerank_traced
from reranker.slate import SlateStatus

INSTANCES, ROUNDS = 150, 9
LOWER = {"attribute": "group", "min_share": {"b": 0.15, "c": 0.05, "d": 0.02}}
BOTH = {**LOWER, "max_share": {"a": 0.7, "b": 0.3}}


def main() -> int:
    """Print all of it."""
    warm_up()
    _on_one_attribute()
    _overlapping()
    return 0


def _on_one_attribute() -> None:
    """DPP at 1000/128/50: lower bounds at every prefix, then both, beside none."""
    work = synthetic("uniform", 1000, 128, 50)
    candidates = Candidates(list(range(1000)), work.scores, work.embeddings, {"group": work.groups})
    policies = {"none": [], "lower": [LOWER], "both": [BOTH]}
    runs = {name: _Stages(candidates, _policy("dpp", quotas), 50) for name, quotas in policies.items()}
    times = medians({name: run.call for name, run in runs.items()}, rounds=300, seconds=20.0)
    print("one attribute, 4 values, DPP, N=1000 D=128 k=50, ms; beside the same call without quotas")
    for name in ("lower", "both"):
        more = 1e3 * (runs[name].median("plan") - runs["none"].median("plan"))
        report = 1e3 * (runs[name].median("report") - runs["none"].median("report"))
        select = runs[name].median("select") / runs["none"].median("select")
        print(
            f"  {name:<6}{times[name]:7.3f} ms whole, {times[name] / times['none']:5.2f}x;"
            f" selection {select:5.2f}x; planning {more:6.0f} µs more; report {report:6.0f} µs more"
        )
        print(f"        {runs[name].tier}, {runs[name].status}")


class _Stages:
    """A call whose stages are kept."""

    def __init__(self, candidates: Candidates, policy: Policy, slate_size: int) -> None:
        self._request = (candidates, policy, slate_size)
        self._taken: list[dict[str, float]] = []
        self.tier = self.status = ""

    def call(self) -> None:
        slate, trace = rerank_traced(*self._request)
        self._taken.append(trace.stages)
        self.tier, self.status = slate.report.tier.value, slate.report.status.value

    def median(self, stage: str) -> float:
        """Milliseconds."""
        return 1e3 * float(np.median([taken[stage] for taken in self._taken]))


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
            with_quotas = _Stages(candidates, _policy(strategy, FOURTEEN), 24)
            without = _Stages(candidates, _policy(strategy, []), 24)
            times = medians({"with": with_quotas.call, "without": without.call}, rounds=ROUNDS)
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
