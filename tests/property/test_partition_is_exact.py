"""Floors and caps together on one attribute, met or not: the least deficit, and every pick the referees' pick.

Beside an exhaustive search over small lists, and beside an integer programme over lists of everyday size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.slate import QuotaTier, SlateStatus
from tests.property.test_against_referees import NOTHING, VALUES, check_mixed, check_status, judged, lower_case
from tests.reference import instances
from tests.reference.ilp import least_deficit
from tests.reference.judge import Case, check_outcomes, check_picks, check_shape
from tests.reference.naive_quotas import Completions, deficit

CASES, BATCHES = 600, 6
LEAST, LEAST_BATCHES = 20_000, 20
MANY, MANY_BATCHES = 6_000, 12
MIDDLING, MIDDLING_BATCHES = 320, 8
LETTERS = list("abcdefghijkl")


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


def many_values(rng: np.random.Generator, count: int, slots: int, values: list[str]) -> Case:
    """Many values, caps mostly too small to fill the slate, floors that contradict them; guard and kept items."""
    scores = instances.scores(rng, count)
    quotas: list[dict[str, Any]] = []
    for _ in range(int(rng.integers(1, 4))):
        some = [str(v) for v in rng.choice(values, size=rng.integers(1, len(values) + 1), replace=False)]
        block: dict[str, Any] = {"attribute": "tone"}
        share = rng.choice([0.3, 0.6, 1.0, 1.5], len(some)) / len(values)
        kind = int(rng.integers(5))
        if kind == 0:
            block["max_per_value"] = int(rng.integers(1, 3))
        elif kind == 1:
            block["max_count"] = {value: int(rng.integers(0, max(2, slots // 4))) for value in some}
        elif kind == 2:
            block["min_count"] = {value: int(rng.integers(1, max(2, slots // 4))) for value in some}
        else:
            shares = {value: float(min(1.0, each)) for value, each in zip(some, share, strict=True)}
            block["max_share" if kind == 3 else "min_share"] = shares
        if kind and rng.random() < 0.4:
            block["within"] = int(rng.integers(1, slots + 1))
        if rng.random() < 0.4:
            block["weight"] = float(rng.choice([0.5, 2.0, 3.0]))
        quotas.append(block)
    policy = {"objective": {"strategy": "relevance"}, "quotas": quotas, **instances.rails(rng, scores)}
    return Case(scores, None, {"tone": instances.column(rng, count, values, unknown=0.1)}, policy, slots)


def few_of_many(rng: np.random.Generator) -> Case:
    """Up to 9 candidates of up to 6 values, up to 6 slots."""
    count = int(rng.integers(3, 10))
    return many_values(rng, count, int(rng.integers(2, min(count, 6) + 1)), LETTERS[: rng.integers(2, 7)])


def middling(rng: np.random.Generator) -> Case:
    """30 to 60 candidates of up to 12 values, 10 to 20 slots."""
    return many_values(rng, int(rng.integers(30, 61)), int(rng.integers(10, 21)), LETTERS[: rng.integers(2, 13)])


def check_every_pick(case: Case) -> bool:
    """The least deficit, and the referees' pick in every slot; True when some bound is broken."""
    slate = case.run()
    target = Completions(case.instance()).least([])
    check_shape(case, slate)
    check_status(slate, check_outcomes(case, slate))
    assert slate.report.tier is not QuotaTier.HEURISTIC
    assert deficit(case.instance(), slate.positions.tolist()) == target
    check_picks(case, slate.positions.tolist(), target)
    return target != NOTHING


def check_middling(case: Case) -> bool:
    """The least deficit agrees with the integer programme; True when some bound is broken."""
    slate, instance = case.run(), case.instance()
    check_shape(case, slate)
    check_status(slate, check_outcomes(case, slate))
    assert slate.report.tier is not QuotaTier.HEURISTIC
    target = least_deficit(instance)
    assert deficit(instance, slate.positions.tolist()) == target
    return target != NOTHING


@pytest.mark.parametrize("batch", range(MANY_BATCHES))
def test_many_values_under_caps_that_are_too_small(batch: int) -> None:
    share = MANY // MANY_BATCHES
    broken = [judged(check_every_pick, few_of_many, seed) for seed in range(batch * share, (batch + 1) * share)]
    assert share / 3 < sum(broken) < share


def test_the_programme_finds_the_least_deficit_that_a_search_over_all_slates_finds() -> None:
    for seed in range(300):
        case = few_of_many(np.random.default_rng(seed))
        assert least_deficit(case.instance()) == Completions(case.instance()).least([]), seed


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(MIDDLING_BATCHES))
def test_lists_of_everyday_size_beside_an_integer_programme(batch: int) -> None:
    share = MIDDLING // MIDDLING_BATCHES
    broken = [judged(check_middling, middling, seed) for seed in range(batch * share, (batch + 1) * share)]
    assert share / 3 < sum(broken) < share
