"""How scores become relevance, where arithmetic is at its limits and where scores are equal."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.strategies import normalised

METHODS = ("zscore", "minmax", "rank")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12, 1e14])
def test_a_shift_changes_nothing(method: str, offset: float) -> None:
    scores = np.array([7.0, 4.0, 4.0, 1.0])
    assert normalised(scores + offset, method) == pytest.approx(normalised(scores, method), abs=1e-12)


def test_two_scores_are_one_deviation_from_their_mean_each() -> None:
    assert normalised(np.array([1e12 + 1, 1e12]), "zscore").tolist() == [1.0, -1.0]


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_fill_the_whole_range_of_numbers_stay_finite(method: str) -> None:
    scores = np.array([1.7e308, 0.0, -1.7e308])
    assert np.isfinite(normalised(scores, method)).all()
    assert normalised(scores, method)[0] > normalised(scores, method)[1] > normalised(scores, method)[2]


@pytest.mark.parametrize("method", METHODS)
def test_equal_scores_tell_nobody_apart(method: str) -> None:
    assert normalised(np.full(5, 3.0), method).tolist() == [0.0] * 5
    assert normalised(np.array([3.0]), method).tolist() == [0.0]
    assert normalised(np.zeros(0), method).tolist() == []


def test_equal_scores_share_their_mean_rank() -> None:
    assert normalised(np.array([5.0, 4.0, 4.0, 1.0, 0.5]), "rank").tolist() == [1.0, 0.625, 0.625, 0.25, 0.0]
    assert normalised(np.array([2.0, 2.0, 1.0]), "rank").tolist() == [1.0, 1.0, 0.0]
