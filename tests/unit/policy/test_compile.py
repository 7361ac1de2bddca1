"""Shares become integers exactly, and what a policy leaves out gets its default."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reranker.policy import Policy
from reranker.policy.blocks import NO_CAP, EachBound, PrefixBound, WindowBound, share_ceiling, share_floor
from reranker.policy.compile import CompiledPolicy, Guard, compiled


def rules(slots: int = 10, *quotas: dict[str, Any], **words: Any) -> CompiledPolicy:
    blocks = [{"attribute": "tone", **quota} for quota in quotas]
    return compiled(Policy.from_dict({"name": "x", "quotas": blocks, **words}), slots)


def bounds(*args: Any, **words: Any) -> list[PrefixBound]:
    return [bound for block in rules(*args, **words).blocks for bound in block.prefix_bounds]


def floor_of(share: Any, slots: int, **words: Any) -> list[int]:
    (bound,) = bounds(slots, {"min_share": {"a": share}, **words})
    assert bound.lower is not None
    assert bound.upper is None
    return [int(count) for count in bound.lower]


def ceiling_of(share: Any, slots: int, **words: Any) -> list[int]:
    (bound,) = bounds(slots, {"max_share": {"a": share}, **words})
    assert bound.upper is not None
    assert bound.lower is None
    return [int(count) for count in bound.upper]


@pytest.mark.parametrize(
    ("share", "slots", "least", "most"),
    [
        (0.29, 100, 29, 29),  # 0.29 * 100 is 28.999999999999996 in floating point
        (0.57, 100, 57, 57),
        (0.07, 100, 7, 7),  # and 0.07 * 100 is 7.000000000000001
        (0.1 + 0.2, 10, 3, 3),
        (1.1 - 1, 10, 1, 1),
        (1 / 3, 3, 1, 1),
        ("1/3", 3, 1, 1),
        ("1/3", 10, 3, 4),
        ("2/3", 10, 6, 7),
        (0.999999, 10, 9, 10),
        (0, 10, 0, 0),
        (1, 10, 10, 10),
        (Fraction(1, 7), 50, 7, 8),
    ],
)
def test_shares_are_exact(share: Any, slots: int, least: int, most: int) -> None:
    assert floor_of(share, slots)[-1] == least
    assert ceiling_of(share, slots)[-1] == most


@pytest.mark.parametrize("hundredths", range(101))
def test_every_hundredth_is_exact_at_every_prefix(hundredths: int) -> None:
    share = Fraction(hundredths, 100)
    assert floor_of(hundredths / 100, 100) == [t * share.numerator // share.denominator for t in range(101)]
    assert ceiling_of(hundredths / 100, 100) == [-(-t * share.numerator // share.denominator) for t in range(101)]


def test_a_share_binds_at_every_prefix() -> None:
    assert floor_of("1/3", 7) == [0, 0, 0, 1, 1, 1, 2, 2]
    assert ceiling_of("1/3", 7) == [0, 1, 1, 1, 2, 2, 2, 3]


def test_after_within_a_floor_stays_and_a_cap_ends() -> None:
    assert floor_of(0.5, 6, within=4) == [0, 0, 1, 1, 2, 2, 2]
    assert ceiling_of(0.5, 6, within=4) == [0, 1, 1, 2, 2, NO_CAP, NO_CAP]
    least, most = bounds(6, {"min_count": {"a": 2}, "max_count": {"b": 1}, "within": 4})
    assert least.lower is not None
    assert most.upper is not None
    assert least.lower.tolist() == [0, 0, 0, 0, 2, 2, 2]
    assert most.upper.tolist() == [1, 1, 1, 1, 1, NO_CAP, NO_CAP]


@pytest.mark.parametrize("within", [0, 5, 10, 1000])
def test_within_is_never_more_than_the_slate(within: int) -> None:
    least, most = bounds(5, {"min_count": {"a": 2}, "max_count": {"b": 1}, "within": within})
    assert least.lower is not None
    assert most.upper is not None
    assert least.lower.tolist() == [0, 0, 0, 0, 0, 2]
    assert most.upper.tolist() == [1] * 6


def test_no_cap_survives_sums_in_32_bits() -> None:
    assert np.int32(NO_CAP) + np.int32(NO_CAP) + np.int32(NO_CAP) > 0


@pytest.mark.parametrize("slots", [0, 1, 2])
def test_the_smallest_slates(slots: int) -> None:
    assert share_floor(Fraction(1, 2), slots, slots).tolist() == [0, 0, 1][: slots + 1]
    assert share_ceiling(Fraction(1, 2), slots, slots).tolist() == [0, 1, 1][: slots + 1]
    assert share_floor(Fraction(1, 2), slots, slots).dtype == np.int32


def test_other_blocks_keep_their_words() -> None:
    found = rules(
        10,
        {"at_least_one_of_each": True, "within": 4, "weight": 3},
        {"at_least_one_of_each": True, "values": ["b", "a", "c"]},
        {"max_per_value": 2, "window": 5, "weight": 0.5},
        {"max_per_value": 3},
        {"at_least_one_of_each": False, "max_per_value": 9},
    )
    each = [block.each for block in found.blocks if block.each is not None]
    assert each == [EachBound("tone", None, 4, 3.0), EachBound("tone", ("b", "a", "c"), 10, 1.0)]
    assert [block.window for block in found.blocks if block.window is not None] == [
        WindowBound("tone", 2, 5, 0.5), WindowBound("tone", 3, 0, 1.0), WindowBound("tone", 9, 0, 1.0),
    ]  # fmt: skip
    assert found.quota_attributes == ("tone",)


def test_what_is_left_out_gets_the_default() -> None:
    found = compiled(Policy.from_dict({"name": "x"}), 10)
    assert (found.strategy, found.diversity, found.mode, found.keep_top, found.guard) == ("dpp", 0.5, "relax", 0, None)
    assert (found.score_zero, found.score_zero_given) == (0.0, False)
    assert found.label_rule("tone").threshold == 0.5
    assert found.wanted_values() == {}


@pytest.mark.parametrize(
    ("objective", "normalisation", "shifted"),
    [
        ({"strategy": "dpp"}, "zscore", True),
        ({"strategy": "mmr"}, "minmax", False),
        ({"strategy": "relevance"}, "minmax", False),
        ({"strategy": "dpp", "similarity": "cosine", "score_normalisation": "rank"}, "rank", False),
        ({"strategy": "mmr", "similarity": "cosine_shifted", "score_normalisation": "none"}, "none", True),
        ({"strategy": "mmr", "similarity": "auto", "score_normalisation": "auto"}, "minmax", False),
    ],
)
def test_auto_means_what_the_strategy_needs(objective: dict[str, str], normalisation: str, shifted: bool) -> None:
    found = rules(10, objective=objective)
    assert (found.normalisation, found.shifted) == (normalisation, shifted)


def test_guard_labels_and_placement() -> None:
    found = rules(
        3,
        {"min_share": {"a": 0.1}},
        guard={"min_score": 0.0, "where": {"integrity": ["ok", "new"]}},
        placement={"keep_top": 7},
        labels={"threshold": 0.6, "tone": {"values": ["a", "b"], "sensitive": True}, "shape": {"threshold": 0.9}},
        objective={"score_zero": 0.0},
    )
    assert found.guard == Guard(0.0, None, (("integrity", frozenset({"ok", "new"})),))
    assert found.keep_top == 3
    assert found.score_zero_given
    assert [found.label_rule(name).threshold for name in ("tone", "shape", "other")] == [0.6, 0.9, 0.6]
    assert found.label_rule("tone").sensitive
    assert found.named_attributes == ("tone", "integrity", "shape")
    assert found.wanted_values() == {"tone": ("a", "b")}


def test_a_policy_is_compiled_once_for_each_slate_length() -> None:
    first = rules(10, {"min_share": {"a": 0.1}})
    assert rules(10, {"min_share": {"a": 0.1}}) is first
    assert rules(11, {"min_share": {"a": 0.1}}) is not first
