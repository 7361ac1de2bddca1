"""The referees are judged first: by enumeration, by hand-worked examples and by determinants."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from tests.reference import instances
from tests.reference.naive_bounds import exact
from tests.reference.naive_quotas import (
    Completions,
    Instance,
    alone,
    broken,
    deficit,
    exhaustive_best,
    naive_rerank,
)
from tests.reference.naive_strategies import (
    Twin,
    conditional_variances,
    greedy,
    normalise,
    similarities,
    top_two_margin,
)

VALUES = ["a", "b", "c"]
NOTHING = (Fraction(0), Fraction(0))


def small(rng: np.random.Generator, *, upper: bool) -> Instance:
    count = int(rng.integers(1, 8))
    slate_size = int(rng.integers(1, 6))
    scores = instances.scores(rng, count)
    columns: dict[str, Any] = {"tone": instances.column(rng, count, VALUES)}
    quotas = instances.lower_quotas(rng, "tone", [*VALUES, "d"], slate_size)
    if upper:
        columns["genre"] = instances.lists(rng, count, ["x", "y"])
        quotas = [*quotas[:1], *instances.upper_quotas(rng, "tone", VALUES, slate_size)]
        quotas += instances.upper_quotas(rng, "genre", ["x", "y"], slate_size)[:1]
    policy = {"quotas": quotas, **instances.rails(rng, scores)}
    return Instance.of(policy, scores.tolist(), columns, slate_size)


@pytest.mark.parametrize("upper", [False, True])
def test_search_over_counts_finds_what_enumeration_finds(upper: bool) -> None:
    rng = np.random.default_rng(11)
    for _ in range(150):
        instance = small(rng, upper=upper)
        assert Completions(instance).least([]) == exhaustive_best(instance)


@pytest.mark.parametrize("upper", [False, True])
def test_allowed_is_what_enumeration_allows(upper: bool) -> None:
    rng = np.random.default_rng(12)
    for _ in range(40):
        instance = small(rng, upper=upper)
        slates = [
            slate
            for slate in permutations(range(len(instance.scores)), instance.bounds.length)
            if all(instance.may_stand(item, slot) for slot, item in enumerate(slate, 1))
        ]
        target = min(deficit(instance, slate) for slate in slates)
        best = [slate for slate in slates if deficit(instance, slate) == target]
        search = Completions(instance)
        prefix: list[int] = []
        while len(prefix) < instance.bounds.length:
            expected = {slate[len(prefix)] for slate in best if list(slate[: len(prefix)]) == prefix}
            assert search.allowed(prefix, target) == expected
            prefix.append(int(rng.choice(sorted(expected))))


def test_rerank_reaches_the_least_pair() -> None:
    rng = np.random.default_rng(13)
    for _ in range(60):
        instance = small(rng, upper=True)
        twin = Twin.of("relevance", 0.0, instance.scores, None)
        picks, target = naive_rerank(instance, twin)
        assert deficit(instance, picks) == target
        assert len(set(picks)) == instance.bounds.length
        assert (target == NOTHING) == (not broken(instance, picks))


def test_prefix_shares_by_hand() -> None:
    # a: floor(j / 2) = 0 1 1 2; upstream order would be b b b b a a
    policy = {"quotas": [{"attribute": "tone", "min_share": {"a": 0.5}}]}
    instance = Instance.of(policy, [6, 5, 4, 3, 2, 1], {"tone": ["b", "b", "b", "b", "a", "a"]}, 4)
    picks, target = naive_rerank(instance, Twin.of("relevance", 0.0, instance.scores, None))
    assert picks == [0, 4, 1, 5]
    assert target == NOTHING


def test_share_of_29_hundredths_is_29_of_100() -> None:
    assert exact(0.29) == Fraction(29, 100)
    assert exact("1/3") == Fraction(1, 3)


def test_guard_lets_nobody_be_lifted() -> None:
    policy = {"guard": {"min_score": 3}, "quotas": [{"attribute": "tone", "min_count": {"a": 1}, "within": 2}]}
    scores = [6.0, 5.0, 2.0, 1.0]
    instance = Instance.of(policy, scores, {"tone": ["b", "b", "a", "a"]}, 3)
    picks, target = naive_rerank(instance, Twin.of("relevance", 0.0, scores, None))
    assert picks == [0, 1, 2]
    assert target == (Fraction(0), Fraction(1))
    assert alone(instance, ("tone", "a")) == 1
    assert alone(instance, ("tone", "a"), with_guard=False) == 0


def test_weights_decide_who_is_short() -> None:
    quotas = [
        {"attribute": "tone", "min_count": {"a": 1}, "within": 1},
        {"attribute": "tone", "min_count": {"b": 1}, "within": 1, "weight": 2},
    ]
    instance = Instance.of({"quotas": quotas}, [3.0, 2.0, 1.0], {"tone": ["a", "b", "c"]}, 2)
    picks, target = naive_rerank(instance, Twin.of("relevance", 0.0, instance.scores, None))
    assert picks == [1, 0]
    assert target == (Fraction(0), Fraction(1))
    assert broken(instance, picks) == {("tone", "a", "LOWER"): 1}


def test_an_excess_outweighs_any_shortfall() -> None:
    quotas = [
        {"attribute": "tone", "min_count": {"a": 3}, "weight": 9},
        {"attribute": "tone", "max_count": {"a": 1}, "weight": 0.5},
    ]
    instance = Instance.of({"quotas": quotas}, [4.0, 3.0, 2.0, 1.0], {"tone": ["a", "a", "a", "b"]}, 2)
    assert naive_rerank(instance, Twin.of("relevance", 0.0, instance.scores, None)) == (
        [0, 3],
        (Fraction(0), Fraction(18)),
    )


@pytest.mark.parametrize("form", ["cosine", "cosine_shifted"])
def test_conditional_variance_is_a_ratio_of_determinants(form: str) -> None:
    rng = np.random.default_rng(14)
    kernel = similarities(rng.normal(size=(6, 9)), 6, form)
    for size in range(1, 5):
        earlier = list(range(size))
        ratio = np.linalg.det(kernel[: size + 1, : size + 1]) / np.linalg.det(kernel[:size, :size])
        assert conditional_variances(kernel, earlier)[size] == pytest.approx(ratio, rel=1e-9)


def test_missing_embeddings_are_their_own_direction() -> None:
    kernel = similarities([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]], 3, "cosine_shifted")
    assert kernel.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert similarities(None, 2, "cosine").tolist() == [[1, 0], [0, 1]]


def test_duplicates_are_clamped() -> None:
    twin = Twin.of("dpp", 1.0, [3.0, 2.0, 1.0], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    picks, gains, _ = greedy(twin, 3)
    assert picks == [0, 2, 1]
    assert gains == pytest.approx([0.0, np.log(0.75), np.log(1e-5)])


def test_normalisation_by_hand() -> None:
    assert normalise([1.0, 3.0], "zscore").tolist() == [-1, 1]
    assert normalise([1.0, 3.0, 2.0], "minmax").tolist() == [0, 1, 0.5]
    assert normalise([1.0, 3.0, 3.0], "rank").tolist() == [0, 1, 1]
    assert normalise([5.0, 4.0, 4.0, 1.0, 0.5], "rank").tolist() == [1, 0.625, 0.625, 0.25, 0]
    for form in ("zscore", "minmax", "rank"):
        assert normalise([7.0], form).tolist() == [0]
    for form in ("zscore", "minmax"):
        assert normalise([0.1] * 3, form).tolist() == [0, 0, 0]


def test_ties_go_to_score_then_position() -> None:
    twin = Twin.of("mmr", 1.0, [1.0, 2.0, 2.0], None)
    assert greedy(twin, 3)[0] == [1, 2, 0]
    assert top_two_margin({0: 1.0, 1: 1.0, 2: 0.5}, 0) == 0.0
    assert top_two_margin({0: 1.0, 1: 1.0, 2: 0.5}, 0, twins={0, 1}) == 0.5


@pytest.mark.parametrize("strategy", ["relevance", "mmr", "dpp"])
def test_no_diversity_is_the_upstream_order(strategy: str) -> None:
    rng = np.random.default_rng(15)
    for _ in range(20):
        count = int(rng.integers(1, 12))
        scores = instances.scores(rng, count)
        twin = Twin.of(strategy, 0.0, scores, instances.rows(rng, count, 3))
        assert greedy(twin, count)[0] == np.lexsort((np.arange(count), -scores)).tolist()
