import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from reranker.measures import log_determinant, unit_rows, vendi_score
from tests.reference import naive_subtopics

MATRICES = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(-3, 3).map(float))


def unit(rows: NDArray[np.float32] | list[list[float]]) -> NDArray[np.float64]:
    matrix = np.array(rows, np.float32)
    return unit_rows(matrix, np.linalg.norm(matrix.astype(np.float64), axis=1), np.arange(len(matrix)))


def test_by_hand() -> None:
    crossed = unit([[1, 0], [0, 2]])
    assert vendi_score(crossed) == pytest.approx(2.0)
    assert log_determinant(crossed) == pytest.approx(math.log(1 - 0.25))
    assert vendi_score(unit(np.eye(5, dtype=np.float32))) == pytest.approx(5.0)
    alone = unit([[3, 4]])
    assert (vendi_score(alone), log_determinant(alone)) == (1.0, 0.0)


def test_missing_embeddings_are_left_out() -> None:
    assert unit([[0, 0], [3, 4], [0, 0]]).tolist() == [[0.6, 0.8]]
    nobody = unit([[0, 0], [0, 0]])
    assert (vendi_score(nobody), log_determinant(nobody)) == (None, None)


def test_opposites_are_alike_to_vendi_and_far_apart_to_the_determinant() -> None:
    opposite = unit([[1, 0], [-1, 0]])
    assert vendi_score(opposite) == pytest.approx(1.0)
    assert log_determinant(opposite) == pytest.approx(0.0)


def test_copies_add_nothing_to_vendi_and_exhaust_the_rank() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(4, 16)).astype(np.float32)
    twice = np.vstack([rows, rows * np.float32(3)])
    assert vendi_score(unit(twice)) == pytest.approx(vendi_score(unit(rows)))
    assert log_determinant(unit(rows)) is not None
    assert log_determinant(unit(twice)) is None
    assert log_determinant(unit(np.vstack([rows, rows[:1] * np.float32(0.1)]))) is None  # equal but for rounding


def test_the_determinant_needs_a_dimension_an_item_but_one() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(5, 3)).astype(np.float32)
    assert log_determinant(unit(rows[:4])) is not None
    assert log_determinant(unit(rows)) is None


def test_more_items_than_dimensions_and_fewer_have_one_definition() -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(30, 8)).astype(np.float32)
    wide = np.hstack([rows, np.zeros((30, 40), np.float32)])
    assert vendi_score(unit(rows)) == pytest.approx(vendi_score(unit(wide)))


@given(MATRICES)
def test_slow_twins_and_bounds(matrix: NDArray[np.float32]) -> None:
    rows = unit(matrix)
    score, volume = vendi_score(rows), log_determinant(rows)
    expected = naive_subtopics.vendi(matrix.astype(float).tolist())
    assert score == pytest.approx(expected, abs=1e-6)
    assert score is None or 1.0 <= score <= len(rows)
    determinant = naive_subtopics.determinant(matrix.astype(float).tolist())
    if volume is None:
        assert len(rows) == 0 or determinant == pytest.approx(0.0, abs=1e-9)
    else:
        assert volume <= 0.0
        assert math.exp(volume) == pytest.approx(determinant, abs=1e-12)


@given(MATRICES, st.integers(0, 5), st.sampled_from([0.25, 1.0, 8.0]))
def test_neither_order_nor_length_matters(matrix: NDArray[np.float32], shift: int, scale: float) -> None:
    turned = unit(np.roll(matrix, shift, axis=0) * np.float32(scale))
    for measure in (vendi_score, log_determinant):
        assert measure(turned) == pytest.approx(measure(unit(matrix)), abs=1e-9)
