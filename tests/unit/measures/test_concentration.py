import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import entropy, gini
from tests.reference import naive_fairness

COUNTS = st.lists(st.integers(0, 9), max_size=7)


def test_by_hand() -> None:
    even, lone = np.array([3, 3, 3]), np.array([0, 9, 0])
    assert entropy(even) == pytest.approx(math.log(3))
    assert gini(even) == 0.0
    assert entropy(lone) == 0.0
    assert gini(lone) == pytest.approx(2 / 3)  # the largest there is for three groups
    assert gini(np.array([1, 3])) == pytest.approx(0.25)


def test_what_has_no_meaning_is_absent() -> None:
    for counts in (np.zeros(0, np.intp), np.zeros(3, np.intp)):
        assert (entropy(counts), gini(counts)) == (None, None)
    assert (entropy(np.array([4])), gini(np.array([4]))) == (0.0, None)


@given(COUNTS)
def test_slow_twins_and_bounds(counts: list[int]) -> None:
    array = np.array(counts, np.intp)
    nats, unevenness = entropy(array), gini(array)
    assert nats == pytest.approx(naive_fairness.entropy(counts), abs=1e-12)
    assert unevenness == pytest.approx(naive_fairness.gini(counts), abs=1e-12)
    assert nats is None or 0.0 <= nats <= math.log(len(counts)) + 1e-12
    assert unevenness is None or 0.0 <= unevenness <= 1.0 - 1.0 / len(counts) + 1e-12


@given(COUNTS, st.integers(1, 5))
def test_neither_names_nor_size_matter(counts: list[int], times: int) -> None:
    shuffled = np.array(counts, np.intp)[np.random.default_rng(times).permutation(len(counts))] * times
    for measure in (entropy, gini):
        assert measure(shuffled) == pytest.approx(measure(np.array(counts, np.intp)), abs=1e-12)
