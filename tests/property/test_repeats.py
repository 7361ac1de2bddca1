"""Spacings and decays beside a count by hand, under every strategy and every quota; they never bind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reranker.slate import OutcomeStatus, Slate, SlateStatus
from tests.property.test_against_referees import check_lower, check_mixed, lower_case, mixed_case
from tests.reference import instances
from tests.reference.judge import Case, check_outcomes, check_picks, check_shape
from tests.reference.naive_repeats import repeat_cost

slow = pytest.mark.slow  # under coverage: hundreds of lists with kernels as plain Python

STRATEGIES = ("relevance", "mmr", "dpp")
ATTRIBUTES = ("maker", "genre", "nobody")


def rules(rng: np.random.Generator, attributes: tuple[str, ...] = ATTRIBUTES) -> dict[str, Any]:
    """One to three blocks of either word."""
    words: dict[str, Any] = {}
    for _ in range(rng.integers(1, 4)):
        attribute = str(rng.choice(attributes))
        if rng.random() < 0.6:
            spacing: dict[str, Any] = {"attribute": attribute, "penalty": float(rng.choice([0.01, 0.3, 2.0, 1e4]))}
            spacing["window"] = int(rng.choice([1, 2, 3, 5, 100]))
            if rng.random() < 0.8:
                spacing["decay"] = str(rng.choice(["reciprocal", "exponential", "step"]))
            words.setdefault("spacings", []).append(spacing)
        else:
            decay: dict[str, Any] = {"attribute": attribute, "factor": float(rng.choice([0.0, 0.5, 0.9, 1.0]))}
            if rng.random() < 0.6:
                decay["floor"] = float(rng.choice([0.25, 1.0]))
            words.setdefault("decays", []).append(decay)
    return words


def drawn(rng: np.random.Generator, strategy: str) -> Case:
    count = int(rng.choice([1, 2, 6, 12, 25]))
    makers = [f"m{v}" for v in range(int(rng.choice([1, 3, 8])))]
    columns: dict[str, list[Any]] = {
        "maker": instances.column(rng, count, makers, unknown=float(rng.choice([0.0, 0.3, 1.0]))),
        "genre": instances.lists(rng, count, ["x", "y", "z"]),
    }
    objective: dict[str, Any] = {"strategy": strategy, "diversity": float(rng.choice([0.0, 0.3, 0.8, 1.0]))}
    if rng.random() < 0.3:
        objective["score_normalisation"] = str(rng.choice(["rank", "none"]))
    policy = {"objective": objective, **rules(rng), **instances.rails(rng, np.zeros(0))}
    slots = int(rng.integers(1, 13))
    fixed = {int(rng.integers(1, min(slots, count) + 1)): int(rng.integers(count))} if rng.random() < 0.2 else {}
    rows = None if rng.random() < 0.1 else instances.rows(rng, count, 4)
    return Case(instances.scores(rng, count), rows, columns, policy, slots, fixed)


def check(case: Case) -> int:
    """How many picks paid for repetition."""
    slate = case.run(explain=True)
    twin, picks = case.twin(), slate.positions.tolist()
    assert picks == case.run().positions.tolist()
    assert slate.report.status is SlateStatus.SATISFIED
    assert slate.report.quotas == ()
    check_shape(case, slate)
    paid = 0
    for told, pick in zip(slate.explanations, picks, strict=True):
        cost = case.soft_cost(twin, picks[: told.slot - 1])
        assert told.soft_part == pytest.approx(-cost[pick], rel=1e-9, abs=1e-9), told.slot
        total = told.relevance_part + told.diversity_part + told.soft_part
        assert told.gain == pytest.approx(total, rel=1e-9, abs=1e-8), told.slot
        paid += told.soft_part < 0
    if not case.fixed and "placement" not in case.policy:
        check_picks(case, picks)
    return paid


@slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("batch", range(4))
def test_costs_and_picks_are_those_of_a_count_by_hand(strategy: str, batch: int) -> None:
    paid = 0
    for seed in range(batch * 150, batch * 150 + 150):
        case = drawn(np.random.default_rng(seed), strategy)
        try:
            paid += check(case)
        except Exception as problem:
            problem.add_note(f"seed {seed}: {case}")
            raise
    assert paid > 50


@slow
@pytest.mark.parametrize("batch", range(4))
def test_bounds_hold_as_they_did(batch: int) -> None:
    """The engine's least deficit, and the best of what that allows: with repetition in the utility."""
    for seed in range(batch * 80, batch * 80 + 80):
        rng = np.random.default_rng(seed)
        case = mixed_case(rng) if seed % 3 == 0 else lower_case(rng)
        case = replace(case, policy={**case.policy, **rules(rng, tuple(case.columns))})
        try:
            (check_mixed if seed % 3 == 0 else check_lower)(case)
        except Exception as problem:
            problem.add_note(f"seed {seed}: {case}")
            raise


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_to_pay_changes_nothing(strategy: str) -> None:
    free = {
        "spacings": [{"attribute": "maker", "penalty": 0.0, "window": 5, "decay": "step"}],
        "decays": [{"attribute": "genre", "factor": 1.0}, {"attribute": "maker", "factor": 0.0, "floor": 1.0}],
    }
    for seed in range(25):
        case = drawn(np.random.default_rng(seed), strategy)
        without = {key: word for key, word in case.policy.items() if key not in free}
        plain, paid = replace(case, policy=without).run(), replace(case, policy={**without, **free}).run()
        np.testing.assert_array_equal(plain.positions, paid.positions)
        np.testing.assert_array_equal(plain.gains, paid.gains)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_decays_know_neither_shift_nor_scale_of_the_scores(strategy: str) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        case = drawn(rng, strategy)
        objective = {"strategy": strategy, "diversity": 0.5}
        words = {"objective": objective, "decays": [{"attribute": "maker", "factor": 0.5, "floor": 0.25}]}
        case = replace(case, policy=words, scores=rng.permutation(len(case.scores)) / 4.0)
        moved = replace(case, scores=case.scores * 8.0 - 64.0)
        assert moved.run().positions.tolist() == case.run().positions.tolist()


