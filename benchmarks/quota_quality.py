"""How often overlapping quotas are met, and at what relevance, beside HiGHS: `python -m benchmarks.quota_quality`.

Needs the development requirements and the repository: instances and the integer programme are those of the tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from reranker.engine import warm_up
from reranker.slate import SlateStatus
from tests.reference import overlapping
from tests.reference.ilp import dcg, solve
from tests.reference.judge import Case

Make = Callable[[np.random.Generator], Case]
SHAPES: dict[str, tuple[Make, int]] = {
    "drawn blindly, N<=60 k<=12": (overlapping.small, 300),
    "one slate just fits, 40/10": (partial(overlapping.planted, count=40, slots=10, tight=0.8), 200),
    "the tightest, 60/12": (partial(overlapping.planted, count=60, slots=12, tight=1.0), 200),
    "one slate just fits, 200/24": (partial(overlapping.planted, count=200, slots=24, tight=0.7), 30),
    "the tightest, 200/24": (partial(overlapping.planted, count=200, slots=24, tight=1.0), 30),
}


def main() -> int:
    """Print a row a shape; a slate called satisfied that is not, or a feasible one missed, would show here."""
    warm_up()
    print(
        f"{'instances':<30}{'n':>5}{'feasible':>10}{'met':>6}{'DCG mean':>10}{'worst':>8}{'HiGHS p50':>12}{'max':>10}"
    )
    for name, (make, count) in SHAPES.items():
        _row(name, make, count)
    return 0


def _row(name: str, make: Make, count: int) -> None:
    shares, seconds, feasible, met, cases = [], [], 0, 0, 0
    for seed in range(count):
        case = make(np.random.default_rng(100_000 + seed))
        case = replace(case, policy={**case.policy, "objective": {"strategy": "relevance"}})
        instance = case.instance()
        if instance.counted:
            continue
        slate = case.run()
        start = time.perf_counter()
        solved = solve(instance, seconds=60.0)
        seconds.append(time.perf_counter() - start)
        cases += 1
        feasible += bool(solved.feasible)
        satisfied = slate.report.status is SlateStatus.SATISFIED
        met += satisfied
        if satisfied and solved.best:
            scores = case.scores.tolist()
            shares.append(dcg(scores, slate.positions.tolist()) / dcg(scores, solved.slate))
    print(
        f"{name:<30}{cases:>5}{feasible:>10}{met:>6}{np.mean(shares):>10.4f}{min(shares):>8.4f}"
        f"{1e3 * float(np.median(seconds)):>9.0f} ms{1e3 * max(seconds):>7.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
