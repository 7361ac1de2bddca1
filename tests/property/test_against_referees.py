"""The engine against slow, obvious twins and against exhaustive search, on thousands of small random requests."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker.slate import OutcomeReason, OutcomeStatus, QuotaTier, Slate, SlateStatus
from tests.reference import instances
from tests.reference.judge import Case, check_outcomes, check_picks, check_shape
from tests.reference.naive_quotas import Completions, Instance, alone, deficit
from tests.reference.naive_strategies import upstream_order

DIVERSITIES = (0.0, 0.3, 0.5, 0.8, 1.0)
VALUES = ["a", "b", "c"]
NOTHING = (Fraction(0), Fraction(0))
FOR_WANT_OF_CANDIDATES = {OutcomeReason.SUPPLY, OutcomeReason.GUARD, OutcomeReason.UNKNOWN_LABELS}
EXACT = (QuotaTier.LOWER_EXACT, QuotaTier.PARTITION_EXACT)
CASES = 3000
BATCHES = 12


def lower_case(rng: np.random.Generator) -> Case:
    """One attribute, lower bounds only; now and then nobody carries one of the values."""
    count = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]))
    slate_size = count if rng.random() < 0.2 else int(rng.integers(1, 7))
    scores = instances.scores(rng, count)
    policy = {
        "objective": instances.objective(rng, DIVERSITIES),
        "quotas": instances.lower_quotas(rng, "tone", VALUES if rng.random() < 0.85 else [*VALUES, "d"], slate_size),
        **instances.rails(rng, scores),
    }
    rows = None if rng.random() < 0.1 else instances.rows(rng, count, int(rng.integers(2, 6)))
    return Case(scores, rows, {"tone": instances.column(rng, count, VALUES)}, policy, slate_size)


def mixed_case(rng: np.random.Generator) -> Case:
    """Two attributes, one of them with several values an item; floors, caps and windows."""
    case = lower_case(rng)
    slate_size = min(case.slate_size, 5)  # the search over windows grows fast
    columns = {**case.columns, "genre": instances.lists(rng, len(case.scores), ["x", "y"])}
    quotas = instances.upper_quotas(rng, "tone", VALUES, slate_size)
    if rng.random() < 0.6:
        quotas += instances.lower_quotas(rng, "tone", VALUES, slate_size)[:1]
    if rng.random() < 0.6:
        quotas += instances.lower_quotas(rng, "genre", ["x", "y"], slate_size)[:1]
    if rng.random() < 0.4:
        quotas += instances.upper_quotas(rng, "genre", ["x", "y"], slate_size)[:1]
    return Case(case.scores, case.rows, columns, {**case.policy, "quotas": quotas}, slate_size)


def check_lower(case: Case) -> None:
    """Rules 2 to 6 in full, for lower bounds on one attribute."""
    slate = case.run()
    instance = case.instance()
    target = Completions(instance).least([])
    picks = slate.positions.tolist()
    check_shape(case, slate)
    assert deficit(instance, picks) == target
    check_picks(case, picks, target)
    found = check_outcomes(case, slate)
    check_status(slate, found)
    check_reasons(slate, instance, found)
    if found:
        assert slate.report.status is not SlateStatus.RELAXED_BEST_EFFORT  # one attribute, lower bounds: exact


def check_status(slate: Slate, found: dict[tuple[str, str, str], int]) -> None:
    report = slate.report
    reasons = {o.reason for o in report.quotas if o.status is OutcomeStatus.BROKEN}
    assert None not in reasons
    if not found:
        assert report.status is SlateStatus.SATISFIED
    elif reasons <= FOR_WANT_OF_CANDIDATES:
        assert report.status is SlateStatus.SUPPLY_LIMITED
    else:
        assert report.status in (SlateStatus.RELAXED_MINIMAL, SlateStatus.RELAXED_BEST_EFFORT)


def check_reasons(slate: Slate, instance: Instance, found: dict[tuple[str, str, str], int]) -> None:
    """Rule 6 where it leaves no choice: no kept items, and no bound that asks for more than there are slots."""
    outcomes = {(o.attribute, o.value, o.bound.value): o for o in slate.report.quotas}
    for (attribute, value, kind), units in found.items():
        outcome = outcomes[attribute, value, kind]
        least = instance.bounds.floors[attribute, value].least
        if instance.keep_top or any(count > prefix for prefix, count in enumerate(least)):
            continue
        by_itself = alone(instance, (attribute, value))
        unguarded = alone(instance, (attribute, value), with_guard=False)
        assert (outcome.reason in FOR_WANT_OF_CANDIDATES) == (units <= by_itself), outcome
        if outcome.reason is OutcomeReason.GUARD:
            assert unguarded < by_itself
        if outcome.reason is OutcomeReason.SUPPLY:
            assert unguarded > 0
        if outcome.reason is OutcomeReason.UNKNOWN_LABELS:
            assert not all(instance.labels[attribute])


def check_mixed(case: Case) -> None:
    """What holds whatever the tier: nothing false is said, nothing is missing, nobody is where he may not be."""
    slate = case.run()
    picks = slate.positions.tolist()
    check_shape(case, slate)
    found = check_outcomes(case, slate)
    check_status(slate, found)
    target = Completions(case.instance()).least([])
    assert deficit(case.instance(), picks) >= target
    if slate.report.status is SlateStatus.RELAXED_MINIMAL:
        assert deficit(case.instance(), picks) == target
    if slate.report.tier in EXACT:
        check_picks(case, picks, target)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_lower_bounds_on_one_attribute_are_exact(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        judged(check_lower, lower_case, seed)


@pytest.mark.parametrize("batch", range(5))
def test_caps_windows_and_two_attributes_are_sound(batch: int) -> None:
    for seed in range(batch * 100, (batch + 1) * 100):
        judged(check_mixed, mixed_case, 10**6 + seed)


def test_the_cases_are_a_fair_mixture() -> None:
    drawn = [lower_case(np.random.default_rng(seed)).instance() for seed in range(500)]
    met = sum(Completions(instance).least([]) == NOTHING for instance in drawn)
    assert 200 < met < 300, "about half of the lower bounds should be feasible"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_lower_bounds_hold_wherever_hypothesis_looks(seed: int) -> None:
    judged(check_lower, lower_case, seed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_mixed_bounds_are_sound_wherever_hypothesis_looks(seed: int) -> None:
    judged(check_mixed, mixed_case, seed)


def judged(check: Any, make: Any, seed: int) -> Any:
    """What one check returns; it names the case that fails it."""
    case = make(np.random.default_rng(seed))
    try:
        return check(case)
    except Exception as problem:
        problem.add_note(f"seed {seed}: {case}")
        raise


def test_a_list_that_meets_its_quotas_is_left_alone_without_diversity() -> None:
    met = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        case = mixed_case(rng) if seed % 2 else lower_case(rng)
        words = {**case.policy, "objective": {**case.policy["objective"], "diversity": 0.0}}
        case = Case(case.scores, case.rows, case.columns, words, case.slate_size)
        top = upstream_order(case.scores)[: case.slate_size]
        if deficit(case.instance(), top) == NOTHING:
            met += 1
            assert case.run().positions.tolist() == top, seed
    assert met > 50


def test_weights_and_prefixes_by_hand() -> None:
    quotas = [
        {"attribute": "tone", "min_count": {"a": 1}, "within": 1},
        {"attribute": "tone", "min_count": {"b": 1}, "within": 1, "weight": 2.0},
    ]
    policy = {"objective": {"strategy": "relevance"}, "quotas": quotas}
    case = Case(np.array([3.0, 2.0, 1.0]), None, {"tone": ["a", "b", "c"]}, policy, 2)
    slate = case.run()
    assert slate.positions.tolist() == [1, 0]
    assert slate.report.status is SlateStatus.RELAXED_MINIMAL
    assert [o.reason for o in slate.report.quotas if o.status is OutcomeStatus.BROKEN] == [OutcomeReason.CROWDING]
