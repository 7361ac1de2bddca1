"""The upstream order and what follows from it, against definitions that take their time."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reranker.engine.listing import upstream_order
from reranker.kernels.ranking import COUNTS, key_scores, normalise, order_keys, share_kept, spread_scores
from reranker.measures import relevance_retained

for kernel in (key_scores, spread_scores, order_keys, normalise, share_kept):
    kernel.compile()

LARGEST = 1.7976931348623157e308
NASTY = [0.0, -0.0, 5e-324, -5e-324, 1e-310, LARGEST, -LARGEST, 1e308, 1.0, math.nextafter(1.0, 2.0), 3.0, -3.0]
SCORES = st.lists(st.sampled_from(NASTY) | st.floats(allow_nan=False, allow_infinity=False), max_size=200)


def naive_order(scores: list[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))


def check_order(scores: NDArray[np.float64]) -> None:
    assert upstream_order(scores).tolist() == naive_order(scores.tolist())
    assert upstream_order(scores).dtype == np.int32


@given(SCORES)
def test_upstream_order(scores: list[float]) -> None:
    check_order(np.array(scores, np.float64))


SHAPES = ["spread", "ties", "near", "nearly falling", "huge", "far away"]


def long_list(seed: int, count: int, shape: str) -> NDArray[np.float64]:
    numbers = np.random.default_rng(seed)
    scores: NDArray[np.float64] = numbers.standard_normal(count)
    if shape == "ties":
        scores = np.rint(scores) * numbers.choice([1.0, -0.0, 0.0], count)
    elif shape == "near":  # apart only in the bits that give way to the position
        scores = np.ones(count) + numbers.integers(0, 900, count) * 2.0**-52
    elif shape == "nearly falling":
        scores = -np.sort(-scores)
        scores[: count // 50] = scores[: count // 50][::-1]
    elif shape == "far away":
        scores = 1000.0 + 1e-6 * scores
        scores[:1] = -1e300
    elif shape == "huge":
        scores = scores * np.exp2(numbers.integers(-1060, 1020, count).astype(np.float64))
    return scores


@given(st.integers(0, 2**32), st.integers(0, 3000), st.sampled_from(SHAPES))
def test_upstream_order_of_long_lists(seed: int, count: int, shape: str) -> None:
    scores = long_list(seed, count, shape)
    check_order(scores)
    with np.errstate(over="ignore", under="ignore"):
        check_order(scores.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("count", [65, 1000])
def test_the_kernels_say_when_they_are_done(count: int) -> None:
    order, falling, keys = np.empty(count, np.int32), np.empty(count), np.empty(count, np.int64)
    best_first = 2.0 - np.arange(count) / count
    assert key_scores(best_first, best_first.view(np.int64), keys, order, falling)
    assert order.tolist() == list(range(count))
    assert falling.tolist() == best_first.tolist()
    worst_first = best_first[::-1].copy()
    assert not key_scores(worst_first, worst_first.view(np.int64), keys, order, falling)
    keys.sort()
    assert order_keys(worst_first, keys, order, falling)
    assert order.tolist() == list(range(count))[::-1]
    assert falling.tolist() == best_first.tolist()
    near = np.ones(count) + np.arange(count) * 2.0**-52  # one key: each would move past all before it
    assert not key_scores(near, near.view(np.int64), keys, order, falling)
    keys.sort()
    assert not order_keys(near, keys, order, falling)


@pytest.mark.parametrize(
    ("shape", "far_apart"), [("spread", True), ("ties", False), ("far away", False), ("huge", False)]
)
def test_scores_are_spread_where_they_lie_far_apart(shape: str, far_apart: bool) -> None:
    scores = long_list(7, 900, shape)
    order, falling = np.empty(900, np.int32), np.empty(900)
    work, counts = np.empty((2, 900), np.int32), np.empty(COUNTS, np.int32)
    assert spread_scores(scores, work, counts, order, falling) == far_apart
    if far_apart:
        assert order.tolist() == naive_order(scores.tolist())
        assert falling.tolist() == sorted(scores.tolist(), reverse=True)


def exact_relevance(falling: list[float], zscore: bool) -> list[float]:
    """Min-max in exact arithmetic, and from it z-scores in sums without rounding."""
    first, last = Fraction(falling[0]), Fraction(falling[-1])
    if first == last:
        return [0.0] * len(falling)
    unit = [float((Fraction(score) - last) / (first - last)) for score in falling]
    if not zscore:
        return unit
    mean = math.fsum(unit) / len(unit)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in unit) / len(unit))
    return [(value - mean) / deviation for value in unit]


@given(SCORES.filter(len), st.booleans())
def test_relevance(scores: list[float], zscore: bool) -> None:
    falling = np.array(sorted(scores, reverse=True))
    relevance = np.full(len(falling), math.nan)
    normalise(falling, zscore, relevance)
    assert relevance.tolist() == pytest.approx(exact_relevance(falling.tolist(), zscore), rel=1e-12, abs=1e-13)
    assert (np.diff(relevance) <= 0).all()
    assert (relevance[:-1] == relevance[1:])[falling[:-1] == falling[1:]].all()
    if not zscore and falling[0] > falling[-1]:
        assert (relevance[0], relevance[-1]) == (1.0, 0.0)


def naive_share(scores: list[float], picks: list[int], zero: float | None) -> float | None:
    if zero is None and any(score < 0 for score in scores):
        return None
    gains = [max(Fraction(0), Fraction(score) - Fraction(zero or 0.0)) for score in scores]
    best = sum(gains[i] for i in naive_order(scores)[: len(picks)])
    return float(sum(gains[i] for i in picks) / best) if best else None


@given(SCORES.filter(len), st.sampled_from([None, *NASTY]), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_share_of_relevance_that_is_kept(
    scores: list[float], zero: float | None, random: Random, part: int
) -> None:
    order = naive_order(scores)
    picks = random.sample(order, -(-len(order) // part))
    kept = relevance_retained(np.array(scores), np.array(picks), np.array(order), zero)
    expected = naive_share(scores, picks, zero)
    tiny = max(map(abs, [*scores, zero or 0.0])) > 1e150  # what is next to nothing beside huge scores may be lost
    if kept is None or expected is None:
        assert kept == expected or (tiny and kept is None)
    else:
        assert kept == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=300))
def test_the_upstream_order_keeps_exactly_everything(scores: list[float]) -> None:
    order = np.array(naive_order(scores), np.int32)
    for many in range(1, len(scores) + 1, 7):
        kept = share_kept(np.array(scores), order[:many], order, 0.0, False)
        assert kept == 1.0 or (math.isnan(kept) and not any(scores))
