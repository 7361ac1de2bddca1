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
from reranker.kernels.overwrite import overwrite

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
                    overwrite(best_by, reached)
                    overwrite(best_row_by, row_by)
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


_TABLE = (
    read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 2), read_only(i32, 2), read_only(f64, 2),
    read_only(f64, 2),
)  # fmt: skip


@linked
def _distances(
    flow: NDArray[np.int32],
    room: NDArray[np.int32],
    row_count: NDArray[np.int32],
    column_count: NDArray[np.int32],
    row_bounds: NDArray[np.int32],
    column_bounds: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    column_weights: NDArray[np.float64],
    excess: NDArray[np.float64],
    shortfall: NDArray[np.float64],
    following: NDArray[np.int32],
) -> None:
    """All cheapest paths in the residual graph of `flow` (Floyd and Warshall): prices and the next node, -1 for none.

    Nodes: rows, columns, source, sink. Arcs into the table and back are free, those to the source and to the sink cost
    what a sum of one more or one less changes. A cheapest flow leaves no cycle with a negative price. O(nodes^3).
    """
    rows, columns = flow.shape
    nodes = rows + columns + 2
    source, sink = rows + columns, rows + columns + 1
    scale = max(row_weights.max(), column_weights.max())
    excess[:] = 0.0
    shortfall[:] = 0.0
    following[:] = -1
    for a in range(rows):
        placed = 0
        for b in range(columns):
            placed += flow[a, b]
            if room[a, b] > flow[a, b]:
                following[a, rows + b] = rows + b
            if flow[a, b] > 0:
                following[rows + b, a] = a
        stands = row_count[a] + placed
        following[source, a] = a
        excess[source, a] = _dearer(stands, 0, row_bounds[a], row_weights[a])
        shortfall[source, a] = _dearer(stands, 1, row_bounds[a], row_weights[a])
        if placed > 0:
            following[a, source] = source
            excess[a, source] = -_dearer(stands - 1, 0, row_bounds[a], row_weights[a])
            shortfall[a, source] = -_dearer(stands - 1, 1, row_bounds[a], row_weights[a])
    for b in range(columns):
        placed = 0
        for a in range(rows):
            placed += flow[a, b]
        stands = column_count[b] + placed
        following[rows + b, sink] = sink
        excess[rows + b, sink] = _dearer(stands, 0, column_bounds[b], column_weights[b])
        shortfall[rows + b, sink] = _dearer(stands, 1, column_bounds[b], column_weights[b])
        if placed > 0:
            following[sink, rows + b] = rows + b
            excess[sink, rows + b] = -_dearer(stands - 1, 0, column_bounds[b], column_weights[b])
            shortfall[sink, rows + b] = -_dearer(stands - 1, 1, column_bounds[b], column_weights[b])
    for via in range(nodes):
        for start in range(nodes):
            if following[start, via] < 0 or start == via:
                continue
            for end in range(nodes):
                if following[via, end] < 0 or start == end or via == end:
                    continue
                more = excess[start, via] + excess[via, end]
                less = shortfall[start, via] + shortfall[via, end]
                if following[start, end] < 0 or _is_less(more, less, excess[start, end], shortfall[start, end], scale):
                    excess[start, end] = more
                    shortfall[start, end] = less
                    following[start, end] = following[start, via]


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
    """Open the cells a x columns + b from which the next item may come: some cheapest flow has an item in them.

    One that has none in an open cell is led there along a free path from its column back to its row.
    """
    rows, columns = flow.shape
    nodes = rows + columns + 2
    scale = max(row_weights.max(), column_weights.max())
    excess, shortfall = np.empty((nodes, nodes)), np.empty((nodes, nodes))
    following = np.empty((nodes, nodes), np.int32)
    _distances(
        flow, room, row_count, column_count, row_bounds, column_bounds, row_weights, column_weights, excess,
        shortfall, following,
    )  # fmt: skip
    for a in range(rows):
        for b in range(columns):
            start = rows + b
            free = following[start, a] >= 0 and not _is_less(0.0, 0.0, excess[start, a], shortfall[start, a], scale)
            is_open[a * columns + b] = flow[a, b] > 0 or (room[a, b] > 0 and free)


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
    nodes = rows + columns + 2
    excess, shortfall = np.empty((nodes, nodes)), np.empty((nodes, nodes))
    following = np.empty((nodes, nodes), np.int32)
    _distances(
        flow, room, row_count, column_count, row_bounds, column_bounds, row_weights, column_weights, excess,
        shortfall, following,
    )  # fmt: skip
    node = rows + b
    while node != a:
        after = following[node, a]
        if node < rows and after < rows + columns and after >= rows:
            flow[node, after - rows] += 1
        elif node >= rows and node < rows + columns and after < rows:
            flow[after, node - rows] -= 1
        node = after
