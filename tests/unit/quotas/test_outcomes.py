"""Outcomes are counted afresh on the finished slate: first failing prefix, counts there, and the slate's status."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from reranker.quotas.outcomes import outcomes_of, status_of
from reranker.quotas.pool import Pool
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome, SlateStatus
from tests.unit.quotas.test_tables import table


def outcomes(
    tones: list[Any], picks: list[int], *quotas: dict[str, Any], asked: int | None = None
) -> list[QuotaOutcome]:
    """Outcomes of picks from candidates in upstream order, nobody guarded or kept."""
    count, slots = len(tones), len(picks)
    merged = table(tones, *quotas, slots=slots)
    free = np.full(slots, -1, np.int32)
    pool = Pool({}, np.ones(count, bool), np.ones(count, np.int32), 0, slots, free, {})
    return list(outcomes_of((merged,), pool, np.array(picks, np.int32), asked or slots, 0))


def numbers(outcome: QuotaOutcome) -> tuple[float, float, int]:
    return outcome.required, outcome.achieved, outcome.first_failing_prefix


def test_a_bound_that_holds_reports_the_last_prefix_at_which_it_binds() -> None:
    (least,) = outcomes(list("abab"), [0, 1, 2, 3], {"min_share": {"b": 0.5}})
    assert (least.status, least.reason, numbers(least), least.share) == (OutcomeStatus.MET, None, (2, 2, 0), 0.5)
    (most,) = outcomes(list("abab"), [0, 1, 2, 3], {"max_count": {"a": 1}, "within": 2})
    assert (most.status, numbers(most)) == (OutcomeStatus.MET, (1, 1, 0))


def test_a_broken_bound_reports_the_first_prefix_that_fails() -> None:
    (least,) = outcomes(list("aabb"), [0, 1, 2, 3], {"min_share": {"b": 0.5}})
    assert (least.status, numbers(least)) == (OutcomeStatus.BROKEN, (1, 0, 2))
    (most,) = outcomes(list("aabb"), [0, 1, 2, 3], {"max_share": {"a": 0.5}})
    assert (most.bound, most.status, numbers(most)) == (BoundKind.UPPER, OutcomeStatus.BROKEN, (1, 2, 2))


def test_a_bound_that_never_asks_for_anything_is_met() -> None:
    (outcome,) = outcomes(list("ab"), [0, 1], {"min_share": {"b": 0.1}})
    assert (outcome.status, outcome.required, outcome.achieved) == (OutcomeStatus.MET, 0, 1)


def test_one_outcome_a_value_and_side_and_one_a_window() -> None:
    found = outcomes(
        list("abab"),
        [0, 1, 2, 3],
        {"min_count": {"a": 1, "b": 1}},
        {"max_count": {"a": 3}},
        {"max_per_value": 2, "window": 3},
    )
    assert [(outcome.value, outcome.bound) for outcome in found] == [
        ("a", BoundKind.LOWER), ("a", BoundKind.UPPER), ("b", BoundKind.LOWER), ("", BoundKind.WINDOW),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("window", [0, 1, 2, 3, 5, 9])
def test_windows_are_counted_as_by_hand(window: int, limit: int) -> None:
    for tones in itertools.product("ab", repeat=5):
        length = window or 5
        most = max(tones[start : start + length].count(value) for start in range(5) for value in "ab")
        (outcome,) = outcomes(list(tones), [0, 1, 2, 3, 4], {"max_per_value": limit, "window": window})
        assert (outcome.status is OutcomeStatus.BROKEN) == (most > limit), tones
        if most > limit:
            ends = [
                end
                for end in range(1, 6)
                if max(tones[max(0, end - length) : end].count(value) for value in "ab") > limit
            ]
            assert outcome.first_failing_prefix == ends[0]
            window_then = tones[max(0, ends[0] - length) : ends[0]]
            assert outcome.achieved == window_then.count(outcome.value) == limit + 1


def outcome_with(reason: OutcomeReason | None) -> QuotaOutcome:
    status = OutcomeStatus.BROKEN if reason else OutcomeStatus.MET
    return QuotaOutcome("tone", "a", BoundKind.LOWER, 1, 0, 0.0, 1, status, reason, 0)


WANT = (OutcomeReason.SUPPLY, OutcomeReason.GUARD, OutcomeReason.UNKNOWN_LABELS)
FIGHT = (OutcomeReason.CROWDING, OutcomeReason.CONFLICT, OutcomeReason.PINNED)


@pytest.mark.parametrize("minimal", [False, True])
def test_the_status_follows_from_the_reasons_of_what_is_broken(minimal: bool) -> None:
    relaxed = SlateStatus.RELAXED_MINIMAL if minimal else SlateStatus.RELAXED_BEST_EFFORT
    met = outcome_with(None)
    assert status_of([], minimal) is SlateStatus.SATISFIED
    assert status_of([met, met], minimal) is SlateStatus.SATISFIED
    for reason in WANT:
        assert status_of([met, outcome_with(reason)], minimal) is SlateStatus.SUPPLY_LIMITED
    for reason in FIGHT:
        assert status_of([outcome_with(WANT[0]), outcome_with(reason)], minimal) is relaxed


def test_a_suspended_bound_breaks_nothing() -> None:
    suspended = QuotaOutcome(
        "tone", "a", BoundKind.LOWER, 0, 0, 0.0, 0, OutcomeStatus.SUSPENDED, OutcomeReason.NO_TARGET, 0
    )
    assert status_of([suspended], minimal=False) is SlateStatus.SATISFIED


def test_more_than_slots_is_supply_when_the_list_is_shorter_than_was_asked() -> None:
    quota = {"min_count": {"b": 3}}
    assert outcomes(list("bbbb"), [0, 1], quota)[0].reason is OutcomeReason.CROWDING
    assert outcomes(list("bb"), [0, 1], quota, asked=5)[0].reason is OutcomeReason.SUPPLY
