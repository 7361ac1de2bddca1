"""Two partition attributes, bounded at one prefix: the least deficit and every pick are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.slate import QuotaTier
from tests.property.test_against_referees import lower_case
from tests.property.test_overlapping import EXACT, each, searched
from tests.reference import instances
from tests.reference.judge import Case

CASES, BATCHES = 1600, 8
VALUES = {"tone": ["a", "b", "c"], "body": ["x", "y"]}


def two_attributes(rng: np.random.Generator) -> Case:
    """Counts and at least one of each on both, within one prefix; guard, kept items, unknown labels."""
    case = lower_case(rng)
    slate_size = min(case.slate_size, 5)
    within = int(rng.integers(1, slate_size + 1)) if rng.random() < 0.7 else 0
    columns = {**case.columns, "body": instances.column(rng, len(case.scores), VALUES["body"])}
    quotas = [
        _block(rng, name, values, within) for name, values in VALUES.items() for _ in range(int(rng.integers(1, 3)))
    ]
    return Case(case.scores, case.rows, columns, {**case.policy, "quotas": quotas}, slate_size)


def _block(rng: np.random.Generator, attribute: str, values: list[str], within: int) -> dict[str, Any]:
    some = [str(v) for v in rng.choice(values, size=rng.integers(1, len(values) + 1), replace=False)]
    block: dict[str, Any] = {"attribute": attribute}
    kind = int(rng.integers(4))
    if kind == 0:
        block["min_count"] = {value: int(rng.integers(1, 3)) for value in some}
    elif kind == 1:
        block |= {"at_least_one_of_each": True, "values": some}
    elif kind == 2 and not within:
        block["max_per_value"] = int(rng.integers(1, 3))
    else:
        block["max_count"] = {value: int(rng.integers(0, 3)) for value in some}
    if within and "max_per_value" not in block:
        block["within"] = within
    if rng.random() < 0.4:
        block["weight"] = float(rng.choice([0.5, 2.0, 3.0]))
    return block


@pytest.mark.parametrize("index", range(BATCHES))
def test_least_deficit_and_every_pick(index: int) -> None:
    seeds = range(index * CASES // BATCHES, (index + 1) * CASES // BATCHES)
    met = each(searched, two_attributes, seeds)
    assert 0 < sum(met) < len(met)


def test_the_tier_says_so() -> None:
    tiers = [two_attributes(np.random.default_rng(seed)).run().report.tier for seed in range(200)]
    assert sum(tier is QuotaTier.FLOW_EXACT for tier in tiers) > 150
    assert all(tier in (*EXACT, QuotaTier.NONE) for tier in tiers)
