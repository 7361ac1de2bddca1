from __future__ import annotations

import pytest

from reranker.exposure.standing import Groups, shares_of
from reranker.exposure.tally import GroupTally

GROUPS = Groups("inclusive", "tone", 3_600.0, frozenset({"1-2", "3-4", "5-6"}), 10)


def group(exposure: float, target: float, items: float) -> GroupTally:
    return GroupTally(exposure=exposure, target=target, items=items)


def test_shares_are_of_all_that_was_given_and_due_over_all_streams() -> None:
    search = {"1-2": group(30.0, 20.0, 40), "3-4": group(10.0, 20.0, 12)}
    home = {"1-2": group(50.0, 40.0, 60), "never named": group(10.0, 0.0, 30)}
    found = list(shares_of([search, home], GROUPS))
    assert [value for value, _, _ in found] == ["1-2", "3-4"]
    assert [number for _, *shares in found for number in shares] == pytest.approx([0.8, 0.75, 0.1, 0.25])


def test_small_groups_are_not_shown() -> None:
    tally = {"1-2": group(3.0, 2.0, 10), "3-4": group(3.0, 2.0, 9.9)}
    assert [value for value, _, _ in shares_of([tally], GROUPS)] == ["1-2"]


def test_without_targets_none_was_due() -> None:
    assert list(shares_of([{"1-2": group(3.0, 0.0, 20)}], GROUPS)) == [("1-2", 1.0, 0.0)]


def test_nothing_given_is_nothing_to_show() -> None:
    assert not list(shares_of([{"1-2": group(0.0, 2.0, 20)}], GROUPS))
    assert not list(shares_of([], GROUPS))
