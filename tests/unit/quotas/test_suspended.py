"""Bounds that do not apply to a request: reported as suspended, never broken; and slots that floors overfill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine import rerank
from reranker.policy import Policy
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome, Slate, SlateStatus


def served(
    quotas: list[dict[str, Any]], tones: list[str | None], context: Context | None = None, **words: Any
) -> Slate:
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": quotas, **words})
    scores = np.arange(len(tones), 0, -1).astype(float)
    return rerank(Candidates(list(range(len(tones))), scores, None, {"tone": tones}), policy, 4, context=context)


def told(outcomes: tuple[QuotaOutcome, ...]) -> list[tuple[str, BoundKind, OutcomeStatus, OutcomeReason | None]]:
    return [(o.value, o.bound, o.status, o.reason) for o in outcomes]


SUSPENDED = OutcomeStatus.SUSPENDED


@pytest.mark.parametrize("context", [None, Context(targets={"body": {"plus": 0.5}})])
def test_without_targets_in_the_request(context: Context | None) -> None:
    slate = served([{"attribute": "tone", "target": "request"}], ["a", "b", "a", "b", "a"], context)
    assert told(slate.report.quotas) == [("", BoundKind.LOWER, SUSPENDED, OutcomeReason.NO_TARGET)]
    assert slate.report.status is SlateStatus.SATISFIED
    assert slate.positions.tolist() == [0, 1, 2, 3]


def test_a_pool_without_labels_has_no_target() -> None:
    slate = served([{"attribute": "tone", "target": "pool"}], [None] * 5)
    assert told(slate.report.quotas) == [("", BoundKind.LOWER, SUSPENDED, OutcomeReason.LOW_COVERAGE)]
    assert "labelled" in slate.report.quotas[0].detail


@pytest.mark.parametrize("target", ["request", "pool"])
def test_without_a_target_the_other_bounds_of_its_block_go_on(target: str) -> None:
    """In a pool of nobody labelled no candidate can meet them, and they are still asked for."""
    tones: list[str | None] = ["a", "a", "a", "a", "b"] if target == "request" else [None] * 5
    block = {"attribute": "tone", "target": target, "at_least_one_of_each": True, "values": ["b"], "within": 2}
    slate = served([block], tones)
    reason = OutcomeReason.NO_TARGET if target == "request" else OutcomeReason.LOW_COVERAGE
    outcomes = told(slate.report.quotas)
    assert outcomes[-1] == ("", BoundKind.LOWER, SUSPENDED, reason)
    met = OutcomeStatus.MET if target == "request" else OutcomeStatus.BROKEN
    assert [outcome[:3] for outcome in outcomes[:-1]] == [("b", BoundKind.LOWER, met)]


def test_too_few_labels_suspend_every_bound_of_the_block_and_no_other() -> None:
    quotas = [
        {"attribute": "tone", "min_count": {"b": 1}, "max_share": {"a": 0.5}, "min_coverage": 0.5},
        {"attribute": "tone", "max_per_value": 1},
    ]
    slate = served(quotas, ["a", "a", None, None, None])
    assert told(slate.report.quotas) == [
        ("", BoundKind.WINDOW, OutcomeStatus.MET, None),
        ("b", BoundKind.LOWER, SUSPENDED, OutcomeReason.LOW_COVERAGE),
        ("a", BoundKind.UPPER, SUSPENDED, OutcomeReason.LOW_COVERAGE),
    ]
    assert [o.required for o in slate.report.quotas[1:]] == [-1, -1]


def test_enough_labels_do_not() -> None:
    quota = {"attribute": "tone", "min_count": {"b": 1}, "min_coverage": 0.4}
    slate = served([quota], ["a", "a", None, None, "b"])
    assert told(slate.report.quotas) == [("b", BoundKind.LOWER, OutcomeStatus.MET, None)]


def test_unknown_as_a_group_labels_nobody() -> None:
    quota = {"attribute": "tone", "min_count": {"unknown": 3}, "min_coverage": 0.5}
    slate = served([quota], ["a", "a", None, None, None], labels={"unknown": "group"})
    assert told(slate.report.quotas) == [("unknown", BoundKind.LOWER, SUSPENDED, OutcomeReason.LOW_COVERAGE)]
    bare = {"attribute": "tone", "min_count": {"unknown": 3}}
    slate = served([bare], ["a", "a", None, None, None], labels={"unknown": "group"})
    assert told(slate.report.quotas) == [("unknown", BoundKind.LOWER, OutcomeStatus.MET, None)]


@pytest.mark.parametrize("mode", ["strict", "fail"])
def test_what_is_suspended_makes_no_policy_strict(mode: str) -> None:
    quota = {"attribute": "tone", "target": "request"}
    assert served([quota], ["a"] * 5, on_infeasible={"mode": mode}).report.status is SlateStatus.SATISFIED


def test_a_suspended_soft_block_says_that_it_is_soft() -> None:
    slate = served([{"attribute": "tone", "target": "request", "soft": True}], ["a"] * 5)
    assert [o.soft for o in slate.report.quotas] == [True]


def test_targets_of_a_request_are_kept_at_every_prefix() -> None:
    context = Context(targets={"tone": {"a": 0.5, "b": 0.5}})
    slate = served([{"attribute": "tone", "target": "request"}], ["a", "a", "a", "a", "b", "b"], context)
    assert slate.positions.tolist() == [0, 4, 1, 5]
    assert slate.report.status is SlateStatus.SATISFIED


def test_floors_that_overfill_slots_say_which() -> None:
    quota = {"attribute": "tone", "min_count": {"a": 2, "b": 2, "c": 1}, "within": 3}
    slate = served([quota], ["a", "a", "b", "b", "c", "c"])
    broken = [o for o in slate.report.quotas if o.status is OutcomeStatus.BROKEN]
    assert {o.reason for o in broken} == {OutcomeReason.CROWDING}
    assert {o.crowded_slots for o in broken} == {(1, 3)}
    assert sum(o.required - o.achieved for o in broken) == 2
    assert "more is asked of slots 1 to 3 than there are" in broken[0].detail
