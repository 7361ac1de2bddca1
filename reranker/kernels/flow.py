"""Two attributes that each partition the candidates, bounded at one prefix: a transportation problem, solved exactly.

x[a, b] items of row a of the one attribute and row b of the other stand in the slots that are left up to the prefix.
Row and column sums pay a convex price: weight for each unit below the floor, and, outweighing any of that, weight for
each unit above the cap. Prices are pairs (excess, shortfall), compared in that order. Successive cheapest paths give
the least price (a textbook method for convex costs); inside the table residual arcs are free, so a path is a matter of
reach.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, linked, read_only, scratch

_TOLERANCE = 1e-9


@inner
def _dearer(n: int, side: int, bounds: NDArray[np.int32], weights: NDArray[np.float64]) -> float:
    """Price of one item more on n: excess (side 0) or shortfall (side 1); `bounds` and `weights` = (floor, cap)."""
    if side == 0:
        return float(weights[1]) if n >= bounds[1] else 0.0
    return -float(weights[0]) if n < bounds[0] else 0.0


@inner
def _is_less(excess: float, shortfall: float, than_excess: float, than_shortfall: float, scale: float) -> bool:
    if abs(excess - than_excess) > _TOLERANCE * scale:
        return excess < than_excess
    return shortfall < than_shortfall - _TOLERANCE * scale


@linked
def _reach(
    column: int,
    barred: int,
    flow: NDArray[np.int32],
    room: NDArray[np.int32],
    row_from: NDArray[np.int32],
    column_from: NDArray[np.int32],
) -> None:
    """Which rows can give up an item when column `column` does: writes by which column each row is reached, else -1.

    From a column to rows that have items in it, from a row to columns with room in their cell; never through the cell
    `barred` = a x columns + b. `column_from` is the row by which a column is reached, -2 for the first.
    """
    rows, columns = flow.shape
    row_from[:] = -1
    column_from[:] = -1
    queue = np.empty(columns, np.int32)
    queue[0] = column
    column_from[column] = -2
    head, tail = 0, 1
    while head < tail:
        b = queue[head]
        head += 1
        for a in range(rows):
            if row_from[a] >= 0 or flow[a, b] <= 0:
                continue
            row_from[a] = b
            for c in range(columns):
                if column_from[c] == -1 and room[a, c] > flow[a, c] and a * columns + c != barred:
                    column_from[c] = a
                    queue[tail] = c
                    tail += 1


@kernel(
    types.void(
        i64, read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 2), read_only(i32, 2),
        read_only(f64, 2), read_only(f64, 2), scratch(i32, 2), scratch(f64, 1),
    )
)  # fmt: skip
def least_flow(
    items: int,
    room: NDArray[np.int32],
    row_count: NDArray[np.int32],
    column_count: NDArray[np.int32],
    row_bounds: NDArray[np.int32],
    column_bounds: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    column_weights: NDArray[np.float64],
    flow: NDArray[np.int32],
    price: NDArray[np.float64],
) -> None:
    """Write the cheapest `flow` (rows, columns) of so many items, at most `room` a cell, and its price pair.

    Counts are what stands already; bounds and weights are (rows, 2) and (columns, 2): floor and cap. O(items x rows^2 x
    columns).
    """
    rows, columns = room.shape
    scale = max(row_weights.max(), column_weights.max())
    by_row, by_column = row_count.copy(), column_count.copy()
    flow[:] = 0
    reached = np.empty(columns, np.int32)  # the row by which a column is reached from the row that is tried
    row_by = np.empty(rows, np.int32)
    best_by, best_row_by = np.empty(columns, np.int32), np.empty(rows, np.int32)
    queue = np.empty(rows, np.int32)
    for _ in range(items):
        best_excess = best_shortfall = np.inf
        best_a = best_b = -1
        for start in range(rows):
            reached[:] = -1
            row_by[:] = -1
            row_by[start] = -2
            queue[0] = start
            head, tail = 0, 1
            while head < tail:
                a = queue[head]
                head += 1
                for b in range(columns):
                    if reached[b] >= 0 or flow[a, b] >= room[a, b]:
                        continue
                    reached[b] = a
                    for other in range(rows):
                        if row_by[other] == -1 and flow[other, b] > 0:
                            row_by[other] = b
                            queue[tail] = other
                            tail += 1
            for b in range(columns):
                if reached[b] < 0:
                    continue
                excess = _dearer(by_row[start], 0, row_bounds[start], row_weights[start])
                excess += _dearer(by_column[b], 0, column_bounds[b], column_weights[b])
                shortfall = _dearer(by_row[start], 1, row_bounds[start], row_weights[start])
                shortfall += _dearer(by_column[b], 1, column_bounds[b], column_weights[b])
                if best_a < 0 or _is_less(excess, shortfall, best_excess, best_shortfall, scale):
                    best_excess, best_shortfall, best_a, best_b = excess, shortfall, start, b
                    best_by[:] = reached
                    best_row_by[:] = row_by
        if best_a < 0:
            break
        by_row[best_a] += 1
        by_column[best_b] += 1
        b = best_b
        while True:
            a = best_by[b]
            flow[a, b] += 1
            if best_row_by[a] == -2:
                break
            b = best_row_by[a]
            flow[a, b] -= 1
    price[:] = 0.0
    for a in range(rows):
        price[0] += row_weights[a, 1] * max(0, by_row[a] - row_bounds[a, 1])
        price[1] += row_weights[a, 0] * max(0, row_bounds[a, 0] - by_row[a])
    for b in range(columns):
        price[0] += column_weights[b, 1] * max(0, by_column[b] - column_bounds[b, 1])
        price[1] += column_weights[b, 0] * max(0, column_bounds[b, 0] - by_column[b])


@linked
def _exchange(
    a: int,
    b: int,
    room: NDArray[np.int32],
    by_row: NDArray[np.int32],
    by_column: NDArray[np.int32],
    row_bounds: NDArray[np.int32],
    column_bounds: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    column_weights: NDArray[np.float64],
    flow: NDArray[np.int32],
    row_from: NDArray[np.int32],
    column_from: NDArray[np.int32],
) -> tuple[int, int]:
    """A (column, row) that can give up an item for one more in the cell (a, b) at no price; (-1, -1) if none can."""
    rows, columns = flow.shape
    scale = max(row_weights.max(), column_weights.max())
    full = flow[a, b] + 1 >= room[a, b]
    for column in range(columns):
        _reach(column, a * columns + b if full else -1, flow, room, row_from, column_from)
        for row in range(rows):
            if row_from[row] < 0:
                continue
            excess = shortfall = 0.0
            if row != a:
                excess += _dearer(by_row[a], 0, row_bounds[a], row_weights[a])
                excess -= _dearer(by_row[row] - 1, 0, row_bounds[row], row_weights[row])
                shortfall += _dearer(by_row[a], 1, row_bounds[a], row_weights[a])
                shortfall -= _dearer(by_row[row] - 1, 1, row_bounds[row], row_weights[row])
            if column != b:
                excess += _dearer(by_column[b], 0, column_bounds[b], column_weights[b])
                excess -= _dearer(by_column[column] - 1, 0, column_bounds[column], column_weights[column])
                shortfall += _dearer(by_column[b], 1, column_bounds[b], column_weights[b])
                shortfall -= _dearer(by_column[column] - 1, 1, column_bounds[column], column_weights[column])
            if not _is_less(0.0, 0.0, excess, shortfall, scale):
                return column, row
    return -1, -1


_TABLE = (
    read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 2), read_only(i32, 2), read_only(f64, 2),
    read_only(f64, 2),
)  # fmt: skip


@inner
def _sums(
    flow: NDArray[np.int32], row_count: NDArray[np.int32], column_count: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """What stands and what will, by row and by column."""
    by_row, by_column = row_count.copy(), column_count.copy()
    for a in range(flow.shape[0]):
        for b in range(flow.shape[1]):
            by_row[a] += flow[a, b]
            by_column[b] += flow[a, b]
    return by_row, by_column


@kernel(types.void(*_TABLE, read_only(i32, 2), scratch(boolean, 1)))
def open_cells(
    room: NDArray[np.int32],
    row_count: NDArray[np.int32],
    column_count: NDArray[np.int32],
    row_bounds: NDArray[np.int32],
    column_bounds: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    column_weights: NDArray[np.float64],
    flow: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> None:
    """Open the cells a x columns + b from which the next item may come: some cheapest flow has an item in them."""
    rows, columns = flow.shape
    by_row, by_column = _sums(flow, row_count, column_count)
    row_from, column_from = np.empty(rows, np.int32), np.empty(columns, np.int32)
    for a in range(rows):
        for b in range(columns):
            allowed = flow[a, b] > 0
            if not allowed and room[a, b] > 0:
                column, _ = _exchange(
                    a, b, room, by_row, by_column, row_bounds, column_bounds, row_weights, column_weights, flow,
                    row_from, column_from,
                )  # fmt: skip
                allowed = column >= 0
            is_open[a * columns + b] = allowed


@kernel(types.void(i64, i64, *_TABLE, scratch(i32, 2)))
def take_from_cell(
    a: int,
    b: int,
    room: NDArray[np.int32],
    row_count: NDArray[np.int32],
    column_count: NDArray[np.int32],
    row_bounds: NDArray[np.int32],
    column_bounds: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    column_weights: NDArray[np.float64],
    flow: NDArray[np.int32],
) -> None:
    """Make `flow` a cheapest one for the items that are left after one is taken from an open cell (a, b)."""
    if flow[a, b] > 0:
        flow[a, b] -= 1
        return
    rows, columns = flow.shape
    by_row, by_column = _sums(flow, row_count, column_count)
    row_from, column_from = np.empty(rows, np.int32), np.empty(columns, np.int32)
    column, row = _exchange(
        a, b, room, by_row, by_column, row_bounds, column_bounds, row_weights, column_weights, flow, row_from,
        column_from,
    )  # fmt: skip
    if column < 0:
        return
    while True:  # from the row back to the column that gives up the item
        c = row_from[row]
        flow[row, c] -= 1
        if c == column:
            break
        row = column_from[c]
        flow[row, c] += 1
