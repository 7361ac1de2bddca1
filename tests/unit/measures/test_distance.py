import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from reranker.measures import intra_list_distances
from tests.reference import naive_measures

MATRICES = arrays(np.float32, st.tuples(st.integers(1, 7), st.integers(1, 4)), elements=st.integers(-3, 3).map(float))


def call(matrix: NDArray[np.float32], positions: list[int]) -> tuple[float | None, float | None]:
    norms = np.linalg.norm(matrix.astype(np.float64), axis=1)
    return intra_list_distances(matrix, norms, np.array(positions, np.int32))


def test_by_hand() -> None:
    matrix = np.array([[1, 0], [0, 2], [-3, 0], [0, 0]], np.float32)
    assert call(matrix, [0, 1]) == (1.0, 1.0)
    average, least = call(matrix, [2, 0, 1])  # distances 2, 1, 1
    assert average == pytest.approx(4 / 3)
    assert least == pytest.approx(1.0)


def test_missing_embeddings_are_left_out() -> None:
    matrix = np.array([[1, 0], [0, 0], [0, 1]], np.float32)
    assert call(matrix, [0, 1, 2]) == (1.0, 1.0)
    assert call(matrix, [0, 1]) == (None, None)
    assert call(matrix, []) == (None, None)


def test_duplicates_are_at_no_distance() -> None:
    row = np.random.default_rng(3).normal(size=64).astype(np.float32)
    average, least = call(np.array([row, row, -row]), [0, 1, 2])
    assert least == pytest.approx(0.0, abs=1e-12)
    assert average == pytest.approx(4 / 3)


@given(MATRICES)
def test_slow_twin_and_bounds(matrix: NDArray[np.float32]) -> None:
    found = call(matrix, list(range(len(matrix))))
    expected = naive_measures.distances(matrix.astype(float).tolist())
    assert found == pytest.approx(expected, abs=1e-9)
    average, least = found
    if average is not None and least is not None:
        assert 0.0 <= least <= average + 1e-12 <= 2.0 + 2e-12


@given(MATRICES, st.integers(0, 5), st.sampled_from([0.25, 1.0, 8.0]))
def test_neither_order_nor_length_matters(matrix: NDArray[np.float32], shift: int, scale: float) -> None:
    positions = np.roll(np.arange(len(matrix)), shift).tolist()
    assert call(matrix * np.float32(scale), positions) == pytest.approx(call(matrix, sorted(positions)), abs=1e-9)
