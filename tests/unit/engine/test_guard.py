"""The guard, the kept items and the upstream order: who may stand where, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker import Candidates, InvalidInput, LabelProbabilities, Policy, Slate, rerank
from reranker.slate import OutcomeReason, OutcomeStatus, SlateStatus

EACH = {"attribute": "tone", "at_least_one_of_each": True, "values": ["a", "b"], "within": 2}


def policy(**words: Any) -> Policy:
    return Policy.from_dict({"name": "x", "objective": {"strategy": "relevance"}, **words})


def slate(scores: list[float], tones: str, size: int = 3, columns: dict[str, Any] | None = None, **words: Any) -> Slate:
    candidates = Candidates(range(len(scores)), scores, None, {"tone": list(tones), **(columns or {})})
    return rerank(candidates, policy(quotas=[EACH], **words), size)


def test_without_a_guard_a_quota_lifts_from_anywhere() -> None:
    assert slate([4, 3, 2, 1], "aaab").ids == [0, 3, 1]


def test_min_score_is_met_by_equality_and_failed_below() -> None:
    assert slate([4, 3, 2, 1], "aaab", guard={"min_score": 1}).ids == [0, 3, 1]
    failed = slate([4, 3, 2, 1], "aaab", guard={"min_score": 1.0000001})
    assert failed.ids == [0, 1, 2]
    assert failed.report.status is SlateStatus.SUPPLY_LIMITED
    assert [o.reason for o in failed.report.quotas if o.status is OutcomeStatus.BROKEN] == [OutcomeReason.GUARD]


def test_an_item_that_fails_the_guard_may_keep_its_rank_but_not_rise() -> None:
    assert slate([4, 3, 2, 1], "abaa", guard={"min_score": 10}).ids == [0, 1, 2]
    assert slate([4, 3, 2, 1], "aaba", guard={"min_score": 10}).ids == [0, 1, 2]


def test_variety_lifts_nobody_past_the_guard_either() -> None:
    rows = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    words = {"objective": {"strategy": "dpp", "diversity": 0.9}}
    candidates = Candidates(range(4), [4, 3, 2, 1], rows)
    assert rerank(candidates, policy(**words), 2).ids == [0, 3]
    assert rerank(candidates, policy(**words, guard={"min_score": 2}), 2).ids == [0, 1]


@pytest.mark.parametrize(("share", "lifted"), [(0.25, True), (0.2500001, False), (0.0, True), (1.0, False)])
def test_min_share_of_best_is_a_share_of_the_best_score(share: float, lifted: bool) -> None:
    assert (slate([4, 3, 2, 1], "aaab", guard={"min_share_of_best": share}).ids == [0, 3, 1]) == lifted


def test_min_share_of_best_counts_from_the_zero_of_the_scores() -> None:
    """(score - zero) / (best - zero): 0.25 of the best score is nothing at all when 1 means no relevance."""
    zero: dict[str, Any] = {"objective": {"strategy": "relevance", "score_zero": 1.0}}
    assert slate([4, 3, 2, 1], "aaab", guard={"min_share_of_best": 0.25}, **zero).ids == [0, 1, 2]
    assert slate([4, 3, 2, 2], "aaab", guard={"min_share_of_best": 0.33}, **zero).ids == [0, 3, 1]


def test_a_best_score_of_zero_passes_everybody() -> None:
    assert slate([0, 0, 0, 0], "aaab", guard={"min_share_of_best": 0.9}).ids == [0, 3, 1]


def test_negative_scores_have_no_share_unless_the_policy_says_where_zero_is() -> None:
    with pytest.raises(InvalidInput, match=r"objective\.score_zero") as caught:
        slate([4, 3, 2, -1], "aaab", guard={"min_share_of_best": 0.2})
    assert [violation.path for violation in caught.value.violations] == ["candidates.scores"]
    assert "-1" not in str(caught.value)
    zero: dict[str, Any] = {"objective": {"strategy": "relevance", "score_zero": -6.0}}
    assert slate([4, 3, 2, -1], "aaab", guard={"min_share_of_best": 0.5}, **zero).ids == [0, 3, 1]
    assert slate([4, 3, 2, -1], "aaab", guard={"min_score": -1}).ids == [0, 3, 1]


INTEGRITY: dict[str, Any] = {"guard": {"where": {"integrity": ["ok", "new"]}}}


@pytest.mark.parametrize(("value", "lifted"), [("ok", True), ("new", True), ("spam", False), (None, False)])
def test_where_asks_for_one_of_some_values_and_the_unknown_fail(value: str | None, lifted: bool) -> None:
    columns = {"integrity": ["ok", "ok", "ok", value]}
    assert (slate([4, 3, 2, 1], "aaab", columns=columns, **INTEGRITY).ids == [0, 3, 1]) == lifted


@pytest.mark.parametrize(("values", "lifted"), [(["ok"], True), (["spam", "ok"], True), (["spam"], False), ([], False)])
def test_where_is_met_by_any_of_several_values(values: list[str], lifted: bool) -> None:
    columns = {"integrity": [["ok"], [], ["ok"], values]}
    assert (slate([4, 3, 2, 1], "aaab", columns=columns, **INTEGRITY).ids == [0, 3, 1]) == lifted


@pytest.mark.parametrize(("probability", "lifted"), [(0.5, True), (0.49, False), (0.0, False)])
def test_where_takes_a_probable_label_at_its_threshold(probability: float, lifted: bool) -> None:
    columns = {"integrity": LabelProbabilities(["ok"], [[1.0], [1.0], [1.0], [probability]])}
    assert (slate([4, 3, 2, 1], "aaab", columns=columns, **INTEGRITY).ids == [0, 3, 1]) == lifted


def test_where_fails_everybody_when_nobody_carries_the_attribute() -> None:
    absent = slate([4, 3, 2, 1], "aaab", **INTEGRITY)
    assert absent.ids == [0, 1, 2]
    assert absent.report.signals.absent_attributes == ("integrity",)


def test_all_conditions_of_the_guard_count() -> None:
    guard = {"min_score": 1, "min_share_of_best": 0.2, "where": {"integrity": ["ok"], "stock": ["true"]}}
    for stock, lifted in ((True, True), (False, False)):
        columns = {"integrity": ["ok"] * 4, "stock": [True, True, True, stock]}
        assert (slate([4, 3, 2, 1], "aaab", columns=columns, guard=guard).ids == [0, 3, 1]) == lifted


def test_values_for_each_are_those_that_a_guarded_candidate_carries() -> None:
    """The b below the guard asks for nothing; without the guard it would."""
    each = {"attribute": "tone", "at_least_one_of_each": True}
    candidates = Candidates(range(4), [4, 3, 2, 1], None, {"tone": list("aacb")})
    assert rerank(candidates, policy(quotas=[each], guard={"min_score": 2}), 3).ids == [0, 1, 2]
    assert rerank(candidates, policy(quotas=[each]), 3).ids == [0, 2, 3]


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 99])
def test_the_first_upstream_items_keep_their_slots(keep: int) -> None:
    rows = np.repeat([[1.0, 0.0]], 6, axis=0)
    rows[5] = [0.0, 1.0]
    words = {"objective": {"strategy": "dpp", "diversity": 1.0}, "placement": {"keep_top": keep}}
    ids = rerank(Candidates(range(6), [1, 6, 5, 4, 3, 2], rows), policy(**words), 4).ids
    upstream = [1, 2, 3, 4, 5, 0]
    assert ids[:keep] == upstream[: min(keep, 4)]
    assert (5 in ids) == (keep < 4)


def test_upstream_order_is_by_score_and_then_by_position() -> None:
    assert rerank(Candidates("abcde", [1, 2, 2, 3, 2]), policy(), 5).ids == ["d", "b", "c", "e", "a"]
    assert rerank(Candidates("abc", [-0.0, 0.0, -0.0]), policy(), 3).ids == ["a", "b", "c"]
    assert rerank(Candidates("abc", [1e-320, 5e-324, 2e-320]), policy(), 3).ids == ["c", "a", "b"]
