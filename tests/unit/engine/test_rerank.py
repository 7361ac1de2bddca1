"""One request through the engine: sizes, statuses, missing signals, notes. Quotas in depth are judged elsewhere."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, InvalidInput, LabelProbabilities, Policy, QuotasInfeasible, Slate, rerank
from reranker.engine import rerank_traced
from reranker.slate import OutcomeReason, OutcomeStatus, QuotaOutcome, SlateStatus
from tests.reference.instances import STRATEGIES

TONE = {"attribute": "tone"}


def policy(*quotas: dict[str, Any], **words: Any) -> Policy:
    objective = {"strategy": "relevance", **words.pop("objective", {})}
    return Policy.from_dict({"name": "tested", "objective": objective, "quotas": list(quotas), **words})


def listed(tones: Any, **columns: Any) -> Candidates:
    """Candidates in upstream order, the first with the highest score."""
    count = len(tones)
    return Candidates(range(count), np.arange(count, 0, -1.0), None, {"tone": list(tones), **columns})


def broken(slate: Slate) -> dict[str, QuotaOutcome]:
    return {o.value: o for o in slate.report.quotas if o.status is OutcomeStatus.BROKEN}


@pytest.mark.parametrize("size", [0, 1, 3, 5, np.int64(3), np.uint8(5)])
def test_a_slate_has_the_size_that_was_asked_for(size: int) -> None:
    slate = rerank(listed("aabab"), policy(), size)
    assert slate.positions.dtype == np.int32
    assert slate.gains.dtype == np.float64
    assert slate.ids == list(range(size))
    assert len(slate) == len(slate.gains) == size


@pytest.mark.parametrize("size", [6, 10**6, 2**31, 2**63, 10**40])
def test_a_slate_above_the_list_is_the_whole_list(size: int) -> None:
    assert rerank(listed("aabab"), policy({**TONE, "min_share": {"b": 0.2}}), size).ids == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [-1, -(10**40), True, False, np.bool_(True), 3.0, "3", None])
def test_any_other_size_is_refused(size: Any) -> None:
    with pytest.raises(InvalidInput, match="slate_size: must be an integer of at least 0"):
        rerank(listed("ab"), policy(), size)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("explain", [False, True])
def test_an_empty_list_gives_an_empty_slate(strategy: str, explain: bool) -> None:
    rules = policy(TONE | {"max_per_value": 1}, objective={"strategy": strategy}, guard={"min_share_of_best": 0.5})
    slate = rerank(Candidates([], [], np.zeros((0, 4)), {"tone": []}), rules, 5, explain=explain)
    assert slate.ids == []
    assert slate.explanations == ()
    assert slate.report.status is SlateStatus.SATISFIED
    assert slate.report.relevance_retained is None
    assert slate.report.measures.after.ndcg is None


@pytest.mark.parametrize("size", [0, 5])
@pytest.mark.parametrize("quota", [{"min_count": {"a": 1}}, {"at_least_one_of_each": True, "values": ["a"]}])
def test_without_slots_no_bound_binds(size: int, quota: dict[str, Any]) -> None:
    candidates = listed("aab") if size == 0 else Candidates([], [])
    slate = rerank(candidates, policy({**TONE, **quota}, on_infeasible={"mode": "fail"}), size)
    assert slate.report.status is SlateStatus.SATISFIED


# What each list lacks under each quota, and what the report calls it.
STATUSES: list[tuple[str, Any, dict[str, Any], dict[str, Any], SlateStatus, dict[str, OutcomeReason]]] = [
    ("met", "aaab", {"min_count": {"b": 1}}, {}, SlateStatus.SATISFIED, {}),
    ("supply", "aaab", {"min_count": {"b": 2}}, {}, SlateStatus.SUPPLY_LIMITED, {"b": OutcomeReason.SUPPLY}),
    ("nobody", "aaaa", {"min_count": {"b": 1}}, {}, SlateStatus.SUPPLY_LIMITED, {"b": OutcomeReason.SUPPLY}),
    ("short list", "aab", {"min_count": {"b": 4}}, {}, SlateStatus.SUPPLY_LIMITED, {"b": OutcomeReason.SUPPLY}),
    ("guard", "aaaab", {"min_count": {"b": 1}}, {"guard": {"min_score": 2}}, SlateStatus.SUPPLY_LIMITED,
     {"b": OutcomeReason.GUARD}),
    ("unlabelled", ["a", "a", None, None, None], {"min_count": {"b": 1}}, {}, SlateStatus.SUPPLY_LIMITED,
     {"b": OutcomeReason.UNKNOWN_LABELS}),
    ("too few unlabelled", ["a", "a", "a", None], {"min_count": {"b": 2}}, {}, SlateStatus.SUPPLY_LIMITED,
     {"b": OutcomeReason.SUPPLY}),
    ("crowding", "abaab", {"min_count": {"a": 2, "b": 2}, "within": 2}, {}, SlateStatus.RELAXED_MINIMAL,
     {"a": OutcomeReason.CROWDING, "b": OutcomeReason.CROWDING}),
    ("pinned floor", "aaabb", {"min_count": {"b": 1}, "within": 1}, {"placement": {"keep_top": 2}},
     SlateStatus.RELAXED_MINIMAL, {"b": OutcomeReason.PINNED}),
    ("pinned cap", "aaabbbb", {"max_count": {"a": 1}}, {"placement": {"keep_top": 2}},
     SlateStatus.RELAXED_MINIMAL, {"a": OutcomeReason.PINNED}),
    ("pinned window", "aabbbb", {"max_per_value": 1, "window": 2, "weight": 2}, {"placement": {"keep_top": 2}},
     SlateStatus.RELAXED_MINIMAL, {"a": OutcomeReason.PINNED}),
]  # fmt: skip


@pytest.mark.parametrize(("tones", "quota", "words", "status", "reasons"), [case[1:] for case in STATUSES],
                         ids=[case[0] for case in STATUSES])  # fmt: skip
def test_the_status_says_how_the_bounds_fared(
    tones: Any, quota: dict[str, Any], words: dict[str, Any], status: SlateStatus, reasons: dict[str, OutcomeReason]
) -> None:
    slate = rerank(listed(list(tones)), policy({**TONE, **quota}, **words), 4)
    assert slate.report.status is status
    assert {value: outcome.reason for value, outcome in broken(slate).items()} == reasons
    assert len(slate) == min(4, len(tones))


def test_bounds_that_exclude_each_other_are_a_conflict() -> None:
    rules = policy({**TONE, "min_count": {"a": 2}}, {**TONE, "max_count": {"a": 1}})
    slate = rerank(listed("aabbbb"), rules, 4)
    assert slate.report.status is SlateStatus.RELAXED_MINIMAL
    assert [outcome.reason for outcome in broken(slate).values()] == [OutcomeReason.CONFLICT]
    assert broken(slate)["a"].achieved == 1, "any excess outweighs any shortfall"


def test_several_attributes_are_best_effort_on_slates_too_long_to_be_tried_one_by_one() -> None:
    columns = {"tone": list("aabb"), "shape": list("xyxy")}
    shape = {"attribute": "shape", "within": 1}
    rules = policy({**TONE, "min_count": {"b": 1}}, {**shape, "min_count": {"x": 1}}, {**shape, "min_count": {"y": 1}})
    slate = rerank(listed(columns["tone"], shape=columns["shape"]), rules, 4)
    assert slate.report.status is SlateStatus.RELAXED_MINIMAL
    rules = policy({**TONE, "min_count": {"b": 5}, "within": 8}, {**shape, "max_count": {"x": 2}, "within": 9})
    slate = rerank(listed(list("aabb") * 6, shape=list("yyxx") * 6), rules, 20)
    assert slate.report.status is SlateStatus.RELAXED_BEST_EFFORT


def test_over_fetch_is_how_many_more_candidates_were_needed() -> None:
    assert broken(rerank(listed("aaaab"), policy({**TONE, "min_count": {"b": 3}}), 4))["b"].over_fetch == 2
    crowded = rerank(listed("abab"), policy({**TONE, "min_count": {"a": 2, "b": 1}, "within": 2}), 4)
    assert [outcome.over_fetch for outcome in broken(crowded).values()] == [0]


def test_an_outcome_names_the_first_failing_prefix_and_the_counts_there() -> None:
    outcome = broken(rerank(listed("aaaaab"), policy({**TONE, "min_share": {"b": 0.5}}), 6))["b"]
    assert (outcome.required, outcome.achieved, outcome.first_failing_prefix) == (1, 0, 2)
    assert outcome.share == pytest.approx(1 / 6)


@pytest.mark.parametrize("limit", [2, 5])
def test_a_window_that_holds_reports_what_it_counted(limit: int) -> None:
    (outcome,) = rerank(listed("aabcd"), policy({**TONE, "max_per_value": limit, "window": 3}), 5).report.quotas
    assert outcome.status is OutcomeStatus.MET
    assert outcome.achieved == 2


def test_strict_gives_the_upstream_order_and_says_so() -> None:
    rules = policy({**TONE, "min_count": {"b": 2}}, on_infeasible={"mode": "strict"}, objective={"strategy": "dpp"})
    slate = rerank(listed("aaaab"), rules, 4)
    assert slate.ids == [0, 1, 2, 3]
    assert slate.report.status is SlateStatus.STRICT_UPSTREAM
    assert "upstream order kept" in slate.report.notes[0]
    assert broken(slate)["b"].reason is OutcomeReason.SUPPLY
    assert len(rerank(listed("aaaab"), rules, 4, explain=True).explanations) == 4


@pytest.mark.parametrize("mode", ["strict", "fail"])
def test_strict_and_fail_leave_a_feasible_request_alone(mode: str) -> None:
    slate = rerank(listed("aaaab"), policy({**TONE, "min_count": {"b": 1}}, on_infeasible={"mode": mode}), 4)
    assert slate.ids == [0, 1, 2, 4]
    assert slate.report.status is SlateStatus.SATISFIED


def test_fail_raises_with_the_outcomes() -> None:
    with pytest.raises(QuotasInfeasible, match="tone b: at least 2, has 1 in the first 4 slots") as caught:
        rerank(listed("aaaab"), policy({**TONE, "min_count": {"b": 2}}, on_infeasible={"mode": "fail"}), 4)
    assert [outcome.status for outcome in caught.value.outcomes] == [OutcomeStatus.BROKEN]


def test_an_absent_attribute_is_no_error_but_is_reported() -> None:
    rules = policy({"attribute": "shape", "max_per_value": 1}, labels={"build": {"threshold": 0.5}})
    report = rerank(listed("ab"), rules, 2).report
    assert report.status is SlateStatus.SATISFIED
    assert report.signals.absent_attributes == ("shape", "build")
    assert report.notes[0] == "no candidate carries the attribute shape that the policy names"


def test_unknown_values_are_counted_by_attribute() -> None:
    rules = policy(
        {**TONE, "max_per_value": 3}, {"attribute": "genre", "max_per_value": 3}, labels={"gender": {"threshold": 0.6}}
    )
    gender = LabelProbabilities(["f", "m"], [[0.5, 0.5], [0.6, 0.4], [0.0, 0.0]])
    candidates = listed(["a", None, None], genre=[[], ["x", "y"], ["z"]], gender=gender, other=[None] * 3)
    assert rerank(candidates, rules, 3).report.signals.unknown_values == {"tone": 2, "genre": 1, "gender": 2}


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "relevance"])
@pytest.mark.parametrize("embeddings", [None, np.zeros((4, 3)), [None] * 4])
def test_without_embeddings_relevance_decides_and_a_note_says_so(strategy: str, embeddings: Any) -> None:
    slate = rerank(Candidates(range(4), [1, 4, 2, 3], embeddings), policy(objective={"strategy": strategy}), 3)
    assert slate.ids == [1, 3, 2]
    assert slate.report.signals.missing_embeddings == 4
    assert slate.report.notes == ("no candidate has an embedding: diversity has nothing to compare, relevance decides",)


@pytest.mark.parametrize("strategy", ["mmr", "msd", "dpp", "ssd"])
def test_a_missing_embedding_repels_nothing_and_is_repelled_by_nothing(strategy: str) -> None:
    same = [[1.0, 0.0], [1.0, 0.0], None, [1.0, 0.0], None]
    slate = rerank(
        Candidates(range(5), [5, 4, 3, 2, 1], same), policy(objective={"strategy": strategy, "diversity": 0.9}), 5
    )
    assert slate.ids == [0, 2, 4, 1, 3]
    assert slate.report.signals.missing_embeddings == 2


def test_values_outside_a_declared_domain_are_refused_without_being_quoted() -> None:
    rules = policy({**TONE, "max_per_value": 1}, labels={"tone": {"values": ["a", "b"]}})
    with pytest.raises(InvalidInput, match="outside the domain") as caught:
        rerank(listed(["a", "secret"]), rules, 2)
    assert "secret" not in str(caught.value)
    assert [violation.path for violation in caught.value.violations] == ["candidates.attributes['tone']"]


def test_a_request_without_profiling_says_what_was_not_used() -> None:
    report = rerank(listed("ab"), policy(), 2, context=Context(without_profiling=True)).report
    assert report.notes == ("context and history of the user were not used",)


def test_the_report_names_its_policy_and_measures_on_first_access() -> None:
    rules = policy({**TONE, "min_count": {"b": 1}})
    report = rerank(listed("aab"), rules, 2).report
    assert (report.policy_name, report.policy_revision) == ("tested", rules.revision)
    assert "measures" not in vars(report)
    assert report.relevance_retained == pytest.approx(4 / 5)
    assert report.measures.before.groups["tone"].shares != report.measures.after.groups["tone"].shares
    assert report.measures is report.measures


def test_a_trace_says_where_the_time_went() -> None:
    _, trace = rerank_traced(listed("ab"), policy(), 2)
    assert list(trace.stages) == ["policy", "plan", "select", "report"]
    assert all(0 <= seconds < 60 for seconds in trace.stages.values())


def test_scores_as_large_as_floats_go_are_compared_exactly() -> None:
    top = sys.float_info.max
    rows = np.eye(3, dtype=np.float32)
    for form in ("zscore", "minmax", "rank", "none"):
        rules = policy(objective={"strategy": "dpp", "score_normalisation": form})
        slate = rerank(Candidates("abc", [top, -top, 0.0], rows), rules, 3, explain=True)
        assert slate.ids == ["a", "c", "b"]
