"""`max_fall`, fixed items and `max_similarity` beside quotas: whatever some slate can keep together is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, SlateStatus
from tests.reference import instances
from tests.reference.judge import Case
from tests.reference.naive_quotas import Instance, broken

CASES, BATCHES = 600, 6
NEAR = 1e-5  # of a cosine in float32


def drawn(rng: np.random.Generator) -> Case:
    """Up to 7 candidates and 4 slots; a bound on falls, one on likeness, quotas on one or two attributes."""
    count = int(rng.integers(3, 8))
    slate_size = int(rng.integers(2, 5))
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, ["a", "b", "c"]),
        "body": instances.column(rng, count, ["x", "y"]),
    }
    quotas: list[dict[str, Any]] = []
    if rng.random() < 0.7:
        quotas += instances.lower_quotas(rng, "tone", ["a", "b", "c"], slate_size)[:1]
    if rng.random() < 0.4:
        quotas += instances.upper_quotas(rng, "body", ["x", "y"], slate_size)[:1]
    if rng.random() < 0.6:
        quotas.append({"max_similarity": 0.6, "window": int(rng.choice([0, 2, 3]))})
    placement = {"max_fall": int(rng.integers(1, 4))} if rng.random() < 0.7 else {}
    if rng.random() < 0.2:
        placement["keep_top"] = 1
    fixed = {}
    if rng.random() < 0.3:
        fixed = {int(rng.integers(1, min(slate_size, count) + 1)): int(rng.integers(count))}
    policy: dict[str, Any] = {"objective": instances.objective(rng, (0.5,))}
    policy |= {"quotas": quotas, "placement": placement}
    scores = rng.permutation(count) / 4.0 + 0.25
    return Case(scores, instances.rows(rng, count, 3), columns, policy, slate_size, fixed)


def fallen(case: Case, instance: Instance, slate: Sequence[int]) -> set[int]:
    """Free items that fall more than `max_fall` below their upstream rank."""
    most = case.policy["placement"].get("max_fall", 0)
    slots = instance.bounds.length
    settled = {instance.fixed.get(slot, instance.kept(slot)) for slot in range(1, slots + 1)}
    free = [item for item in instance.order[: max(0, slots - most)] if most and item not in settled]
    return {item for item in free if item not in slate[: instance.rank(item) + most]}


def too_alike(case: Case, slate: Sequence[int]) -> bool:
    """Whether two items stand too near for how alike they are."""
    assert case.rows is not None
    norms = np.linalg.norm(case.rows, axis=1, keepdims=True)
    unit = (case.rows / np.where(norms > 0, norms, 1.0)).astype(np.float64)
    for quota in case.policy["quotas"]:
        span = quota.get("window", 0) or len(slate)
        if "max_similarity" in quota and any(
            unit[slate[a]] @ unit[slate[b]] > quota["max_similarity"] + NEAR
            for a in range(len(slate))
            for b in range(a + 1, min(len(slate), a + span))
        ):
            return True
    return False


def check(case: Case) -> bool:
    slate = case.run()
    picks = slate.positions.tolist()
    instance = case.instance()
    reported = [o for o in slate.report.quotas if o.status is OutcomeStatus.BROKEN]
    alike = [o for o in reported if o.bound is BoundKind.SIMILARITY]
    assert bool(alike) == too_alike(case, picks)
    assert {(o.attribute, o.value) for o in reported if o.bound is BoundKind.LOWER} == {
        (attribute, value) for attribute, value, side in broken(instance, picks) if side == "LOWER"
    }
    slates = [
        list(each)
        for each in permutations(range(len(case.scores)), instance.bounds.length)
        if all(instance.may_stand(item, slot) for slot, item in enumerate(each, 1))
    ]
    placed = [each for each in slates if not fallen(case, instance, each)]
    if placed:
        assert not fallen(case, instance, picks), "placement comes before quotas"
    perfect = any(not broken(instance, each) and not too_alike(case, each) for each in placed)
    assert not perfect or slate.report.status is SlateStatus.SATISFIED
    if slate.report.status is SlateStatus.SATISFIED:
        assert not broken(instance, picks)
        assert not too_alike(case, picks)
    return perfect


@pytest.mark.parametrize("batch", range(BATCHES))
def test_what_some_slate_keeps_is_kept(batch: int) -> None:
    kept = 0
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        case = drawn(np.random.default_rng(seed))
        try:
            kept += check(case)
        except Exception as problem:
            problem.add_note(f"seed {seed}: {case}")
            raise
    assert 20 < kept < CASES // BATCHES


def guarded(rng: np.random.Generator) -> Case:
    """Up to 6 candidates, few of whom pass the guard, around fixed items; falls bounded, a quota now and then."""
    count = int(rng.integers(2, 7))
    slots = int(rng.integers(1, min(count, 4) + 1))
    columns: dict[str, list[Any]] = {"tone": instances.column(rng, count, ["a", "b"], unknown=0.3)}
    at = rng.permutation(slots)[: rng.integers(1, min(slots, 3) + 1)] + 1
    fixed = dict(zip(at.tolist(), rng.permutation(count).tolist(), strict=False))
    quotas: list[dict[str, Any]] = []
    if rng.random() < 0.7:
        window = {"attribute": "tone", "max_per_value": 1, "window": 2}
        floor = {"attribute": "tone", "min_count": {"b": 1}}
        both = {"attribute": "tone", "max_share": {"a": 0.5}, "min_share": {"b": 0.3}}
        quotas = [(window, floor, both)[rng.integers(3)]]
    placement = {"max_fall": int(rng.integers(1, 4))} if rng.random() < 0.6 else {}
    if rng.random() < 0.2:
        placement["keep_top"] = int(rng.integers(1, 3))
    labels = {"unknown": str(rng.choice(["neutral", "exclude"]))}
    policy: dict[str, Any] = {"objective": {"strategy": "relevance"}, "quotas": quotas, "labels": labels}
    policy |= {"placement": placement, "guard": {"where": {"tone": ["a"]}}}
    return Case(rng.permutation(count) / 4.0 + 0.25, None, columns, policy, slots, fixed)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_falls_come_before_the_guard_and_a_full_slate_before_both(batch: int) -> None:
    """The guard yields where fixed items leave no other way to keep `max_fall`, and nowhere else."""
    yielded = 0
    for seed in range(batch * 600, (batch + 1) * 600):
        case = guarded(np.random.default_rng(seed))
        instance, picks = case.instance(), case.run().positions.tolist()
        assert len(set(picks)) == instance.bounds.length, seed
        slates = [
            each
            for each in permutations(range(len(case.scores)), instance.bounds.length)
            if all(_in_place(instance, item, slot) for slot, item in enumerate(each, 1))
        ]
        assert tuple(picks) in slates, (seed, case)
        kept = [each for each in slates if not fallen(case, instance, each)]
        assert not kept or tuple(picks) in kept, (seed, case)
        lifted = [sum(_is_lifted(instance, item, slot) for slot, item in enumerate(each, 1)) for each in kept or slates]
        found = sum(_is_lifted(instance, item, slot) for slot, item in enumerate(picks, 1))
        assert found == 0 or min(lifted) > 0, (seed, case)
        yielded += found > 0
    assert 10 < yielded < 300


def _in_place(instance: Instance, item: int, slot: int) -> bool:
    """Fixed and kept items stand where they must, whatever the guard says of the others."""
    settled = instance.fixed.get(slot, instance.kept(slot))
    if settled is not None:
        return item == settled
    rank = instance.rank(item)
    kept = rank <= min(instance.keep_top, instance.bounds.length) and instance.kept(rank) is not None
    return item not in instance.fixed.values() and not kept


def _is_lifted(instance: Instance, item: int, slot: int) -> bool:
    """Whether a free item stands above its upstream rank that fails the guard."""
    free = slot not in instance.fixed and instance.kept(slot) is None
    return free and not instance.guarded[item] and instance.rank(item) > slot


def test_a_fixed_item_below_its_rank_leaves_no_slot_to_someone_who_may_not_stand_there() -> None:
    window = {"attribute": "a", "max_per_value": 1, "window": 2}
    policy = {"objective": {"strategy": "relevance"}, "quotas": [window], "guard": {"where": {"a": ["x"]}}}
    case = Case(np.array([0.4, 0.3, 0.2, 0.1]), None, {"a": ["x", "x", "y", "x"]}, policy, 3, {3: 1})
    assert case.run().positions.tolist() == [0, 3, 1]


def test_the_guard_yields_to_max_fall() -> None:
    """Item 0 may fall to slot 3 at most; slots 2 and 3 are fixed, so it stands in slot 1 though it fails the guard."""
    policy = {
        "objective": {"strategy": "relevance"},
        "guard": {"where": {"b": ["y", "z"]}},
        "placement": {"max_fall": 1},
    }
    case = Case(np.array([0.3, 0.1, 0.2, 0.4]), None, {"b": [None, "x", "y", None]}, policy, 3, {3: 1, 2: 3})
    assert case.run().positions.tolist() == [0, 3, 1]


def listed(words: dict[str, Any], fixed: dict[int, int] | None = None, slots: int = 4) -> Case:
    """Six items a..a, b, b by falling score."""
    tones = {"tone": ["a", "a", "a", "a", "b", "b"]}
    policy = {"objective": {"strategy": "relevance"}, **words}
    return Case(np.arange(6, 0, -1).astype(float), None, tones, policy, slots, fixed or {})


def test_a_bound_that_would_let_items_fall_too_far_is_pinned() -> None:
    quota = {"attribute": "tone", "min_count": {"b": 2}, "within": 2}
    slate = listed({"quotas": [quota], "placement": {"max_fall": 1}}).run()
    assert slate.positions.tolist() == [0, 4, 1, 2]
    (outcome,) = slate.report.quotas
    assert (outcome.status, outcome.reason) == (OutcomeStatus.BROKEN, OutcomeReason.PINNED)


def test_a_fixed_item_fills_no_floor_and_uses_up_a_cap() -> None:
    floor = {"attribute": "tone", "min_count": {"b": 1}, "within": 3}
    cap = {"attribute": "tone", "max_count": {"b": 1}, "within": 4}
    fixed = {1: 4}
    assert listed({"quotas": [floor]}, fixed).run().positions.tolist() == [4, 0, 5, 1]
    assert listed({"quotas": [cap]}, fixed).run().positions.tolist() == [4, 0, 1, 2]
    slate = listed({"quotas": [floor, cap]}, fixed).run()
    assert slate.report.status is not SlateStatus.SATISFIED


def test_a_kept_item_behind_a_free_slot_pays_what_the_free_slot_then_does_not_owe() -> None:
    """The item of rank 2 is fixed further down: slot 2 is free, slot 3 keeps its item, which meets the floor."""
    columns = {"tone": list("aabaab"), "creator": list("ABCDEF")}
    policy = {
        "objective": {"strategy": "relevance"},
        "placement": {"keep_top": 3},
        "quotas": [
            {"attribute": "tone", "min_count": {"b": 1}, "within": 3},
            {"attribute": "creator", "max_per_value": 1, "window": 2},
        ],
    }
    slate = Case(np.arange(6, 0, -1).astype(float), None, columns, policy, 5, {5: 1}).run()
    assert slate.positions.tolist() == [0, 3, 2, 4, 1]
    assert slate.report.status is SlateStatus.SATISFIED
