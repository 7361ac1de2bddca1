"""Floors and caps together on one attribute, met or not: the least deficit, and every pick the referees' pick."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.slate import QuotaTier, SlateStatus
from tests.property.test_against_referees import NOTHING, VALUES, check_mixed, check_status, judged, lower_case
from tests.reference import instances
from tests.reference.judge import Case, check_outcomes, check_shape
from tests.reference.naive_quotas import Completions, deficit

CASES, BATCHES = 600, 6
LEAST, LEAST_BATCHES = 20_000, 20


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


def with_fixed_or_group(rng: np.random.Generator) -> Case:
    """The same, now and then with fixed items, or with unknown labels as a group of their own."""
    case = partition_case(rng)
    policy = dict(case.policy)
    if rng.random() < 0.2:
        policy["labels"] = {"unknown": "group"}
    fixed = {}
    if rng.random() < 0.2:
        slots = min(case.slate_size, len(case.scores))
        fixed = {int(rng.integers(1, slots + 1)): int(rng.integers(len(case.scores)))}
    return Case(case.scores, case.rows, case.columns, policy, case.slate_size, fixed)


def check_least(case: Case) -> None:
    """Feasibility, the least deficit and the report agree with a search over all slates.

    Fixed items among kept ones are the one case that the planner may leave to the general tier.
    """
    slate = case.run()
    check_shape(case, slate)
    check_status(slate, check_outcomes(case, slate))
    least, found = Completions(case.instance()).least([]), deficit(case.instance(), slate.positions.tolist())
    assert found >= least
    if slate.report.tier is QuotaTier.HEURISTIC:
        assert case.fixed
        assert (found == NOTHING) == (least == NOTHING)
    else:
        assert found == least
    assert (slate.report.status is SlateStatus.SATISFIED) == (least == NOTHING)


@pytest.mark.parametrize("batch", range(LEAST_BATCHES))
def test_the_least_deficit_of_twenty_thousand_lists(batch: int) -> None:
    for seed in range(batch * LEAST // LEAST_BATCHES, (batch + 1) * LEAST // LEAST_BATCHES):
        judged(check_least, with_fixed_or_group, 50_000 + seed)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_floors_and_caps_on_one_attribute_are_exact(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        judged(check_exact, partition_case, seed)
