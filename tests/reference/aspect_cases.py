"""Random requests for strategies over explicit aspects: labels of every shape, written and unwritten targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.reference import instances
from tests.reference.judge import Case
from tests.reference.naive_aspects import NAMES

DIVERSITIES = (1e-6, 0.1, 0.29, 0.3, 0.5, 0.7, 0.9, 1.0)
VALUES = ["a", "b", "c", "d", "e"]
TARGETS: list[Any] = ["pool", "pool", {"a": 0.5, "b": 0.5}, {"a": "1/3", "b": 0.2}, {"z": 0.3, "a": 0.1}, "request"]


def calibration(rng: np.random.Generator, attribute: str) -> dict[str, Any]:
    return {"attribute": attribute, "target": TARGETS[rng.integers(len(TARGETS))]}


def alone(rng: np.random.Generator, strategy: str) -> Case:
    """A list without bounds: labels of every shape, ties, one group, nobody labelled, k = N, one candidate."""
    count = int(rng.choice([0, 1, 2, 5, 10, 20, 30], p=[0.02, 0.08, 0.1, 0.2, 0.2, 0.2, 0.2]))
    values = VALUES[: int(rng.integers(1, 6))]
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, values, unknown=float(rng.choice([0.0, 0.2, 1.0], p=[0.4, 0.5, 0.1]))),
        "genre": instances.lists(rng, count, [*values, "z"]),
    }
    policy: dict[str, Any] = {"objective": {"strategy": strategy, "diversity": float(rng.choice(DIVERSITIES))}}
    if rng.random() < 0.2:
        policy["objective"]["score_normalisation"] = str(rng.choice(["zscore", "rank", "none"]))
    if strategy == "calibrated" or rng.random() < 0.7:
        policy["calibration"] = calibration(rng, str(rng.choice(["tone", "genre"])))
    if rng.random() < 0.2:
        policy["labels"] = {"unknown": "group"}
    scores = instances.scores(rng, count)
    policy |= instances.rails(rng, scores)
    targets = {"tone": {"a": 0.4, "b": 0.6}, "genre": {"b": 0.5}} if rng.random() < 0.7 else {}
    size = count if rng.random() < 0.3 else int(rng.integers(0, count + 3))
    return Case(scores, None, columns, policy, size, targets=targets)


def by_aspects(make: Any, seed: int) -> Case:
    """A case of the quotas' harness, maximising something over aspects instead."""
    rng = np.random.default_rng(seed)
    case: Case = make(rng)
    strategy = str(rng.choice(NAMES))
    policy = {**case.policy, "objective": {"strategy": strategy, "diversity": float(rng.choice(DIVERSITIES))}}
    if strategy == "calibrated" or rng.random() < 0.4:
        policy["calibration"] = calibration(rng, str(rng.choice(list(case.columns))))
    return replace(case, policy=policy)


def pooled(make: Any) -> Any:
    """A maker whose cases look at aspects of the pool, so that no value's name is in the policy but in its quotas."""

    def pooled_case(rng: np.random.Generator) -> Case:
        case: Case = make(rng)
        strategy = str(rng.choice(NAMES))
        policy = {**case.policy, "objective": {"strategy": strategy, "diversity": float(rng.choice(DIVERSITIES))}}
        if strategy == "calibrated" or rng.random() < 0.4:
            policy["calibration"] = {"attribute": str(rng.choice(list(case.columns))), "target": "pool"}
        return replace(case, policy=policy)

    return pooled_case
