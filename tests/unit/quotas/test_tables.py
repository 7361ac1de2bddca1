"""Bounds of several blocks merged into one table, and who carries what."""

from __future__ import annotations

from typing import Any

import numpy as np

from reranker.candidates import AttributeColumn, Candidates
from reranker.policy import Policy
from reranker.policy.blocks import NO_CAP
from reranker.policy.compile import compiled
from reranker.quotas.merge import build_tables
from reranker.quotas.pool import build_pool, hard_columns
from reranker.quotas.tables import AttributeTable


def table(
    tones: list[Any], *quotas: dict[str, Any], slots: int = 4, passes: list[bool] | None = None
) -> AttributeTable:
    """The table of candidates in upstream order."""
    count = len(tones)
    blocks = [{"attribute": "tone", **quota} for quota in quotas]
    rules = compiled(Policy.from_dict({"name": "x", "quotas": blocks}), slots)
    candidates = Candidates(range(count), np.arange(count, 0, -1.0), None, {"tone": tones})
    columns = hard_columns(rules, candidates, np.arange(count, dtype=np.int32))
    guard = np.ones(count, bool) if passes is None else np.array(passes)
    (merged,) = build_tables(rules, build_pool(rules, columns, guard, {}), rules.blocks)
    return merged


def row(found: AttributeTable, value: str) -> int:
    return found.values.index(value)


def test_blocks_merge_to_the_tightest_bound_with_the_largest_weight() -> None:
    found = table(
        list("aabb"),
        {"min_share": {"a": 0.5}, "weight": 2},
        {"min_count": {"a": 1}, "within": 1, "weight": 3},
        {"at_least_one_of_each": True, "values": ["a", "b"], "weight": 0.5},
        {"max_share": {"a": 0.75}, "weight": 5},
        {"max_count": {"a": 2}, "within": 3, "weight": 4},
    )
    a, b = row(found, "a"), row(found, "b")
    assert found.lower[a].tolist() == [0, 1, 1, 1, 2]
    assert found.upper[a].tolist() == [0, 1, 2, 2, 3]
    assert found.lower[b].tolist() == [0, 0, 0, 0, 1]
    assert found.upper[b].tolist() == [NO_CAP] * 5
    assert (found.bounds.lower_weight[a], found.bounds.upper_weight[a]) == (3.0, 5.0)
    assert (found.bounds.lower_weight[b], found.bounds.upper_weight[b]) == (0.5, 0.0)
    assert (found.bounds.named_upper < NO_CAP).any(axis=1).tolist() == [False, True, False]


def test_row_zero_stands_for_everybody_else_and_has_no_bounds() -> None:
    found = table(["a", None, "z", "a"], {"min_count": {"a": 1}})
    assert found.values == ("", "a")
    assert found.codes.tolist() == [1, 0, 0, 1]
    assert found.lower[0].tolist() == [0] * 5
    assert found.upper[0].tolist() == [NO_CAP] * 5
    assert found.labelled.tolist() == [True, False, True, True]


def test_each_without_values_asks_for_what_guarded_candidates_carry() -> None:
    quota = {"at_least_one_of_each": True, "within": 2}
    found = table(["a", "b", None, "c"], quota, passes=[True, False, True, True])
    assert set(found.values) == {"", "a", "c"}
    assert found.lower[row(found, "c")].tolist() == [0, 0, 1, 1, 1]


def test_a_window_gets_rows_only_for_values_that_can_break_it() -> None:
    assert table(list("aaab"), {"max_per_value": 1, "window": 2}).values == ("", "a")
    assert table(list("abcd"), {"max_per_value": 1, "window": 2}).values == ("",)


def test_a_window_over_the_whole_slate_is_a_cap_on_every_value() -> None:
    for window in (0, 4, 99):
        found = table(list("aaab"), {"max_per_value": 2, "window": window, "weight": 7})
        assert found.upper[row(found, "a")].tolist() == [2] * 5
        assert found.sliding == ()
        assert found.bounds.upper_weight[row(found, "a")] == 7.0
        assert (found.bounds.named_upper == NO_CAP).all()


def test_a_window_and_a_cap_on_one_value_merge() -> None:
    found = table(list("aaab"), {"max_count": {"a": 3}}, {"max_per_value": 1})
    assert found.upper[row(found, "a")].tolist() == [1] * 5


def test_the_data_decide_what_is_a_partition() -> None:
    assert table([["a"], [], ["b"], None], {"max_per_value": 1}).is_partition
    assert not table([["a", "b"], [], ["b"], None], {"max_per_value": 1}).is_partition


def test_an_item_with_several_values_counts_for_each() -> None:
    found = table([["a", "b"], [], ["b", "z"], ["a"]], {"min_count": {"a": 1, "b": 1}})
    assert [found.rows_of(item).tolist() for item in range(4)] == [[1, 2], [], [2], [1]]
    assert found.members(row(found, "b")).tolist() == [0, 2]
    assert found.labelled.tolist() == [True, False, True, True]


def test_supply_counts_who_may_stand_in_each_prefix() -> None:
    found = table(["a", "a", "b", "a"], {"min_count": {"a": 1}}, passes=[True, False, True, False])
    release = np.array([1, 2, 1, 4], np.int32)
    assert found.supply(release)[row(found, "a")].tolist() == [0, 1, 2, 2, 3]
    assert found.supply(release)[0].tolist() == [0, 1, 1, 1, 1]


def test_columns_follow_the_upstream_order() -> None:
    order = np.array([2, 0, 1], np.int32)
    single = AttributeColumn(("a", "b"), np.array([1, 0, 2], np.int32))
    assert single.take(order).codes.tolist() == [2, 1, 0]
    several = AttributeColumn(("a", "b"), np.array([1, 2, 2], np.int32), np.array([0, 2, 2, 3], np.int32))
    moved = several.take(order)
    assert moved.offsets is not None
    assert (moved.codes.tolist(), moved.offsets.tolist()) == ([2, 1, 2], [0, 1, 3, 3])
