"""Scores at the ends of their range, and attributes with as many values as candidates: no warning, no blow-up."""

from __future__ import annotations

import math
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.measures import Membership, div, div_ceiling, membership, ndcg, ndkl, relevance_retained, shares, skews
from tests.reference import naive_measures

EXTREME = [
    [1e308, 1e308, 1e308, 1.0],
    [1.7976931348623157e308, -1.7976931348623157e308, 0.0, 1.0],
    [5e-324, 0.0, -1e10, -1.0],
    [-1e308, -1e308, -1e308, -1e308],
    [1e308, 1e-308, 5e-324, -5e-324],
    [1e160, 1e-160, 3.0, 2.0],
]
ORDER, SLATE = np.array([0, 1, 2, 3]), np.array([0, 3])


def test_shares_of_relevance_at_the_end_of_the_range() -> None:
    huge = np.array([1e308, 1e308, 1e308, 1.0])
    assert relevance_retained(huge, SLATE, ORDER, -1e308) == pytest.approx(0.75)
    assert relevance_retained(huge, SLATE, ORDER, 0.0) == pytest.approx(0.5)
    assert relevance_retained(huge, ORDER, ORDER, -1e308) == 1.0
    discounts = [1.0, 1 / math.log2(3)]
    assert ndcg(huge, SLATE, ORDER, -1e308) == pytest.approx((2 * discounts[0] + discounts[1]) / (2 * sum(discounts)))
    assert ndcg(huge, SLATE, ORDER) == pytest.approx(discounts[0] / sum(discounts))


def test_huge_scores_have_the_shares_of_small_ones() -> None:
    small = np.array([8.0, 5.0, 3.0, -2.0])
    for zero in (0.0, -3.0, 4.0):
        for measure in (relevance_retained, ndcg):
            assert measure(small * 2.0**1020, SLATE, ORDER, zero * 2.0**1020) == measure(small, SLATE, ORDER, zero)


@pytest.mark.parametrize("scores", EXTREME)
@pytest.mark.parametrize("zero", [None, 0.0, -1e308, 1e308, 5e-324])
def test_no_warning_escapes_a_request(scores: list[float], zero: float | None) -> None:
    candidates = Candidates(range(4), scores, np.eye(4), {"tone": ["x", "y", "x", None]})
    upstream = np.argsort(-np.array(scores), kind="stable").tolist()
    for strategy in ("relevance", "mmr", "msd", "dpp", "ssd", "cover"):
        words: dict[str, Any] = {"objective": {"strategy": strategy}}
        words["quotas"] = [{"attribute": "tone", "min_count": {"y": 1}}]
        if zero is not None:
            words["objective"]["score_zero"] = zero
            words["guard"] = {"min_share_of_best": 0.5}
        slate = rerank(candidates, Policy.from_dict(words), 3)
        kept = slate.report.relevance_retained
        measures = slate.report.measures
        assert kept is None or 0.0 <= kept <= 1.0 + 1e-9
        assert all(value is None or 0.0 <= value <= 1.0 + 1e-9 for value in (measures.before.ndcg, measures.after.ndcg))
        if strategy == "relevance" and zero == 1e308 and max(scores) < 1e308:
            assert slate.positions.tolist() == upstream[:3]  # nobody passes the guard


def guarded(scores: list[float], zero: float, share: float) -> list[int]:
    """The first three by relevance where only the last item carries what the quota asks for."""
    words = {
        "objective": {"strategy": "relevance", "score_zero": zero},
        "guard": {"min_share_of_best": share},
        "quotas": [{"attribute": "tone", "min_count": {"b": 1}, "within": 1}],
    }
    candidates = Candidates(range(3), scores, None, {"tone": ["a", "a", "b"]})
    positions: list[int] = rerank(candidates, Policy.from_dict(words), 3).positions.tolist()
    return positions


def test_the_guard_when_the_best_score_is_at_or_below_the_zero() -> None:
    assert guarded([3, 2, 1], 3, 1.0) == [2, 0, 1]  # exactly at it: everybody passes
    assert guarded([3, 2, 1], 4, 0.5) == [0, 1, 2]  # below it: nobody
    assert guarded([3, 2, 1], 4, 0.0) == [0, 1, 2]
    assert guarded([3, 2, 1], 0, 1 / 3) == [2, 0, 1]
    assert guarded([3, 2, 1], 0, 0.34) == [0, 1, 2]


