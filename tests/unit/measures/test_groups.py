import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.candidates import AttributeColumn, Candidates
from reranker.measures import Membership, membership, ndkl, shares, skews
from tests.reference import naive_measures

VALUES = ("a", "b", "c")
ITEMS = st.lists(st.frozensets(st.sampled_from(VALUES), max_size=2), min_size=1, max_size=12)
TARGETS = st.lists(st.integers(0, 6), min_size=3, max_size=3).map(lambda parts: [part / 20 for part in parts])


def column(items: list[frozenset[str]]) -> AttributeColumn:
    ids = list(range(len(items)))
    lists = [sorted(item) for item in items]
    return Candidates(ids, [0.0] * len(ids), attributes={"tone": lists}).attributes["tone"]


def members(items: list[frozenset[str]], values: tuple[str, ...] = VALUES) -> Membership:
    return membership(column(items), values)


def singles(text: str) -> list[frozenset[str]]:
    """ "ab?" is an a, a b and an unknown item."""
    return [frozenset() if letter == "?" else frozenset(letter) for letter in text]


def test_membership_of_single_valued_codes() -> None:
    found = membership(AttributeColumn(("x", "y"), np.array([2, 0, 1, 2], np.int32)), ["y", "z"])
    assert found.carries.tolist() == [[True, False], [False, False], [False, False], [True, False]]
    assert found.labelled.tolist() == [True, False, True, True]


def test_membership_of_lists_leaves_unknown_codes_out() -> None:
    lists = AttributeColumn(("x", "y"), np.array([1, 2, 0, 2], np.int32), np.array([0, 2, 2, 3, 4], np.int32))
    found = membership(lists, ["x", "y"])
    assert found.carries.tolist() == [[True, True], [False, False], [False, False], [False, True]]
    assert found.labelled.tolist() == [True, False, False, True]


def test_membership_of_probabilities_uses_the_threshold() -> None:
    matrix = np.array([[0.6, 0.4], [0.5, 0.5], [0.2, 0.3], [0.0, 0.0]], np.float32)
    uncertain = AttributeColumn(("x", "y"), np.zeros(4, np.int32), None, matrix)
    assert membership(uncertain, ["x", "y"], 0.5).carries.tolist() == [
        [True, False],
        [True, False],
        [False, False],
        [False, False],
    ]
    assert membership(uncertain, ["x", "y"], 0.3).labelled.tolist() == [True, True, True, False]


def test_shares_are_of_labelled_items() -> None:
    assert shares(members(singles("aab?"))).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert shares(members(singles("??"))).tolist() == [0, 0, 0]


def test_skews_by_hand() -> None:
    # shares 3/4 and 1/4 against 1/2 and 1/2
    assert skews(members(singles("aaab"), ("a", "b")), np.array([0.5, 0.5])) == pytest.approx(
        (-math.log(2), math.log(1.5))
    )


def test_an_empty_group_gives_add_one_skew() -> None:
    lower, upper = skews(members(singles("aaaa"), ("a", "b")), np.array([0.5, 0.5])) or (0, 0)
    assert lower == pytest.approx(math.log(1 / 3))  # none where 2 were expected
    assert upper == pytest.approx(math.log(2))
    lower, upper = skews(members(singles("aab"), ("a", "b")), np.array([1.0, 0.0])) or (0, 0)
    assert lower == pytest.approx(math.log(2 / 3))
    assert upper == pytest.approx(math.log(2))  # one where none was expected


def test_an_empty_group_is_always_worse_than_one_item() -> None:
    target = np.array([0.3, 0.7])
    none = skews(members(singles("bbbbb"), ("a", "b")), target)
    one = skews(members(singles("abbbb"), ("a", "b")), target)
    assert none is not None
    assert one is not None
    assert none[0] < one[0]


def test_values_without_a_reference_have_no_skew() -> None:
    assert skews(members(singles("aab")), np.array([0.5, np.nan, np.nan])) == pytest.approx((math.log(4 / 3),) * 2)
    assert skews(members(singles("?")), np.array([1.0, 0.0, 0.0])) is None
    assert skews(members(singles("b")), np.array([0.0, np.nan, 0.0])) is None


def test_ndkl_by_hand() -> None:
    # prefix 1: all a, KL = ln 2; prefix 2: half and half, 0
    weights = [1.0, 1 / math.log2(3)]
    expected = math.log(2) * weights[0] / sum(weights)
    assert ndkl(members(singles("ab"), ("a", "b")), np.array([0.5, 0.5])) == pytest.approx(expected)


def test_ndkl_counts_labelled_items_only() -> None:
    # prefix 1 holds none and is left out, prefix 3 is as prefix 2
    assert ndkl(members(singles("?a?"), ("a", "b")), np.array([0.5, 0.5])) == pytest.approx(math.log(2))
    assert ndkl(members(singles("???")), np.array([0.5, 0.5, 0.0])) is None


def test_ndkl_gives_what_is_left_of_the_target_to_all_other_values() -> None:
    assert ndkl(members(singles("bc"), ("a",)), np.array([0.25])) == pytest.approx(math.log(1 / 0.75))
    assert ndkl(members(singles("cc")), np.array([0.5, 0.5, 0.0])) is None  # nothing that the target speaks of


def test_the_reference_itself_has_no_divergence() -> None:
    assert ndkl(members(singles("aaa"), ("a",)), np.array([1.0])) == 0.0


@given(ITEMS, TARGETS)
def test_slow_twins(items: list[frozenset[str]], target: list[float]) -> None:
    found, reference = members(items), dict(zip(VALUES, target, strict=True))
    assert shares(found).tolist() == pytest.approx([naive_measures.share(items, value) for value in VALUES])
    assert skews(found, np.array(target)) == pytest.approx(naive_measures.skews(items, reference))
    assert ndkl(found, np.array(target)) == pytest.approx(naive_measures.ndkl(items, reference), abs=1e-12)


@given(ITEMS)
def test_against_the_list_itself_no_group_is_skewed(items: list[frozenset[str]]) -> None:
    found = members(items)
    assert skews(found, shares(found)) in (None, pytest.approx((0.0, 0.0)))


@given(ITEMS, TARGETS, st.integers(0, 11))
def test_order_matters_to_ndkl_alone(items: list[frozenset[str]], target: list[float], shift: int) -> None:
    turned = items[shift:] + items[:shift]
    assert shares(members(turned)).tolist() == pytest.approx(shares(members(items)).tolist())
    assert skews(members(turned), np.array(target)) == pytest.approx(skews(members(items), np.array(target)))


@given(st.text("abc?", min_size=1, max_size=12), TARGETS)
def test_the_least_skew_is_at_most_the_divergence_at_the_end(text: str, target: list[float]) -> None:
    whole = np.array(target) + 0.01
    whole /= whole.sum()
    found = members(singles(text))
    skew, divergence = skews(found, whole), ndkl(found, whole)
    assert (skew is None) == (divergence is None)
    if skew is not None and divergence is not None:
        assert skew[0] <= 1e-9
        assert skew[1] >= -1e-9
        assert 0.0 <= divergence <= math.log(1 / whole.min()) + 1e-9
