"""Reasons and counts of over-fetch beside what each bound would come to were it the only one (rule 6)."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.slate import OutcomeReason, OutcomeStatus, QuotaOutcome, Slate, SlateStatus
from tests.property.test_against_referees import FOR_WANT_OF_CANDIDATES, NOTHING, check_status, judged
from tests.reference import instances
from tests.reference.judge import Case, check_outcomes, check_shape
from tests.reference.naive_bounds import Bounds
from tests.reference.naive_quotas import Completions, Instance, deficit

CASES, BATCHES = 4000, 8
LETTERS = ["a", "b", "c"]


def least_alone(instance: Instance, key: tuple[str, str, str]) -> int:
    """The least by which one bound must be broken were it the only one."""
    value, full = (key[0], key[1]), instance.bounds
    only = Bounds(full.length)
    if key[2] == "LOWER":
        only.floors = {value: full.floors[value]}
    else:
        only.caps = {value: full.caps[value]}
    return min(units[0] for units in Completions(changed(instance, bounds=only))._suffix([]))


def labelled_prefixes(rng: np.random.Generator) -> Case:
    """One attribute whose prefixes count labelled items; floors and caps, a guard, fixed items now and then."""
    count = int(rng.integers(2, 9))
    slots = int(rng.integers(1, min(count, 5) + 1))
    scores = instances.scores(rng, count)
    quotas = instances.lower_quotas(rng, "tone", LETTERS, slots) if rng.random() < 0.7 else []
    if rng.random() < 0.6 or not quotas:
        quotas += instances.upper_quotas(rng, "tone", LETTERS, slots)
        for quota in quotas:
            quota.pop("window", None)
    guard = {"guard": {"min_score": float(np.quantile(scores, 0.6))}} if rng.random() < 0.4 else {}
    fixed: dict[int, int] = {}
    if rng.random() < 0.4:
        at = rng.permutation(slots)[: rng.integers(1, min(slots, 2) + 1)] + 1
        fixed = dict(zip(at.tolist(), rng.permutation(count).tolist(), strict=False))
    policy = {"objective": {"strategy": "relevance"}, "quotas": quotas, "labels": {"unknown": "exclude"}, **guard}
    return Case(scores, None, {"tone": instances.column(rng, count, LETTERS, unknown=0.4)}, policy, slots, fixed)


def check_labelled(case: Case) -> bool:
    """Met when it can be met, and a bound that nothing else breaks is broken for want of candidates; True when met."""
    slate, instance = case.run(), case.instance()
    check_shape(case, slate)
    found = check_outcomes(case, slate)
    check_status(slate, found)
    least = Completions(instance).least([])
    assert (deficit(instance, slate.positions.tolist()) == NOTHING) == (least == NOTHING)
    outcomes = {(o.attribute, o.value, "LOWER" if o.bound == "LOWER" else "UPPER"): o for o in slate.report.quotas}
    for key, units in found.items():
        outcome = outcomes.get(key)
        if outcome is None or outcome.bound == "WINDOW" or instance.fixed or len(case.scores) < case.slate_size:
            continue
        wants = outcome.reason in FOR_WANT_OF_CANDIDATES
        assert not wants or units <= least_alone(instance, key) or key[2] == "UPPER", (key, outcome)
        if units <= least_alone(instance, key):
            assert wants or outcome.reason is OutcomeReason.CROWDING, (key, outcome)
    return least == NOTHING


@pytest.mark.parametrize("batch", range(BATCHES))
def test_bounds_over_labelled_items(batch: int) -> None:
    share = CASES // BATCHES
    met = [judged(check_labelled, labelled_prefixes, seed) for seed in range(batch * share, (batch + 1) * share)]
    assert share / 5 < sum(met) < share


def served(tones: list[Any], quotas: list[dict[str, Any]], slots: int, **words: Any) -> Slate:
    """Items by falling score, by relevance."""
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": quotas, **words})
    scores = np.arange(len(tones), 0, -1).astype(float)
    return rerank(Candidates(list(range(len(tones))), scores, attributes={"tone": tones}), policy, slots)


def broken(slate: Slate) -> list[QuotaOutcome]:
    return [outcome for outcome in slate.report.quotas if outcome.status is OutcomeStatus.BROKEN]


def test_a_cap_on_every_value_that_cannot_be_filled_is_want_of_candidates_like_one_that_names_them() -> None:
    tones = ["x", "x", "y", "x", "y"]
    for block in ({"max_per_value": 1}, {"max_count": {"x": 1, "y": 1}}, {"max_per_value": 1, "window": 4}):
        slate = served(tones, [{"attribute": "tone", **block}], 4)
        assert slate.report.status is SlateStatus.SUPPLY_LIMITED
        assert {outcome.reason for outcome in broken(slate)} == {OutcomeReason.SUPPLY}
        assert max(outcome.over_fetch for outcome in broken(slate)) == 2, "two slots are left, whatever stands there"


def test_a_sole_bound_over_labelled_items_is_broken_for_want_of_candidates() -> None:
    share = [{"attribute": "tone", "max_share": {"x": 0.5}}]
    slate = served(["x", None, "x"], share, 3, labels={"unknown": "exclude"})
    assert [outcome.reason for outcome in broken(slate)] == [OutcomeReason.SUPPLY]
    floor = [{"attribute": "tone", "min_share": {"y": 1.0}}]
    slate = served([None, "x", None], floor, 2, labels={"unknown": "exclude"}, guard={"where": {"tone": ["x"]}})
    assert [outcome.reason for outcome in broken(slate)] == [OutcomeReason.GUARD]
    assert slate.report.status is SlateStatus.SUPPLY_LIMITED


def test_a_fixed_item_uses_up_a_cap_over_labelled_items() -> None:
    policy = {
        "objective": {"strategy": "relevance"},
        "quotas": [{"attribute": "b", "max_share": {"y": "1/2"}}],
        "labels": {"unknown": "exclude"},
    }
    columns = {"b": [None, "y", "y", "x", "x"]}
    case = Case(np.array([0.3, 0.1, 0.5, 0.2, 0.4]), None, columns, policy, 4, {4: 4, 3: 1})
    slate = case.run()
    assert slate.report.status is SlateStatus.SATISFIED
    check_outcomes(case, slate)


@pytest.mark.parametrize("window", [2, 3])
def test_short_slates_under_windows_break_as_little_as_can_be(window: int) -> None:
    for seed in range(150):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(3, 8))
        tones: list[Any] = rng.choice(["x", "y", "z"], count, p=[0.6, 0.25, 0.15]).tolist()
        quotas = [{"attribute": "tone", "max_per_value": 1, "window": window}]
        policy = {"objective": {"strategy": "relevance"}, "quotas": quotas}
        case = Case(np.arange(count, 0, -1).astype(float), None, {"tone": tones}, policy, min(count, 5))
        instance = case.instance()
        assert deficit(instance, case.run().positions.tolist()) == Completions(instance).least([]), seed


def test_several_values_an_item_break_as_little_as_can_be_on_short_slates() -> None:
    for seed in range(150):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(3, 7))
        quotas: list[dict[str, Any]] = [{"attribute": "genre", "max_count": {"p": 1, "q": 1}}]
        quotas.append({"attribute": "genre", "min_count": {"p": int(rng.integers(1, 4))}, "weight": 2.0})
        policy = {"objective": {"strategy": "relevance"}, "quotas": quotas}
        columns = {"genre": instances.lists(rng, count, ["p", "q"])}
        case = Case(np.arange(count, 0, -1).astype(float), None, columns, policy, min(count, 4))
        instance = case.instance()
        assert deficit(instance, case.run().positions.tolist()) == Completions(instance).least([]), seed


def test_a_bound_alone_that_wants_more_than_slots_is_want_of_candidates_on_a_short_list() -> None:
    many = [{"attribute": "tone", "min_count": {"x": 3}, "within": 2}]
    (outcome,) = broken(served(["x", "x", "x"], many, 4))
    assert (outcome.reason, outcome.over_fetch) == (OutcomeReason.SUPPLY, 0), "no number of them makes room for three"
    (outcome,) = broken(served(["x", "x", "x", "y"], many, 4))
    assert outcome.reason is OutcomeReason.CROWDING


def test_bounds_that_crowd_each_other_do_so_on_a_short_list_too() -> None:
    each = [{"attribute": "tone", "at_least_one_of_each": True, "within": 1}]
    for tones in (["x", "y"], ["x", "y", "x"]):
        (outcome,) = broken(served(tones, each, 3))
        assert outcome.reason is OutcomeReason.CROWDING


@pytest.mark.parametrize("tones", [["x"] * 2, ["x"] * 2 + ["y"], ["x"] * 4, ["x"] * 5, ["y"]])
@pytest.mark.parametrize("block", [{"min_share": {"y": 0.75}}, {"max_share": {"x": "1/3"}}, {"min_count": {"y": 4}}])
def test_so_many_more_candidates_are_enough_and_fewer_are_not(block: dict[str, Any], tones: list[str]) -> None:
    """A list shorter than the slate grows with what is fetched, and so do the shares of it."""
    quotas, fresh = [{"attribute": "tone", **block}], "y"
    outcomes = broken(served(tones, quotas, 5))
    more = outcomes[0].over_fetch if outcomes else 0
    assert not broken(served(tones + [fresh] * more, quotas, 5))
    assert more == 0 or broken(served(tones + [fresh] * (more - 1), quotas, 5))


def test_a_list_without_the_attribute_is_proven_to_keep_nothing_at_any_length() -> None:
    each = {"attribute": "tone", "at_least_one_of_each": True, "values": ["x", "y"], "within": 12}
    slate = served([None] * 40, [each], 25, labels={"unknown": "exclude"})
    assert any(note.endswith(": proven") for note in slate.report.notes)
    assert slate.report.status is SlateStatus.SUPPLY_LIMITED
