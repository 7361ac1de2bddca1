"""Rows of every precision and codes by first occurrence, beside loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels.gather import gather_float16, gather_float32, gather_int8, renumber
from tests.reference.naive_catalog import numbered


def rows_beside(source: NDArray[Any], rows: list[int]) -> NDArray[np.float32]:
    width = source.shape[1]
    return np.array([source[row] if row >= 0 else np.zeros(width) for row in rows], np.float32).reshape(-1, width)


def test_every_finite_float16_comes_out_exactly() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    finite = bits[np.isfinite(bits.view(np.float16))].reshape(-1, 8)
    out = np.full(finite.shape, np.nan, np.float32)
    gather_float16(finite, np.arange(len(finite)), out)
    expected = finite.view(np.float16).astype(np.float32)
    assert np.array_equal(out.view(np.int32), expected.view(np.int32))  # minus zero too


@pytest.mark.parametrize("seed", range(30))
def test_rows_in_any_order_repeated_and_unknown(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, width = int(rng.integers(1, 30)), int(rng.integers(1, 40))
    rows = rng.integers(-1, count, rng.integers(0, 50))
    single = rng.standard_normal((count, width)).astype(np.float32)
    out = np.full((len(rows), width), np.nan, np.float32)
    gather_float32(single, rows, out)
    assert np.array_equal(out, rows_beside(single, rows.tolist()))
    half = single.astype(np.float16)
    gather_float16(half.view(np.uint16), rows, out)
    assert np.array_equal(out, rows_beside(half.astype(np.float32), rows.tolist()))
    levels, scales = rng.integers(-127, 128, (count, width)).astype(np.int8), rng.random(count).astype(np.float32)
    gather_int8(levels, scales, rows, out)
    assert np.array_equal(out, rows_beside(levels.astype(np.float32) * scales[:, None], rows.tolist()))


@pytest.mark.parametrize("seed", range(60))
def test_codes_are_numbered_by_first_occurrence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    high = [2, 5, 300, 2**31 - 1][seed % 4]
    codes = rng.integers(0, high, rng.integers(0, 200)).astype(np.int32)
    codes[rng.random(len(codes)) < 0.2] = 0
    expected, used = numbered(codes.tolist())
    found = np.full(len(codes), -1, np.int32)
    size = 1 << max(1, (2 * len(codes)).bit_length())
    count = renumber(codes, np.zeros(size, np.int32), found)
    assert found[:count].tolist() == used
    assert codes.tolist() == expected
