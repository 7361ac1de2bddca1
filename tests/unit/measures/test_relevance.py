from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.measures import ndcg, relevance_retained
from tests.reference import naive_measures
from tests.reference.naive_strategies import upstream_order

SCORES = st.lists(st.floats(-100, 100), min_size=1, max_size=12)
ZEROS = st.none() | st.floats(-50, 50)


def call(scores: list[float], slate: list[int], zero: float | None = None) -> tuple[float | None, float | None]:
    values, order = np.array(scores, np.float64), np.array(upstream_order(scores), np.int32)
    picked = np.array(slate, np.int32)
    return relevance_retained(values, picked, order, zero), ndcg(values, picked, order, zero)


def test_by_hand() -> None:
    # upstream top 2 is 4, 3; the slate is 3, 1
    retained, gain = call([4.0, 3.0, 1.0], [1, 2])
    assert retained == pytest.approx(4 / 7)
    assert gain == pytest.approx((3 + 1 / np.log2(3)) / (4 + 3 / np.log2(3)))


def test_score_zero_is_subtracted_and_nothing_counts_below_it() -> None:
    retained, gain = call([4.0, 3.0, 1.0], [1, 2], 2.0)
    assert retained == pytest.approx(1 / 3)
    assert gain == pytest.approx(1 / (2 + 1 / np.log2(3)))


def test_negative_scores_need_a_declared_zero_for_a_share_but_not_for_ndcg() -> None:
    retained, gain = call([1.0, 0.0, -1.0], [0, 2])
    assert retained is None
    assert gain == pytest.approx(2 / (2 + 1 / np.log2(3)))
    assert call([1.0, 0.0, -1.0], [0, 2], -1.0)[0] == pytest.approx(2 / 3)


def test_no_relevance_at_all_has_no_ratio() -> None:
    assert call([0.0, 0.0], [1]) == (None, None)
    assert call([3.0, 2.0], [1], 5.0) == (None, None)


def test_an_empty_slate_has_no_ratio() -> None:
    assert call([1.0], []) == (None, None)
    assert call([], []) == (None, None)


@given(SCORES, ZEROS, st.randoms(use_true_random=False))
def test_slow_twin_and_bounds(scores: list[float], zero: float | None, random: Random) -> None:
    slate = list(range(len(scores)))
    random.shuffle(slate)
    slate = slate[: 1 + len(slate) // 2]
    order = upstream_order(scores)
    retained, gain = call(scores, slate, zero)
    expected = (naive_measures.retained(scores, slate, order, zero), naive_measures.ndcg(scores, slate, order, zero))
    assert (retained, gain) == pytest.approx(expected)
    for ratio in (retained, gain):
        assert ratio is None or 0.0 <= ratio <= 1.0 + 1e-12


@given(SCORES, ZEROS)
def test_the_upstream_order_keeps_everything(scores: list[float], zero: float | None) -> None:
    for ratio in call(scores, upstream_order(scores)[:5], zero):
        assert ratio is None or ratio == pytest.approx(1.0)


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=8), st.integers(-3, 3))
def test_the_unit_of_the_scores_does_not_matter(scores: list[float], power: int) -> None:
    slate = list(range(len(scores)))[::-1][:3]
    assert call(scores, slate) == pytest.approx(call([score * 10.0**power for score in scores], slate))
