"""Strategies over explicit aspects: equal to slow float64 twins, alone and under every kind of bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.property.test_against_referees import check_lower, check_mixed, lower_case, mixed_case
from tests.property.test_partition_is_exact import with_fixed_or_group
from tests.property.test_two_attributes_are_exact import two_attributes
from tests.reference import instances
from tests.reference.aspect_cases import DIVERSITIES, alone, by_aspects
from tests.reference.judge import Case, check_picks, check_shape
from tests.reference.naive_aspects import NAMES
from tests.reference.naive_strategies import upstream_order

pytestmark = pytest.mark.slow  # under coverage: thousands of lists with kernels as plain Python


def judged(case: Case, check: Any, seed: int) -> None:
    try:
        check(case)
    except Exception as problem:
        problem.add_note(f"seed {seed}: {case}")
        raise


def check_alone(case: Case) -> None:
    slate = case.run()
    check_shape(case, slate)
    picks = slate.positions.tolist()
    twin, instance = case.twin(), case.instance()
    for slot, pick in enumerate(picks):
        allowed = [i for i in range(len(case.scores)) if i not in picks[:slot] and instance.may_stand(i, slot + 1)]
        found = twin.utilities(picks[:slot], allowed)
        assert slate.gains[slot] == pytest.approx(found[pick], abs=2e-9, rel=1e-12), slot
        best = max(found.values())
        assert found[pick] >= best - 2e-9, slot
        assert pick == min((i for i in found if found[i] >= best - 1e-9), key=lambda i: (-case.scores[i], i)), slot


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("batch", range(4))
def test_picks_and_gains_equal_the_twin(strategy: str, batch: int) -> None:
    for seed in range(batch * 100, batch * 100 + 100):
        judged(alone(np.random.default_rng(seed), strategy), check_alone, seed)


@pytest.mark.parametrize("batch", range(3))
def test_lower_bounds_hold_and_the_best_allowed_is_picked(batch: int) -> None:
    for seed in range(batch * 100, batch * 100 + 100):
        judged(by_aspects(lower_case, seed), check_lower, seed)


@pytest.mark.parametrize("make", [mixed_case, with_fixed_or_group, two_attributes])
def test_under_bounds_of_every_kind(make: Any) -> None:
    for seed in range(80):
        judged(by_aspects(make, seed), check_mixed, seed)


@pytest.mark.parametrize("strategy", NAMES)
def test_no_diversity_is_the_upstream_order(strategy: str) -> None:
    for seed in range(40):
        case = alone(np.random.default_rng(seed), strategy)
        policy = {key: words for key, words in case.policy.items() if key != "placement"}
        policy["objective"] = {**policy["objective"], "diversity": 0.0}
        case = replace(case, policy=policy)
        assert case.run().positions.tolist() == upstream_order(case.scores)[: case.slate_size]


@pytest.mark.parametrize("strategy", NAMES)
def test_larger_lists(strategy: str) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        count, values = int(rng.integers(60, 200)), [f"v{n}" for n in range(int(rng.choice([3, 8, 40])))]
        columns: dict[str, list[Any]] = {
            "tone": instances.column(rng, count, values),
            "genre": instances.lists(rng, count, values),
        }
        policy = {
            "objective": {"strategy": strategy, "diversity": float(rng.choice(DIVERSITIES))},
            "calibration": {"attribute": str(rng.choice(["tone", "genre"])), "target": "pool"},
        }
        case = Case(rng.exponential(size=count), None, columns, policy, 25)
        check_picks(case, case.run().positions.tolist())
