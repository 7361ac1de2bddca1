import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import Membership, calibration_kl, rkl, rnd, rrd, shares
from tests.reference import naive_fairness
from tests.unit.measures.test_exposure import ITEMS, TARGETS, VALUES, members, singles

TEXTS = st.text("ab?", min_size=1, max_size=7)
DISTANCES: list[tuple[Callable[..., Any], Callable[..., float]]] = [
    (rnd, naive_fairness.difference),
    (rkl, naive_fairness.divergence),
    (rrd, naive_fairness.shortfall),
]


def binary(text: str) -> Membership:
    """Membership in a: b is the rest, ? unknown."""
    return members(singles(text), ("a",))


def flags(text: str) -> list[bool | None]:
    return [None if letter == "?" else letter == "a" for letter in text]


def test_by_hand() -> None:
    # Cuts at 2 and 4 of abbb, share 1/4: shares 1/2 and 1/4. Of bbba: 0 and 1/4, which is as far, but twice the KL.
    listed, reference = binary("abbb"), np.array([0.25])
    assert rnd(listed, listed, reference, 2).tolist() == pytest.approx([1.0])
    assert rkl(listed, listed, reference, 2).tolist() == pytest.approx([0.5])
    assert rrd(listed, listed, reference, 2).tolist() == [0.0]  # never short of a
    late = binary("bbba")
    assert rnd(late, listed, reference, 2).tolist() == pytest.approx([1.0])
    assert rkl(late, listed, reference, 2).tolist() == pytest.approx([1.0])
    assert rrd(late, listed, reference, 2).tolist() == pytest.approx([1.0])


def test_a_prefix_of_one_group_alone_is_as_it_is() -> None:
    # Known defects of the authors' code: a share of 0 or 1 taken as 0.001, an infinite ratio taken as 0.
    listed, supply, half = binary("aaabbb"), binary("aaabbb"), np.array([0.5])
    assert rkl(listed, supply, half, 3).tolist() == pytest.approx([1.0])
    assert rkl(binary("bbbaaa"), supply, half, 3).tolist() == pytest.approx([1.0])
    assert rrd(listed, supply, half, 3).tolist() == [0.0]
    assert rrd(binary("bbbaaa"), supply, half, 3).tolist() == pytest.approx([1.0])


def test_without_a_choice_or_a_finite_distance_there_is_no_measure() -> None:
    for measure in (rnd, rkl, rrd):
        assert np.isnan(measure(binary("??"), binary("ab"), np.array([0.5])))
        assert np.isnan(measure(binary(""), binary("ab"), np.array([0.5])))
        assert np.isnan(measure(binary("ab"), binary("ab"), np.array([np.nan])))
        assert np.isnan(measure(binary("aa"), binary("aaa"), np.array([1.0])))  # nobody else could stand there
        assert measure(Membership.of_nobody(2, 0), Membership.of_nobody(2, 0), np.zeros(0)).tolist() == []
    assert np.isnan(rkl(binary("ab"), binary("ab"), np.array([0.0])))
    assert not np.isnan(rnd(binary("ab"), binary("ab"), np.array([0.0])))
    assert np.isnan(rrd(binary("ab"), binary("aab"), np.array([2 / 3])))  # not the minority


@given(TEXTS, TEXTS, st.integers(1, 9), st.integers(1, 4))
def test_slow_twins_try_every_order(listed: str, more: str, tenths: int, step: int) -> None:
    supply = listed + more[: max(0, 7 - len(listed))]
    reference = tenths / 10
    for measure, distance in DISTANCES:
        found = float(measure(binary(listed), binary(supply), np.array([reference]), step)[0])
        expected = naive_fairness.normalised(flags(listed), flags(supply), reference, step, distance)
        if measure is rrd and reference > 0.5:
            expected = None
        assert found == pytest.approx(math.nan if expected is None else expected, nan_ok=True)


@given(ITEMS, st.integers(1, 5), st.permutations(range(3)))
def test_each_value_by_itself_and_whatever_its_name(items: list[frozenset[str]], step: int, renamed: list[int]) -> None:
    supply = members(items)
    listed, reference = supply.of(np.arange(len(items) // 2 + 1)), shares(supply)
    for measure, _ in DISTANCES:
        found = measure(listed, supply, reference, step)
        assert np.all((found >= 0.0) & (found <= 1.0) | np.isnan(found))
        other = members(items, tuple(VALUES[at] for at in renamed))
        again = measure(other.of(np.arange(len(items) // 2 + 1)), other, shares(other), step)
        assert again.tolist() == pytest.approx(found[renamed].tolist(), nan_ok=True)
        for index, value in enumerate(VALUES):
            alone = members(items, (value,))
            lone = measure(alone.of(np.arange(len(items) // 2 + 1)), alone, shares(alone), step)
            assert lone[0] == pytest.approx(found[index], nan_ok=True)


def test_the_farthest_order_has_a_group_neither_first_nor_last() -> None:
    # Cuts at 10 and 12 of a slate of 12: with two of a among 13, "none of a in ten, then both" is farther from 0.093
    # than both first (0.63 of it), and than as few as can be, as late as can be (0.80).
    supply, reference = binary("aabbbbbbbbbbb"), np.array([0.093])
    assert rkl(binary("bbbbbbbbbbaa"), supply, reference).tolist() == pytest.approx([1.0])
    first, last = (float(rkl(binary(text), supply, reference)[0]) for text in ("aabbbbbbbbbb", "bbbbbbbbbbba"))
    assert max(first, last) < 0.81


def test_calibration_by_hand() -> None:
    listed = members(singles("aab?"))
    assert calibration_kl(listed, np.array([2 / 3, 1 / 3, 0.0])) == pytest.approx(0.0, abs=1e-12)
    assert calibration_kl(members(singles("a")), np.array([0.0, 1.0, 0.0])) == pytest.approx(math.log(100))
    assert calibration_kl(members(singles("??")), np.array([1.0, 0.0, 0.0])) is None
    assert calibration_kl(members(singles("d"), ("a",)), np.array([0.25])) == pytest.approx(
        0.25 * math.log(100) + 0.75 * math.log(0.75 / (0.99 + 0.01 * 0.75))
    )


@given(ITEMS, TARGETS, st.sampled_from([0.01, 0.5, 1.0]), st.integers(0, 9))
def test_calibration_beside_its_twin(
    items: list[frozenset[str]], target: list[float], mixed: float, shift: int
) -> None:
    reference = dict(zip(VALUES, target, strict=True))
    expected = naive_fairness.calibration(items, reference, mixed)
    found = calibration_kl(members(items), np.array(target), mixed)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found is None or 0.0 <= found <= math.log(1 / mixed) + 1e-12
    turned = items[shift:] + items[:shift]
    assert calibration_kl(members(turned), np.array(target), mixed) == pytest.approx(found, abs=1e-12)


@given(ITEMS)
def test_a_list_is_calibrated_to_itself(items: list[frozenset[str]]) -> None:
    found = members(items, ("a", "b", "c", "d"))
    assert calibration_kl(found, shares(found)) in (None, pytest.approx(0.0, abs=1e-12))