def by_hand(words: dict[str, Any], columns: dict[str, list[Any]], scores: list[float], slots: int = 0) -> Slate:
    objective = {"strategy": "relevance", "score_normalisation": "none"}
    policy = {"objective": objective, **words}
    return Case(np.array(scores), None, columns, policy, slots or len(scores)).run(explain=True)


@pytest.mark.parametrize(
    ("decay", "costs"),
    [
        ("reciprocal", [0.0, 0.6, 0.6 + 0.3, 0.6 + 0.3 + 0.2, 1.1]),
        ("exponential", np.cumsum([0.0, 0.6, 0.6 * np.exp(-1 / 3), 0.6 * np.exp(-2 / 3), 0.0]).tolist()),
        ("step", [0.0, 0.6, 1.2, 1.8, 1.8]),
    ],
)
def test_shapes_by_hand(decay: str, costs: list[float]) -> None:
    """Every shape asks for the whole penalty at distance 1."""
    spacing = {"attribute": "maker", "penalty": 0.6, "window": 3, "decay": decay}
    slate = by_hand({"spacings": [spacing]}, {"maker": ["m"] * 5}, [5.0, 4.0, 3.0, 2.0, 1.0])
    assert [told.soft_part for told in slate.explanations] == pytest.approx([-cost for cost in costs])


def test_each_shared_value_is_paid_for_and_unknown_ones_never() -> None:
    spacing = {"attribute": "genre", "penalty": 0.1, "window": 2}
    columns: dict[str, list[Any]] = {"genre": [["x", "y"], ["y", "x", "z"], [], ["x"], []]}
    slate = by_hand({"spacings": [spacing]}, columns, [50.0, 40.0, 30.0, 20.0, 10.0])
    assert [told.soft_part for told in slate.explanations] == pytest.approx([0.0, -0.2, 0.0, -0.05, 0.0])
    grouped = by_hand({"spacings": [spacing], "labels": {"unknown": "group"}}, {"genre": [None] * 3}, [3.0, 2.0, 1.0])
    assert [told.soft_part for told in grouped.explanations] == [0.0, 0.0, 0.0]


