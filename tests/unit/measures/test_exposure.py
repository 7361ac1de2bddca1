import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import Membership, awrf, exposure_parity, in_group_fairness, mean_exposure, shares
from tests.reference import naive_fairness

VALUES = ("a", "b", "c")
ITEMS = st.lists(st.frozensets(st.sampled_from("abcd"), max_size=2), min_size=1, max_size=10)
TARGETS = st.lists(st.integers(0, 7), min_size=3, max_size=3).map(lambda parts: [part / 20 for part in parts])


def members(items: list[frozenset[str]], values: tuple[str, ...] = VALUES) -> Membership:
    """Membership in `values`; an item that carries something else is labelled all the same."""
    matrix = np.array([[value in item for value in values] for item in items], bool).reshape(-1, len(values))
    found = Membership.of_matrix(matrix)
    return Membership(found.starts, found.carried, found.width, np.array([bool(item) for item in items], bool))


def singles(text: str) -> list[frozenset[str]]:
    """ "ab?" is an a, a b and an unknown item."""
    return [frozenset() if letter == "?" else frozenset(letter) for letter in text]


def test_attention_as_the_reference_wants_it_is_fair() -> None:
    listed = members(singles("ab"))
    first, second = 1.0, 1 / math.log2(3)
    exact = np.array([first, second, 0.0]) / (first + second)
    assert awrf(listed, exact) == pytest.approx(1.0)
    assert awrf(members(singles("aa")), np.array([0.0, 1.0, 0.0])) == pytest.approx(1 - math.log(2))
    assert awrf(listed, np.array([0.5, 0.5, 0.0]), np.ones(2)) == pytest.approx(1.0)


def test_awrf_leaves_the_attention_to_unknown_items_out() -> None:
    even = np.array([0.5, 0.5, 0.0])
    assert awrf(members(singles("??")), even) is None
    assert awrf(members(singles("?")).of(np.zeros(0, np.intp)), even) is None
    assert awrf(members(singles("?a?")), even) == awrf(members(singles("a")), even)


def test_awrf_gives_what_is_left_of_the_target_to_all_other_values() -> None:
    listed = members(singles("ad"), ("a",))
    first, second = 1.0, 1 / math.log2(3)
    assert awrf(listed, np.array([first / (first + second)])) == pytest.approx(1.0)
    assert awrf(listed, np.array([1.0])) == pytest.approx(naive_fairness.awrf(singles("ad"), {"a": 1.0}, [1.0, second]))


def test_exposure_by_hand() -> None:
    supply, listed = members(singles("abab?c")), members(singles("ab?"))
    assert mean_exposure(listed, supply).tolist() == pytest.approx([0.5, 0.5 / math.log2(3), 0.0])
    assert exposure_parity(listed, supply) == 0.0  # the only c is off the list
    assert exposure_parity(listed, members(singles("abab"))) == pytest.approx(1 / math.log2(3))
    assert np.isnan(mean_exposure(listed, members(singles("ab")))[2])


def test_parity_of_one_group_or_of_no_attention_is_absent() -> None:
    assert exposure_parity(members(singles("aa")), members(singles("aaa"))) is None
    assert exposure_parity(members(singles("??")), members(singles("??ab"))) is None
    assert exposure_parity(members([]), members(singles("ab"))) is None


def test_in_group_fairness_by_hand() -> None:
    supply, gains = members(singles("aaabbc?")), np.array([4.0, 3.0, 1.0, 2.0, 1.0, 5.0, 9.0])
    ratios = in_group_fairness(supply, gains, np.array([2, 0, 3]))
    assert ratios[:2].tolist() == pytest.approx([1 / 3, 1.0])
    assert np.isnan(ratios[2])  # no c is on the list
    worthless = in_group_fairness(supply, np.zeros(7), np.array([0, 3]))
    assert worthless[:2].tolist() == [1.0, 1.0]
    everybody = in_group_fairness(supply, gains, np.arange(7))
    assert everybody.tolist() == [1.0, 1.0, 1.0]


@given(ITEMS, TARGETS, st.integers(0, 10))
def test_slow_twins(items: list[frozenset[str]], target: list[float], depth: int) -> None:
    rng = np.random.default_rng(depth)
    order = rng.permutation(len(items))[:depth]
    supply = members(items)
    listed, chosen = supply.of(order), [items[at] for at in order.tolist()]
    reference = dict(zip(VALUES, target, strict=True))
    weights = naive_fairness.attention(len(chosen))
    assert awrf(listed, np.array(target)) == pytest.approx(naive_fairness.awrf(chosen, reference, weights))
    grouped = supply.with_others()
    parity = naive_fairness.exposure_parity(items, order.tolist(), VALUES)
    assert exposure_parity(grouped.of(order), grouped) == pytest.approx(parity)
    gains = rng.integers(0, 4, len(items)).astype(np.float64)
    for value, ratio in zip(VALUES, in_group_fairness(supply, gains, order).tolist(), strict=True):
        expected = naive_fairness.in_group(items, gains.tolist(), order.tolist(), value)
        assert ratio == pytest.approx(math.nan if expected is None else expected, nan_ok=True)


@given(ITEMS, st.integers(0, 10), st.permutations(range(3)))
def test_bounds_and_names(items: list[frozenset[str]], depth: int, renamed: list[int]) -> None:
    supply, order = members(items), np.random.default_rng(depth).permutation(len(items))[:depth]
    other = members(items, tuple(VALUES[at] for at in renamed))
    fair, parity = awrf(supply.of(order), shares(supply)), exposure_parity(supply.of(order), supply)
    assert fair is None or 1 - math.log(2) - 1e-12 <= fair <= 1.0
    assert parity is None or 0.0 <= parity <= 1.0
    assert fair == pytest.approx(awrf(other.of(order), shares(other)))
    assert parity == pytest.approx(exposure_parity(other.of(order), other))
    ratios = in_group_fairness(supply, np.arange(len(items), 0.0, -1.0), np.arange(depth)[: len(items)])
    assert set(ratios[~np.isnan(ratios)].tolist()) <= {1.0}  # the first so many by relevance wrong nobody of a group


def test_others_are_a_group_of_their_own() -> None:
    grouped = members(singles("ad?b"), ("a", "b")).with_others()
    assert grouped.carries.tolist() == [
        [True, False, False],
        [False, False, True],
        [False, False, False],
        [False, True, False],
    ]
    assert grouped.labelled.tolist() == [True, True, False, True]
