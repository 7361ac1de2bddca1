"""Explicit aspects in whole requests: whose values they are, what is wanted of them, what is said, nobody lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, LabelProbabilities, Policy, Slate, rerank
from reranker.slate import SlateStatus

BY_ASPECT = ("xquad", "pm2", "dum", "calibrated", "round_robin")
POOL = {"attribute": "tone", "target": "pool"}


def run(
    strategy: str,
    attributes: dict[str, Any],
    slots: int = 6,
    diversity: float = 1.0,
    context: Context | None = None,
    explain: bool = False,
    **words: Any,
) -> Slate:
    """The slate of candidates in upstream order, without embeddings."""
    columns = [column for column in attributes.values() if isinstance(column, list)]
    count = len(columns[0]) if columns else 8
    candidates = Candidates(range(count), np.arange(count, 0, -1.0), None, attributes)
    policy = Policy.from_dict({"objective": {"strategy": strategy, "diversity": diversity}, **words})
    return rerank(candidates, policy, slots, context=context, explain=explain)


def said(slate: Slate) -> str:
    return "; ".join(slate.report.notes)


def test_the_attribute_is_the_one_that_is_written() -> None:
    attributes = {"maker": list("uuuuvvvv"), "tone": list("abcdabcd")}
    slate = run("round_robin", attributes, 4, calibration=POOL)
    assert slate.ids == [0, 1, 2, 3]
    assert slate.report.notes == ()


@pytest.mark.parametrize(
    ("words", "ids", "told"),
    [
        ({}, [0, 4, 1, 5], "values of maker, the first attribute of the candidates"),
        (
            {"quotas": [{"attribute": "tone", "max_per_value": 9}]},
            [0, 1, 2, 3],
            "values of tone, the first attribute that",
        ),
        (
            {"quotas": [{"where": {"tone": ["a"]}, "max_share": 1.0}]},
            [0, 1, 2, 3],
            "values of tone, the first attribute",
        ),
        (
            {"quotas": [{"attribute": "age", "min_count": {"x": 0}}]},
            [0, 4, 1, 5],
            "values of maker, the first attribute",
        ),
    ],
)
def test_an_attribute_that_is_not_written_is_named_in_a_note(words: dict[str, Any], ids: list[int], told: str) -> None:
    attributes = {"maker": list("uuuuvvvv"), "tone": list("abcdabcd")}
    slate = run("round_robin", attributes, 4, **words)
    assert slate.ids == ids
    assert told in said(slate)


@pytest.mark.parametrize("strategy", BY_ASPECT)
@pytest.mark.parametrize(
    "attributes",
    [{}, {"tone": [None] * 8}, {"maker": list("abcdabcd")}, {"tone": list("zzzzzzzz")}],
    ids=["no attribute", "all unknown", "another attribute", "only unwanted values"],
)
def test_without_aspects_relevance_decides_and_a_note_says_so(strategy: str, attributes: dict[str, Any]) -> None:
    """Others answer with the upstream list unsaid, or with an empty one."""
    slate = run(strategy, attributes, calibration={"attribute": "tone", "target": {"a": 0.5, "b": 0.5}})
    assert slate.ids == [0, 1, 2, 3, 4, 5]
    assert "relevance decides" in said(slate)
    assert "embedding" not in said(slate)


@pytest.mark.parametrize("strategy", BY_ASPECT)
def test_one_group_alone_is_the_upstream_order(strategy: str) -> None:
    assert run(strategy, {"tone": ["a"] * 8}, 8, calibration=POOL).ids == list(range(8))


@pytest.mark.parametrize("strategy", BY_ASPECT)
def test_unlabelled_items_are_never_dropped(strategy: str) -> None:
    slate = run(strategy, {"tone": [None, "a", None, "b", None, "a", "b", None]}, 8, calibration=POOL)
    assert sorted(slate.ids) == list(range(8))
    assert slate.ids[:2] == [1, 3]


def test_unknown_labels_are_a_group_where_the_policy_says_so() -> None:
    attributes = {"tone": ["a", "a", None, None, "b", "b"]}
    assert run("round_robin", attributes, 6, calibration=POOL).ids == [0, 4, 1, 5, 2, 3]
    grouped = run("round_robin", attributes, 6, calibration=POOL, labels={"unknown": "group"})
    assert grouped.ids == [0, 2, 4, 1, 3, 5]


def test_probable_labels_count_as_hard_ones() -> None:
    probabilities = np.array(
        [[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.5, 0.5], [0.4, 0.6], [0.3, 0.7], [0, 0], [0.1, 0.9]]
    )
    attributes = {"tone": LabelProbabilities(["a", "b"], probabilities)}
    assert run("round_robin", attributes, 4, calibration=POOL).ids == [0, 4, 1, 5]
    strict = run("round_robin", attributes, 4, calibration=POOL, labels={"threshold": 0.8})
    assert strict.ids == [0, 7, 1, 2]


def test_targets_come_from_the_request_and_fall_back_to_the_pool_with_a_note() -> None:
    attributes = {"tone": list("aaaaabbb")}
    words: dict[str, Any] = {"calibration": {"attribute": "tone", "target": "request"}}
    asked = run("calibrated", attributes, 4, context=Context(targets={"tone": {"a": 0.25, "b": 0.75}}), **words)
    assert sorted(asked.ids) == [0, 5, 6, 7]
    assert asked.report.notes == ()
    silent = run("calibrated", attributes, 4, **words)
    assert silent.ids == run("calibrated", attributes, 4, calibration=POOL).ids
    assert "the request has no target for tone" in said(silent)
    elsewhere = run("calibrated", attributes, 4, context=Context(targets={"age": {"x": 1.0}}), **words)
    assert elsewhere.ids == silent.ids


def test_what_a_target_leaves_open_is_wanted_of_all_other_values() -> None:
    slate = run("calibrated", {"tone": list("aaaabcde")}, 4, calibration={"attribute": "tone", "target": {"a": 0.5}})
    assert int((slate.positions < 4).sum()) == 2
    alone = run("calibrated", {"tone": list("aaaabcde")}, 4, calibration={"attribute": "tone", "target": {"a": 1}})
    assert alone.ids == [0, 1, 2, 3]


def test_pool_shares_are_of_labelled_candidates_that_pass_the_guard() -> None:
    """Half of those that pass are of each tone; the long tail of c does not pass, and nothing of it is wanted."""
    attributes = {"tone": list("abab") + ["c"] * 8}
    slate = run("calibrated", attributes, 4, calibration=POOL, guard={"min_score": 9.0})
    assert slate.ids == [0, 1, 2, 3]
    assert run("round_robin", attributes, 4, calibration=POOL, guard={"min_score": 9.0}).ids == [0, 1, 2, 3]


def test_several_values_share_one_item_in_a_distribution() -> None:
    attributes = {"genre": [["x", "y"], ["x"], ["y"], ["x", "y"], ["x"], ["y"]]}
    slate = run("calibrated", attributes, 2, calibration={"attribute": "genre", "target": {"x": 0.5, "y": 0.5}})
    assert slate.ids == [0, 3]


@pytest.mark.parametrize("strategy", BY_ASPECT)
def test_scores_may_be_shifted_and_scaled(strategy: str) -> None:
    rng = np.random.default_rng(1)
    scores, tones = rng.permutation(60) / 8.0, rng.choice(list("abcd"), 60, p=[0.7, 0.1, 0.1, 0.1]).tolist()
    policy = Policy.from_dict({"objective": {"strategy": strategy}, "calibration": POOL})
    expected = rerank(Candidates(range(60), scores, None, {"tone": tones}), policy, 20)
    for moved in (scores * 4.0, scores + 1024.0, scores * 1e-30, scores * 1e30):
        assert rerank(Candidates(range(60), moved, None, {"tone": tones}), policy, 20).ids == expected.ids
    order = rng.permutation(60)
    mixed = Candidates(order, scores[order], None, {"tone": [tones[i] for i in order]})
    assert rerank(mixed, policy, 20).ids == expected.ids


@pytest.mark.parametrize("strategy", BY_ASPECT)
def test_raw_scores_of_any_size_are_ranked(strategy: str) -> None:
    scores = np.array([1.7e308, 1e308, 1.0, 0.0, -1e308, -1.7e308])
    policy = Policy.from_dict({"objective": {"strategy": strategy, "score_normalisation": "none"}, "calibration": POOL})
    slate = rerank(Candidates(range(6), scores, None, {"tone": list("aaabbc")}), policy, 6)
    assert sorted(slate.ids) == list(range(6))
    assert not np.isnan(slate.gains).any()


@pytest.mark.parametrize("strategy", BY_ASPECT)
@pytest.mark.parametrize("quotas", [[], [{"attribute": "tone", "max_per_value": 2, "window": 4}]])
def test_explanations_add_up_and_change_nothing(strategy: str, quotas: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(2)
    for diversity in (0.3, 0.7, 1.0):
        tones = [None if rng.random() < 0.1 else "abcd"[min(3, int(rng.exponential()))] for _ in range(50)]
        words: dict[str, Any] = {"calibration": POOL, "quotas": quotas}
        plain = run(strategy, {"tone": tones}, 20, diversity, **words)
        told = run(strategy, {"tone": tones}, 20, diversity, explain=True, **words)
        assert told.ids == plain.ids
        assert told.gains.tolist() == plain.gains.tolist()
        for slot, told_one in enumerate(told.explanations):
            total = told_one.relevance_part + told_one.diversity_part + told_one.soft_part
            assert total == pytest.approx(told.gains[slot], abs=1e-8)
            if told_one.displacement > 0 and not told_one.forced_by:
                assert "its tone is wanted more in this slot" in told_one.text


@pytest.mark.parametrize("strategy", BY_ASPECT)
def test_soft_bounds_and_fixed_items_go_with_aspects(strategy: str) -> None:
    attributes = {"tone": list("aabbccdd")}
    soft = [{"attribute": "tone", "max_count": {"a": 0, "b": 0}, "soft": True, "weight": 1000.0}]
    slate = run(strategy, attributes, 4, calibration=POOL, quotas=soft)
    assert set(slate.ids) == {4, 5, 6, 7}
    fixed = run(strategy, attributes, 4, calibration=POOL, context=Context(fixed={2: 7}))
    assert fixed.ids[1] == 7
    assert fixed.report.status == SlateStatus.SATISFIED


def drawn(seed: int | None, explain: bool = False, **words: Any) -> Slate:
    rng = np.random.default_rng(0)
    candidates = Candidates(range(40), np.linspace(1, 0, 40), rng.normal(size=(40, 6)), {"tone": list("aaab" * 10)})
    policy = Policy.from_dict({"objective": {"sample": True, "diversity": 0.7}, **words})
    return rerank(candidates, policy, 12, context=Context(seed=seed), explain=explain)


def test_a_seed_draws_the_same_slate_again_and_another_seed_another_one() -> None:
    assert drawn(7).positions.tobytes() == drawn(7).positions.tobytes()
    assert drawn(7).gains.tobytes() == drawn(7).gains.tobytes()
    assert len({tuple(drawn(seed).ids) for seed in range(20)}) == 20
    assert drawn(None).ids == drawn(0).ids
    assert "the request has no seed" in said(drawn(None))
    assert drawn(0).report.notes == ()


def test_a_drawn_slate_keeps_quotas_and_is_explained_as_drawn() -> None:
    for seed in range(20):
        slate = drawn(seed, True, quotas=[{"attribute": "tone", "min_share": {"b": 0.5}}])
        assert slate.report.status == SlateStatus.SATISFIED
        assert [told.gain for told in slate.explanations] == slate.gains.tolist()
        *early, last = drawn(seed, True).explanations
        assert "drawn at random, by the request's seed" in early[0].text
        assert last.rank_exhausted  # 6 dimensions and the constant: 7 directions
        assert "nothing new was left to add, so relevance decided" in last.text


def test_draws_without_embeddings_or_diversity_are_the_upstream_order() -> None:
    candidates = Candidates(range(9), np.linspace(1, 0, 9))
    policy = Policy.from_dict({"objective": {"sample": True}})
    slate = rerank(candidates, policy, 5, context=Context(seed=3))
    assert slate.ids == [0, 1, 2, 3, 4]
    assert drawn(3, objective={"sample": True, "diversity": 0.0}).ids == list(range(12))