def test_a_decay_takes_from_relevance_above_the_least() -> None:
    """X's multipliers: 1, 0.625, 0.4375; the most frequent value of an item counts, and blocks multiply."""
    decay = {"attribute": "maker", "factor": 0.5, "floor": 0.25}
    slate = by_hand({"decays": [decay]}, {"maker": ["m", "m", "m", "n"]}, [12.0, 11.0, 10.0, 2.0])
    assert [told.upstream_rank for told in slate.explanations] == [1, 2, 3, 4]
    assert [told.soft_part for told in slate.explanations] == pytest.approx([0, -0.375 * 9, -0.5625 * 8, 0])
    columns: dict[str, list[Any]] = {"maker": ["m", "m", "k"], "genre": [["x"], ["x", "y"], ["y"]]}
    both = by_hand({"decays": [decay, {**decay, "attribute": "genre"}]}, columns, [9.0, 8.0, 0.0])
    assert both.explanations[1].soft_part == pytest.approx(-(1 - 0.625**2) * 8.0)


def test_kept_and_fixed_items_count() -> None:
    words = {
        "objective": {"strategy": "relevance", "score_normalisation": "none"},
        "placement": {"keep_top": 1},
        "spacings": [{"attribute": "maker", "penalty": 5.0, "window": 2, "decay": "step"}],
    }
    case = Case(np.array([4.0, 3.0, 2.0, 1.0]), None, {"maker": ["m", "m", "n", "k"]}, words, 4, {2: 2})
    slate = case.run(explain=True)
    assert slate.positions.tolist() == [0, 2, 3, 1]
    assert [told.soft_part for told in slate.explanations] == [0.0, 0.0, 0.0, 0.0]


def test_the_sentence_names_what_repetition_decided() -> None:
    columns = {"maker": ["m", "m", "n", "k"]}
    scores = [4.0, 3.9, 3.8, 1.0]
    spacing = {"attribute": "maker", "penalty": 1.0, "window": 1}
    near = by_hand({"spacings": [spacing]}, columns, scores)
    assert [told.text.partition(": ")[2] for told in near.explanations] == [
        "best of what was left, where upstream had it",
        "goes before upstream rank 2, which would stand too near to others of its maker",
        "lower than upstream had it, because others of its maker kept it at a distance",
        "best of what was left, where upstream had it",
    ]
    often = by_hand({"decays": [{"attribute": "maker", "factor": 0.5}]}, columns, scores)
    assert [told.text.partition(": ")[2] for told in often.explanations][1:3] == [
        "goes before upstream rank 2, which counts less after others of its maker",
        "lower than upstream had it, because others of its maker made it count less",
    ]


def test_a_strict_policy_and_its_status_do_not_know_of_it() -> None:
    words = {
        "objective": {"strategy": "relevance", "score_normalisation": "none"},
        "spacings": [{"attribute": "maker", "penalty": 5.0, "window": 2}],
        "quotas": [{"attribute": "maker", "min_count": {"z": 1}}],
        "on_infeasible": {"mode": "strict"},
    }
    case = Case(np.array([4.0, 3.0, 2.0]), None, {"maker": ["m", "m", "n"]}, words, 3)
    slate = case.run()
    assert slate.report.status is SlateStatus.STRICT_UPSTREAM
    assert slate.positions.tolist() == [0, 1, 2]
    relaxed = replace(case, policy={**words, "on_infeasible": {"mode": "relax"}}).run()
    assert relaxed.positions.tolist() == [0, 2, 1]
    assert check_outcomes(case, relaxed)
    assert [outcome.status for outcome in relaxed.report.quotas] == [OutcomeStatus.BROKEN]


def test_an_attribute_that_nobody_carries_costs_nothing() -> None:
    spacing = {"attribute": "maker", "penalty": 1.0, "window": 3}
    slate = by_hand({"spacings": [spacing], "decays": [{"attribute": "brand", "factor": 0.0}]}, {}, [3.0, 2.0, 1.0])
    assert [told.soft_part for told in slate.explanations] == [0.0, 0.0, 0.0]
    assert slate.report.notes == (
        "no candidate carries the attribute maker that the policy names",
        "no candidate carries the attribute brand that the policy names",
    )
    assert not repeat_cost({"spacings": [spacing]}, {}, np.arange(3.0), [0, 1]).any()
