"""Sixteen candidates side by side: products of all of them with a few rows at once.

A *panel* holds the unit rows of `LANES` candidates that follow each other, transposed: row c of it is their column c.
Each sum then has a lane of its own, nothing is folded, and what follows from the products is done for sixteen at once.
The panels of all blocks lie in one array (blocks x width, LANES); block b begins in row b x width, and `width` is a
multiple of `STRIDE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numpy.typing import NDArray

from reranker.kernels.jit import inner
from reranker.kernels.rows import write_unit_row
from reranker.kernels.tiles import transpose
from reranker.kernels.vectors import LANES, Exact, Rows, address, cgutils, everywhere, intrinsic, make_array, vector_at

STRIDE = 4  # columns taken at once where one row is compared: as many sums are in flight

_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
_FAST = ("contract", "nsz")
_INT = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_EXACT = ir.VectorType(ir.DoubleType(), LANES)


def wide(columns: int) -> int:
    """The width of a panel for so many columns."""
    return -(-columns // STRIDE) * STRIDE


@inner
def fill_panel(
    block: int,
    width: int,
    matrix: NDArray[np.float32],
    norms: NDArray[np.float64],
    order: NDArray[np.int32],
    shifted: bool,
    room: NDArray[np.float32],
    panels: NDArray[np.float32],
) -> None:
    """Write the unit rows of a block's candidates, zeros for nobody; `room` is (LANES, columns in whole registers)."""
    first = block * LANES
    for one in range(LANES):
        if first + one < len(order):
            write_unit_row(one, order[first + one], matrix, norms, shifted, room)
        else:
            for c in range(room.shape[1]):
                room[one, c] = 0.0
    whole = width // LANES * LANES
    for c in range(0, whole, LANES):
        transpose(room, 0, c, panels, block * width + c, 0)
    for c in range(whole, width):
        for one in range(LANES):
            panels[block * width + c, one] = room[one, c]


def _constant(number: int) -> Any:
    return ir.Constant(_INT, number)


def _products(builder: Any, panel: Any, rows: list[Any], width: Any, depth: int) -> list[Any]:
    """Products of the panel with each of `rows`, `depth` sums in flight for each: a vector a row."""
    zero = ir.Constant(_VECTOR, None)
    cells = [[cgutils.alloca_once_value(builder, zero) for _ in range(depth)] for _ in rows]
    for sums in cells:
        for cell in sums:
            builder.store(zero, cell)
    with cgutils.for_range_slice(builder, _constant(0), width, _constant(depth), _INT) as (c, _):
        for one in range(depth):
            column = builder.add(c, _constant(one))
            theirs = vector_at(builder, panel, builder.mul(column, _constant(LANES)), _VECTOR)
            for row, sums in zip(rows, cells, strict=True):
                mine = everywhere(builder, builder.load(builder.gep(row, [column])), _VECTOR)
                product = builder.fmul(mine, theirs, flags=_FAST)
                builder.store(builder.fadd(builder.load(sums[one]), product, flags=_FAST), sums[one])
    totals = []
    for sums in cells:
        total = builder.load(sums[0])
        for cell in sums[1:]:
            total = builder.fadd(total, builder.load(cell), flags=_FAST)
        totals.append(total)
    return totals


def _take_squares(builder: Any, value: Any, products: list[Any]) -> Any:
    """The value less all squares, at least 0."""
    squares = builder.fmul(products[0], products[0], flags=_FAST)
    for product in products[1:]:
        squares = builder.fadd(squares, builder.fmul(product, product, flags=_FAST), flags=_FAST)
    left, zero = builder.fsub(value, squares, flags=_FAST), ir.Constant(_VECTOR, None)
    return builder.select(builder.fcmp_ordered(">", left, zero), left, zero)


def _typed(many: int, depth: int) -> Callable[..., Any]:
    def typed(_: Any, panels: Any, p: Any, rows: Any, j: Any, width: Any, values: Any, at: Any) -> Any:
        place = types.intp
        signature = types.void(panels, place, rows, place, place, values, place)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            panels, p, rows, j, width, values, at = arguments
            zero = _constant(0)
            panel = address(context, builder, signature.args[0], panels, p, zero)
            each = [j if one == 0 else builder.add(j, _constant(one)) for one in range(many)]
            lines = [address(context, builder, signature.args[2], rows, one, zero) for one in each]
            products = _products(builder, panel, lines, width, depth)
            data = make_array(signature.args[5])(context, builder, values).data
            left = _take_squares(builder, vector_at(builder, data, at, _VECTOR), products)
            builder.store(left, builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, generate

    return typed


def _in_numpy(many: int) -> Callable[..., None]:
    """The same without a compiler."""

    def take(panels: Rows, p: int, rows: Rows, j: int, width: int, values: NDArray[np.float32], at: int) -> None:
        products = rows[j : j + many, :width] @ panels[p : p + width]
        left = values[at : at + LANES] - (products * products).sum(axis=0)
        values[at : at + LANES] = np.maximum(left, np.float32(0.0))

    return take


def _typed_bound(
    _: Any, values: Any, caps: Any, scale: Any, bounds: Any, at: Any, error: Any, floor: Any
) -> Any:  # fmt: skip
    signature = types.void(values, caps, scale, bounds, types.intp, types.float64, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *arrays, at, error, floor = arguments
        pairs = zip(signature.args, arrays, strict=False)
        data = [make_array(kind)(context, builder, array).data for kind, array in pairs]
        values = builder.fpext(vector_at(builder, data[0], at, _VECTOR), _EXACT)
        caps, scale = (vector_at(builder, pointer, at, _EXACT) for pointer in data[1:3])
        values = builder.fadd(values, everywhere(builder, error, _EXACT))
        values = builder.select(builder.fcmp_ordered("<", values, caps), values, caps)
        least = everywhere(builder, floor, _EXACT)
        values = builder.select(builder.fcmp_ordered(">", values, least), values, least)
        place = builder.bitcast(builder.gep(data[3], [at]), _EXACT.as_pointer())
        builder.store(builder.fmul(values, scale), place, align=8)
        return context.get_dummy_value()

    return signature, generate


def _bound_in_numpy(
    values: Rows, caps: Exact, scale: Exact, bounds: Exact, at: int, error: float, floor: float
) -> None:
    """The same without a compiler."""
    these = slice(at, at + LANES)
    bounds[these] = np.maximum(np.minimum(values[these].astype(np.float64) + error, caps[these]), floor) * scale[these]


_Take = Callable[[Rows, int, Rows, int, int, NDArray[np.float32], int], None]


def _made(many: int, depth: int) -> Any:
    return _in_numpy(many) if _CONFIG.DISABLE_JIT else intrinsic(_typed(many, depth))


take_square: _Take = _made(1, STRIDE)
"""Take (panels, p, rows, j, width, values, at): the squared products of row j with the panel that begins in row p.

They leave the `LANES` values from `at` on, which stay at least 0.
"""

take_four_squares: _Take = _made(4, STRIDE // 2)
"""The same for rows j to j + 3."""

bound_sixteen: Callable[[NDArray[np.float32], Exact, Exact, Exact, int, float, float], None] = (
    _bound_in_numpy if _CONFIG.DISABLE_JIT else intrinsic(_typed_bound)
)
"""Write (values, caps, scale, bounds, at, error, floor) max(min(value + error, cap), floor) x scale to `bounds`.

For `LANES` entries from `at` on; none of them is NaN.
"""
