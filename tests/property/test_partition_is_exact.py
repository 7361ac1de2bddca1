"""Floors and caps together on one attribute, met or not: the least deficit, and every pick the referees' pick."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.slate import QuotaTier
from tests.property.test_against_referees import VALUES, check_mixed, judged, lower_case
from tests.reference import instances
from tests.reference.judge import Case

CASES = 600
BATCHES = 6


def partition_case(rng: np.random.Generator) -> Case:
    """One value an item at most; floors, caps, caps on every value; guard, kept items, unknown labels."""
    case = lower_case(rng)
    quotas = instances.upper_quotas(rng, "tone", VALUES, case.slate_size)
    if rng.random() < 0.7:
        quotas += instances.lower_quotas(rng, "tone", VALUES, case.slate_size)
    for quota in quotas:
        quota.pop("window", None)
    return Case(case.scores, case.rows, case.columns, {**case.policy, "quotas": quotas}, case.slate_size)


def check_exact(case: Case) -> None:
    assert case.run().report.tier in (QuotaTier.NONE, QuotaTier.PARTITION_EXACT, QuotaTier.LOWER_EXACT)
    check_mixed(case)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_floors_and_caps_on_one_attribute_are_exact(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        judged(check_exact, partition_case, seed)
