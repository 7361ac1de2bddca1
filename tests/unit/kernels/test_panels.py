"""Panels: sixteen candidates' rows side by side, and their products with a few rows, whatever the width."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from reranker.kernels.panels import bound_sixteen, fill_panel, take_four_squares, take_square, wide
from reranker.kernels.vectors import LANES, padded

_njit: Any = numba.njit  # which has no types


def _fill(block: int, width: int, matrix: Any, norms: Any, order: Any, shifted: bool, room: Any, panels: Any) -> None:
    fill_panel(block, width, matrix, norms, order, shifted, room, panels)


def _take(four: bool, panels: Any, p: int, rows: Any, j: int, width: int, values: Any, at: int) -> None:
    if four:
        take_four_squares(panels, p, rows, j, width, values, at)
    else:
        take_square(panels, p, rows, j, width, values, at)


def _bound(values: Any, caps: Any, scale: Any, bounds: Any, at: int, error: float, floor: float) -> None:
    bound_sixteen(values, caps, scale, bounds, at, error, floor)


fill, take, bound = _njit(_fill), _njit(_take), _njit(_bound)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("columns", [1, 3, 15, 16, 17, 33, 64, 100])
def test_a_panel_holds_unit_rows_in_their_order_and_zeros_for_nobody(columns: int, shifted: bool) -> None:
    rng = np.random.default_rng(columns)
    count, all_columns = 21, columns + int(shifted)
    matrix = rng.normal(size=(count, columns)).astype(np.float32)
    matrix[4] = 0.0
    norms = np.linalg.norm(matrix.astype(np.float64), axis=1)
    order = rng.permutation(count).astype(np.int32)
    width = wide(all_columns)
    room = np.full((LANES, padded(all_columns)), np.nan, np.float32)
    panels = np.full((2 * width, LANES), np.nan, np.float32)
    for block in (1, 0):
        fill(block, width, matrix, norms, order, shifted, room, panels)
    rows = matrix[order] / np.where(norms > 0, norms, 1.0)[order, None]
    if shifted:
        rows = np.hstack([rows, np.ones((count, 1))]) * np.sqrt(0.5)
        rows[norms[order] == 0] = 0.0
    expected = np.zeros((2 * LANES, width))
    expected[:count, :all_columns] = rows
    np.testing.assert_allclose(panels.reshape(2, width, LANES).swapaxes(1, 2).reshape(-1, width), expected, atol=1e-7)


@pytest.mark.parametrize("width", [4, 20, 128, 516])
def test_squares_of_products_are_taken_away_and_leave_nothing_below_zero(width: int) -> None:
    rng = np.random.default_rng(width)
    panels = rng.normal(size=(3 * width, LANES)).astype(np.float32) / np.float32(np.sqrt(width))
    rows = rng.normal(size=(9, width)).astype(np.float32) / np.float32(np.sqrt(width))
    for four in (False, True):
        values = np.full(5 * LANES, 2.0, np.float32)
        values[LANES] = 1e-6
        take(four, panels, width, rows, 3, width, values, LANES)
        products = panels[width : 2 * width].T.astype(np.float64) @ rows[3 : 7 if four else 4].T.astype(np.float64)
        expected = np.full(5 * LANES, 2.0)
        expected[LANES] = 1e-6
        expected[LANES : 2 * LANES] = np.maximum(expected[LANES : 2 * LANES] - (products**2).sum(axis=1), 0.0)
        np.testing.assert_allclose(values, expected, atol=2e-6)


def test_bounds_of_sixteen_are_those_of_each_of_them() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(3 * LANES).astype(np.float32)
    caps, scale = rng.random((2, 3 * LANES))
    values[LANES], caps[LANES + 1], scale[LANES + 2] = 0.0, 0.0, -1.0
    bounds = np.full(3 * LANES, 7.0)
    bound(values, caps, scale, bounds, LANES, 1e-5, 1e-3)
    expected = np.full(3 * LANES, 7.0)
    for i in range(LANES, 2 * LANES):
        expected[i] = max(min(float(values[i]) + 1e-5, caps[i]), 1e-3) * scale[i]
    assert bounds.tolist() == expected.tolist()
