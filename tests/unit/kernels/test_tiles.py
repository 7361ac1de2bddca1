"""`tiles.py`: products and roots as exact as their callers rely on, and the same for the same rows everywhere."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels import tiles
from reranker.kernels.alike import PRODUCT_ERROR, pack
from reranker.kernels.tiles import PANEL, SHARE, TALL, TINY, roots_error
from reranker.kernels.vectors import LANES

Rows = NDArray[np.float32]
_njit: Any = numba.njit  # which has no types


def _multiply(rows: Rows, panels: Rows, out: Rows) -> float:
    """All rows beside all, by panels; the smallest product."""
    pack(rows, panels)
    least, width = np.inf, rows.shape[1]
    for p in range(len(panels) // width):
        for i in range(0, len(rows), TALL):
            smallest = tiles.panel(rows, i, panels, p * width, width, out, i, p * PANEL)
            least = min(least, float(smallest))
    return least


def _add_roots(base: Rows, at: int, table: Any, i: int, width: int) -> float:
    return tiles.roots(base, 0, at, table, i, width)


def _clip_and_mirror(lines: Rows, table: Rows, shorts: NDArray[np.uint16]) -> None:
    """The first tile clipped to the top, then a block of it mirrored to the rows from 16 on."""
    tiles.clip(lines, table, shorts, 0, LANES)
    tiles.mirror(table, 0, LANES, shorts, LANES, 0)


multiply, add_roots, clip_and_mirror = _njit(_multiply), _njit(_add_roots), _njit(_clip_and_mirror)


def unit_rows(seed: int, count: int, width: int, offset: float = 0.0) -> Rows:
    rows: NDArray[np.float64] = np.random.default_rng(seed).normal(size=(count, width)) + offset
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / lengths).astype(np.float32)


@pytest.mark.parametrize("width", [16, 48, 64, 128, 784, 4096])
@pytest.mark.parametrize("offset", [0.0, 3.0])  # terms of both signs, and of one
def test_products_are_within_the_bound_and_equal_for_equal_rows(width: int, offset: float) -> None:
    rows = unit_rows(width, 192, width, offset)
    rows[100], rows[191] = rows[3], rows[3]
    out = np.empty((192, 192), np.float32)
    least = multiply(rows, np.empty((3 * width, PANEL), np.float32), out)
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    assert np.abs(out - exact).max() < PRODUCT_ERROR / 4
    np.testing.assert_array_equal(out, out.T)
    np.testing.assert_array_equal(out[100], out[3])
    np.testing.assert_array_equal(out[:, 191], out[:, 3])
    assert least == np.abs(out).min()


@pytest.mark.parametrize("width", [64, 256, 2560])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e6])
def test_sums_of_roots_are_within_the_bound(width: int, size: float) -> None:
    rng = np.random.default_rng(width)
    base = (size * rng.exponential(size=(1, width + 32)) ** 4 + TINY).astype(np.float32)
    base[0, ::7] = TINY
    table = np.clip(rng.normal(scale=0.2, size=(5, width)), 0.0, 1.0).astype(np.float32)
    shorts = np.ceil(table * np.float32(SHARE)).astype(np.uint16)
    for i in range(5):
        for kind in (table, shorts):
            expected = np.sqrt(base[0, 32:].astype(np.float64) + kind[i].astype(np.float64)).sum()
            assert add_roots(base, 32, kind, i, width) == pytest.approx(expected, rel=roots_error(width) / 2)


def test_nothing_under_a_root_is_nothing() -> None:
    nothing = np.zeros((1, 64), np.float32)
    assert 0.0 <= add_roots(nothing + np.float32(TINY), 0, nothing, 0, 64) < 1e-12


def test_clipped_mirrored_and_rounded_up() -> None:
    rng = np.random.default_rng(0)
    lines = rng.normal(scale=0.6, size=(TALL, PANEL)).astype(np.float32)
    lines[0, :3] = [0.0, 1.0, 1e-9]
    table = np.zeros((2 * LANES, LANES + PANEL), np.float32)
    shorts = np.zeros(table.shape, np.uint16)
    clip_and_mirror(lines, table, shorts)
    np.testing.assert_array_equal(table[:TALL, LANES:], np.clip(lines, 0.0, 1.0))
    np.testing.assert_array_equal(table[LANES:, :LANES], table[:LANES, LANES : 2 * LANES].T)
    shares = shorts.astype(np.float64) / SHARE
    assert (shares >= table).all()
    assert (shares < table + 1.0 / SHARE).all()
    assert not shorts[table == 0.0].any()
