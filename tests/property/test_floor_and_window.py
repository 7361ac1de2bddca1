"""The relevance floor (rule 10) and the candidate window (rule 11) beside their definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reranker import InvalidInput
from reranker.slate import Slate
from tests.reference import instances
from tests.reference.judge import Case, check_shape
from tests.reference.naive_quotas import Completions

STRATEGIES = ("dpp", "mmr")


def drawn(rng: np.random.Generator, strategy: str, fewer_than: int = 40, **words: Any) -> Case:
    count = int(rng.integers(5, fewer_than))
    columns = {"tone": instances.column(rng, count, ["a", "b", "c"])}
    quotas = instances.lower_quotas(rng, "tone", ["a", "b", "c"], 8) if rng.random() < 0.6 else []
    objective = {"strategy": strategy, "diversity": float(rng.choice([0.5, 0.9, 1.0])), **words}
    rows = instances.rows(rng, count, 6)
    return Case(instances.scores(rng, count), rows, columns, {"objective": objective, "quotas": quotas}, 8)


def at(case: Case, diversity: float) -> Slate:
    objective = {**case.policy["objective"], "diversity": diversity}
    objective.pop("relevance_floor", None)
    return replace(case, policy={**case.policy, "objective": objective}).run()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_floor_leaves_the_most_diversity_that_twenty_bisections_find(strategy: str) -> None:
    bisected = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        floor = float(rng.choice([0.6, 0.9, 0.97, 1.0]))
        case = drawn(rng, strategy, relevance_floor=floor)
        most = case.policy["objective"]["diversity"]
        slate = case.run()

        def relevance(diversity: float, case: Case = case) -> float:
            return float(case.scores[at(case, diversity).positions].sum())

        needed = floor * relevance(0.0)
        expected = most
        if relevance(most) < needed * (1 - 1e-12):
            bisected += 1
            expected, high = 0.0, most
            for _ in range(20):
                middle = (expected + high) / 2
                expected, high = (middle, high) if relevance(middle) >= needed * (1 - 1e-12) else (expected, middle)
        assert slate.report.floor is not None
        assert slate.report.floor.diversity == expected, seed
        assert slate.positions.tolist() == at(case, expected).positions.tolist()
        assert float(case.scores[slate.positions].sum()) >= needed * (1 - 1e-9)
        best = at(case, 0.0).report.relevance_retained
        assert slate.report.floor.best_retained == pytest.approx(best)
    assert bisected > 10


def test_a_floor_needs_scores_with_a_zero() -> None:
    case = Case(np.array([1.0, -1.0]), None, {}, {"objective": {"relevance_floor": 0.9}}, 2)
    with pytest.raises(InvalidInput, match="relevance_floor needs the policy to set"):
        case.run()
    policy = {"objective": {"relevance_floor": 0.9, "score_zero": -2.0}}
    assert len(replace(case, policy=policy).run()) == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_beyond_the_window_items_stand_only_where_a_bound_needs_them(strategy: str) -> None:
    """The allowed pick of largest utility among the best M; nobody allowed there: the most relevant beyond."""
    lifted = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        window = int(rng.integers(1, 8))
        case = replace(drawn(rng, strategy, 11, candidate_window=window), slate_size=int(rng.integers(1, 6)))
        slate = case.run()
        check_shape(case, slate)
        picks, twin, search = slate.positions.tolist(), case.twin(), Completions(case.instance())
        order = np.argsort(-case.scores, kind="stable").tolist()
        near = set(order[: max(window, len(picks))])
        target = search.least([])
        for slot, pick in enumerate(picks):
            allowed = search.allowed(picks[:slot], target)
            inside = {item for item in allowed if item in near}
            if not inside:
                lifted += 1
                assert pick == next(item for item in order if item in allowed), (seed, slot)
                continue
            assert pick in inside, (seed, slot)
            utilities = twin.utilities(picks[:slot], inside)
            assert utilities[pick] >= max(utilities.values()) - 1e-5, (seed, slot)
    assert lifted > 10


def test_a_window_as_long_as_the_list_changes_nothing() -> None:
    for seed in range(30):
        case = drawn(np.random.default_rng(seed), "dpp")
        objective = {**case.policy["objective"], "candidate_window": len(case.scores)}
        wide = replace(case, policy={**case.policy, "objective": objective})
        assert wide.run().positions.tolist() == case.run().positions.tolist()


def test_beyond_the_window_bonuses_of_any_size_are_weighed() -> None:
    """Everybody is too alike to the first pick: of those beyond the window, whom a bonus lifts, the best one stands."""
    cosines = [1.0, 0.99, 0.95, 0.7, 0.72]
    rows = np.array([[cosine, np.sqrt(1.0 - cosine * cosine)] for cosine in cosines], np.float32)
    quotas = [
        {"max_similarity": 0.5},
        {"attribute": "tone", "min_count": {"x": 1}, "within": 1, "soft": True, "weight": 1e6},
    ]
    objective = {"strategy": "dpp", "diversity": 0.3, "candidate_window": 2, "similarity": "cosine"}
    columns = {"tone": ["y", "y", "x", "x", "x"]}
    policy = {"objective": objective, "quotas": quotas}
    slate = Case(np.array([10.0, 9.9, 5.0, 0.5, 0.0]), rows, columns, policy, 2).run()
    assert slate.positions.tolist() == [0, 2]