def test_the_guard_at_the_end_of_the_range() -> None:
    assert guarded([1e308, 1e308, 1.0], -1e308, 0.5) == [2, 0, 1]
    assert guarded([1e308, 1e308, 1.0], -1e308, 0.51) == [0, 1, 2]


def test_membership_as_a_matrix_and_back() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        matrix = rng.integers(0, 2, (int(rng.integers(0, 9)), int(rng.integers(0, 6)))).astype(bool)
        members = Membership.of_matrix(matrix)
        assert np.array_equal(members.carries, matrix)
        assert members.counts.tolist() == matrix.sum(axis=0).tolist()
        assert np.array_equal(members.first(2).carries, matrix[:, :2]) or matrix.shape[1] < 2
        positions = rng.permutation(len(matrix))[: len(matrix) // 2]
        assert np.array_equal(members.of(positions).carries, matrix[positions])
        assert members.of(positions).labelled.tolist() == [bool(row.any()) for row in matrix[positions]]
    assert not Membership.of_nobody(3, 2).carries.any()


def test_twins_agree_on_long_lists_of_many_values() -> None:
    rng = np.random.default_rng(4)
    names = tuple(f"c{i}" for i in range(60))
    for most in (2, 4):
        lists = [sorted({names[i] for i in rng.integers(0, 60, rng.integers(0, most))}) for _ in range(200)]
        column = Candidates(range(200), np.zeros(200), None, {"c": lists}).attributes["c"]
        members, items = membership(column, names), [frozenset(values) for values in lists]
        reference = shares(members)
        positions = rng.permutation(200)[:80]
        listed, sets = members.of(positions), [items[i] for i in positions.tolist()]
        named = dict(zip(names, reference.tolist(), strict=True))
        assert ndkl(listed, reference) == pytest.approx(naive_measures.ndkl(sets, named), rel=1e-12)
        assert skews(listed, reference) == pytest.approx(naive_measures.skews(sets, named))
        assert div(listed) == naive_measures.div(sets, names)


def test_a_value_for_each_of_9000_candidates() -> None:
    count = 9_000
    creators = [f"creator {i}" for i in range(count)]
    candidates = Candidates(range(count), np.arange(count, 0.0, -1.0), None, {"creator": creators})
    policy = Policy.from_dict(
        {
            "objective": {"strategy": "relevance"},
            "quotas": [{"attribute": "creator", "max_per_value": 2, "window": 10}],
        }
    )
    report = rerank(candidates, policy, 1_000).report
    tracemalloc.start()
    started = time.perf_counter()
    group = report.measures.after.groups["creator"]
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
    assert seconds < 0.5  # some 10 ms on an idle machine; by dense matrices it was seconds
    assert (group.div, group.div_ceiling) == (0.0, 0.0)
    weights = 1.0 / np.log2(np.arange(2, 1002))
    expected = float(weights @ np.log(count / np.arange(1, 1001)) / weights.sum())
    assert group.ndkl == pytest.approx(expected)
    assert group.max_skew == pytest.approx(math.log(count / 1_000))


def test_the_search_for_a_cover_is_bounded_in_width_and_depth() -> None:
    rng = np.random.default_rng(6)
    lists = [[f"c{i}" for i in set(rng.integers(0, 3_000, 3).tolist())] for _ in range(9_000)]
    column = Candidates(range(9_000), np.zeros(9_000), None, {"c": lists}).attributes["c"]
    members = membership(column, column.values)
    started = time.perf_counter()
    assert div_ceiling(members, None, 2_000) in (1.0, None)
    assert time.perf_counter() - started < 2.0
    pairs = Membership.of_matrix(np.repeat(np.eye(1_000, dtype=bool), 2, axis=1))
    assert div_ceiling(pairs, None, 1_000) is None  # there is a cover, deeper than the search goes
    assert div_ceiling(Membership.of_matrix(np.repeat(np.eye(300, dtype=bool), 2, axis=1)), None, 300) == 1.0
