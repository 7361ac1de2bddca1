"""Soft quotas (rule 7) beside a count by hand: what each candidate gains in each slot, and what stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine import rerank
from reranker.policy import Policy
from reranker.slate import OutcomeStatus, Slate, SlateStatus
from tests.reference import instances
from tests.reference.judge import NEAR_TIE, Case, check_outcomes
from tests.reference.naive_quotas import Instance

pytestmark = pytest.mark.slow  # under coverage: hundreds of lists with kernels as plain Python

CASES, BATCHES = 400, 4
TONES, GENRES = ["a", "b", "c"], ["x", "y"]


def drawn(rng: np.random.Generator) -> Case:
    """Soft bounds alone, on one attribute or two."""
    count, slots = int(rng.integers(4, 15)), int(rng.integers(2, 8))
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, TONES),
        "genre": instances.lists(rng, count, GENRES),
    }
    quotas = instances.lower_quotas(rng, "tone", TONES, slots)[:2]
    if rng.random() < 0.6:
        quotas += instances.upper_quotas(rng, "genre", GENRES, slots)[:1]
    if rng.random() < 0.4:
        quotas += instances.lower_quotas(rng, "genre", GENRES, slots)[:1]
    soft = [{**quota, "soft": True, "weight": float(rng.choice([0.1, 0.5, 2.0]))} for quota in quotas]
    objective = instances.objective(rng, (0.5,))
    if objective["strategy"] == "relevance":
        objective["diversity"] = 0.0
    policy = {"objective": objective, "quotas": soft}
    fixed = {int(rng.integers(1, min(slots, count) + 1)): int(rng.integers(count))} if rng.random() < 0.2 else {}
    return Case(rng.permutation(count) / 8.0, instances.rows(rng, count, 4), columns, policy, slots, fixed)


def hard(case: Case) -> Case:
    quotas = [{key: word for key, word in quota.items() if key != "soft"} for quota in case.policy["quotas"]]
    return replace(case, policy={**case.policy, "quotas": quotas})


def gain(instance: Instance, earlier: Sequence[int], item: int) -> float:
    """Weight x (units of shortfall removed - units of excess added) by `item` behind the earlier picks."""
    slot, total = len(earlier) + 1, 0.0
    for attribute in dict.fromkeys(value[0] for value in instance.bounds.floors):
        floors = {value: floor for value, floor in instance.bounds.floors.items() if value[0] == attribute}
        earned = {value: sum(instance.earns(pick, at, value) for at, pick in enumerate(earlier, 1)) for value in floors}
        for prefix in range(slot, instance.bounds.length + 1):
            owed = {value: max(0, floor.least[prefix] - earned[value]) for value, floor in floors.items()}
            if sum(owed.values()) >= prefix - slot + 1:
                total += sum(
                    float(floors[value].weight) for value in owed if owed[value] and instance.carries(item, value)
                )
                break
    for value, cap in instance.bounds.caps.items():
        if not instance.carries(item, value):
            continue
        carried = [instance.carries(pick, value) for pick in earlier]
        most = cap.most[slot]
        units = 1 if most is not None and sum(carried) + 1 > most else 0
        for allowed, window in cap.windows:
            units += sum(carried[max(0, slot - window) :]) + 1 > allowed
        total -= float(cap.weight) * units
    return total


def explained(case: Case) -> Slate:
    candidates = Candidates(list(range(len(case.scores))), case.scores, case.rows, case.columns)
    context = Context(fixed=dict(case.fixed))
    return rerank(candidates, Policy.from_dict(case.policy), case.slate_size, explain=True, context=context)


def check(case: Case) -> int:
    """How many picks a soft bound had a say in."""
    slate, instance, twin = explained(case), hard(case).instance(), case.twin()
    assert slate.report.status is SlateStatus.SATISFIED
    assert slate.positions.tolist() == case.run().positions.tolist()
    moved = 0
    picks = slate.positions.tolist()
    for told, pick in zip(slate.explanations, picks, strict=True):
        earlier = picks[: told.slot - 1]
        assert told.soft_part == pytest.approx(gain(instance, earlier, pick), abs=1e-9), told.slot
        moved += told.soft_part != 0
        if told.slot in case.fixed:
            continue
        allowed = {i for i in range(len(case.scores)) if i not in case.fixed.values() and i not in earlier}
        utilities = {i: u + gain(instance, earlier, i) for i, u in twin.utilities(earlier, allowed).items()}
        assert utilities[pick] >= max(utilities.values()) - NEAR_TIE, told.slot
    broken = check_outcomes(hard(case), _as_hard(slate))
    assert bool(broken) == any(o.status is OutcomeStatus.BROKEN for o in slate.report.quotas)
    assert all(o.soft for o in slate.report.quotas)
    return moved


def _as_hard(slate: Slate) -> Slate:
    quotas = tuple(replace(outcome, soft=False) for outcome in slate.report.quotas)
    return replace(slate, report=replace(slate.report, quotas=quotas))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_gains_and_picks_are_those_of_a_count_by_hand(batch: int) -> None:
    moved = 0
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        case = drawn(np.random.default_rng(seed))
        try:
            moved += check(case)
        except Exception as problem:
            problem.add_note(f"seed {seed}: {case}")
            raise
    assert moved > CASES // BATCHES


@pytest.mark.parametrize("mode", ["strict", "fail"])
def test_a_soft_bound_never_makes_a_policy_strict(mode: str) -> None:
    quota = {"attribute": "tone", "min_count": {"z": 3}, "soft": True}
    words = {"objective": {"strategy": "relevance"}, "quotas": [quota], "on_infeasible": {"mode": mode}}
    case = Case(np.array([3.0, 2.0, 1.0]), None, {"tone": ["a", "b", "c"]}, words, 3)
    slate = case.run()
    assert slate.report.status is SlateStatus.SATISFIED
    (outcome,) = slate.report.quotas
    assert outcome.status is OutcomeStatus.BROKEN
    assert outcome.soft


def test_soft_likeness_costs_a_unit_for_each_near_copy() -> None:
    rows = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    quota = {"max_similarity": 0.9, "window": 3, "soft": True, "weight": 0.3}
    words = {"objective": {"strategy": "relevance", "score_normalisation": "none"}, "quotas": [quota]}
    case = Case(np.array([1.0, 0.9, 0.8, 0.1]), rows, {}, words, 4)
    slate = explained(case)
    assert slate.positions.tolist() == [0, 1, 2, 3]
    assert [told.soft_part for told in slate.explanations] == pytest.approx([0.0, -0.3, -0.6, 0.0])
    heavier = replace(case, policy={**words, "quotas": [{**quota, "weight": 0.5}]})
    assert explained(heavier).positions.tolist() == [0, 1, 3, 2]
