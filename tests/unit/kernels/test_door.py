"""Numbers at the door against what NumPy says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.kernels.door import are_finite, copy_codes, copy_rows, measure_rows

for kernel in (are_finite, copy_codes, copy_rows, measure_rows):
    kernel.compile()

NASTY = [0.0, -0.0, 1.0, -2.5, 1e-45, 3.4e38, -3.4e38, math.inf, -math.inf, math.nan]
ROWS = st.integers(1, 9).flatmap(
    lambda width: st.lists(st.lists(st.sampled_from(NASTY[:7]), min_size=width, max_size=width), max_size=40)
)


@given(st.lists(st.sampled_from(NASTY) | st.floats(), max_size=40))
def test_finite_numbers(numbers: list[float]) -> None:
    assert are_finite(np.array(numbers, np.float64)) == all(math.isfinite(number) for number in numbers)


@given(ROWS, st.integers(0, 39), st.sampled_from([None, *NASTY[7:]]))
def test_lengths_and_copies(rows: list[list[float]], at: int, bad: float | None) -> None:
    matrix = np.array(rows, np.float32).reshape(len(rows), -1 if rows else 3)
    if bad is not None and len(rows):
        matrix[at % len(rows), at % matrix.shape[1]] = bad
    sound = bool(np.isfinite(matrix).all())
    zeros = int((matrix == 0).all(axis=1).sum()) if sound else -1
    copy, norms, again = np.full_like(matrix, 7.0), np.full(len(rows), 7.0), np.full(len(rows), 7.0)
    matrix.flags.writeable = False
    assert copy_rows(matrix, copy, norms) == measure_rows(matrix, again) == zeros
    assert copy.tobytes() == matrix.tobytes()
    assert np.array_equal(norms, again, equal_nan=True)
    assert np.array_equal(np.isfinite(norms), np.isfinite(matrix).all(axis=1))
    assert np.array_equal(norms == 0, (matrix == 0).all(axis=1))
    for row, norm in zip(matrix.astype(np.float64), norms, strict=True):
        if np.isfinite(row).all():
            assert norm == pytest.approx(math.sqrt(math.fsum(number * number for number in row)), rel=1e-14)


@pytest.mark.parametrize("width", [1, 7, 32, 64, 127, 128])
def test_long_rows_have_the_same_length_whether_copied_or_not(width: int) -> None:
    matrix = np.random.default_rng(width).standard_normal((300, width)).astype(np.float32)
    copy, norms, again = np.empty_like(matrix), np.empty(300), np.empty(300)
    assert copy_rows(matrix, copy, norms) == measure_rows(matrix, again) == 0
    assert np.array_equal(norms, again)
    assert norms == pytest.approx(np.linalg.norm(matrix.astype(np.float64), axis=1), rel=1e-14)


@given(st.lists(st.integers(0, 6) | st.sampled_from([2**31, 2**32 - 1]), max_size=40), st.integers(1, 6))
def test_codes(codes: list[int], size: int) -> None:
    own, used = np.full(len(codes), -7, np.int32), np.zeros(size, bool)
    carried = copy_codes(np.array(codes, np.uint32), own, used)
    if any(code >= size for code in codes):
        assert carried == -1
        return
    assert own.tolist() == codes
    assert np.flatnonzero(used).tolist() == sorted({0, *codes})
    assert carried == len({*codes} - {0})
