"""Dot products of padded rows, written out for the vector unit.

The compiler does half as well by itself: it prefers half of a register, keeps too few sums in flight, and finishes
every row number by number. Rows that a kernel works on are its own scratch, so they can be padded with zeros to whole
registers; then a product is loads, multiply-adds and one folding of lanes. A processor with shorter registers runs the
same code in halves or quarters, one without a compiler (`NUMBA_DISABLE_JIT`) in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils as _untyped_cgutils
from numba.core import config, types
from numba.extending import intrinsic as _untyped_intrinsic
from numba.np.arrayobj import make_array as _untyped_make_array
from numpy.typing import NDArray

from reranker.kernels.jit import inner

LANES = 16
_LARGEST = 1.7976931348623157e308
_FAST = ("reassoc", "contract", "nsz", "arcp")
_INT = ir.IntType(64)
_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
cgutils: Any = _untyped_cgutils
intrinsic: Any = _untyped_intrinsic
make_array: Any = _untyped_make_array
tuples: Any = types

Rows = NDArray[np.float32]
Exact = NDArray[np.float64]


def padded(width: int) -> int:
    """`width` rounded up to whole registers."""
    return -(-width // LANES) * LANES


whole = inner(padded)
"""`padded` inside kernels."""


def address(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """Where an entry of a two-dimensional array lies."""
    made = make_array(kind)(context, builder, array)
    shape = cgutils.unpack_tuple(builder, made.shape)
    strides = cgutils.unpack_tuple(builder, made.strides)
    return cgutils.get_item_pointer2(context, builder, made.data, shape, strides, "C", [row, column])


def vector_at(builder: Any, pointer: Any, at: Any, vector: Any) -> Any:
    """The vector that begins `at` numbers behind a pointer."""
    place = builder.gep(pointer, [at])
    return builder.load(builder.bitcast(place, vector.as_pointer()), align=4)


def shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Lanes of a, and behind them of b, in this order."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def everywhere(builder: Any, number: Any, vector: Any) -> Any:
    """A vector with the number in all lanes."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return shuffle(builder, one, one, [0] * vector.count)


def plus(builder: Any, a: Any, b: Any) -> Any:
    """The sum; multiplications before it may be drawn in."""
    return builder.fadd(a, b, flags=_FAST)


def _fold_two(builder: Any, a: Any, b: Any, group: int) -> Any:
    """Each group of lanes of both folded to half: first all of a's, then all of b's."""
    lanes = range(2 * a.type.count)
    low = [lane for lane in lanes if lane % group < group // 2]
    high = [lane for lane in lanes if lane % group >= group // 2]
    return plus(builder, shuffle(builder, a, b, low), shuffle(builder, a, b, high))


def lane_totals(builder: Any, sums: list[Any]) -> list[Any]:
    """The total of all lanes of each of one, two or four vectors, by folding them together."""
    lanes, folded, group = sums[0].type.count, list(sums), sums[0].type.count
    while len(folded) > 1:
        folded = [_fold_two(builder, a, b, group) for a, b in zip(folded[::2], folded[1::2], strict=True)]
        group //= 2
    total = folded[0]
    half = group // 2
    while half:
        total = plus(builder, total, shuffle(builder, total, total, [lane ^ half for lane in range(lanes)]))
        half //= 2
    return [builder.extract_element(total, ir.Constant(ir.IntType(32), group * one)) for one in range(len(sums))]


def _accumulate(builder: Any, vector: Any, left: list[Any], right: list[Any], width: Any, depth: int) -> list[Any]:
    """Products of each of `left` with each of `right` (pointers), `depth` sums in flight for each: vectors."""
    lanes = vector.count
    zero = ir.Constant(vector, None)
    pairs = [(a, b) for a in range(len(left)) for b in range(len(right))]
    cells = [[cgutils.alloca_once_value(builder, zero) for _ in range(depth)] for _ in pairs]

    def step(at: Any, lane: int) -> None:
        mine = [vector_at(builder, pointer, at, vector) for pointer in left]
        theirs = [vector_at(builder, pointer, at, vector) for pointer in right]
        for (a, b), sums in zip(pairs, cells, strict=True):
            product = builder.fmul(mine[a], theirs[b], flags=_FAST)
            builder.store(plus(builder, builder.load(sums[lane]), product), sums[lane])

    def constant(number: int) -> Any:
        return ir.Constant(_INT, number)

    for sums in cells:
        for cell in sums:
            builder.store(zero, cell)
    stride = lanes * depth
    whole = builder.mul(builder.udiv(width, constant(stride)), constant(stride))
    with cgutils.for_range_slice(builder, constant(0), whole, constant(stride), _INT) as (at, _):
        for lane in range(depth):
            step(at if lane == 0 else builder.add(at, constant(lanes * lane)), lane)
    if depth > 1:
        with cgutils.for_range_slice(builder, whole, width, constant(lanes), _INT) as (at, _):
            step(at, 0)
    totals = []
    for sums in cells:
        total = builder.load(sums[0])
        for cell in sums[1:]:
            total = plus(builder, total, builder.load(cell))
        totals.append(total)
    return totals


def _products(many: int, depth: int, single: bool) -> Callable[..., Any]:
    """A function of (a, i, b, j, width): row i of a times rows j, j + 1, ... of b, `many` of them."""
    number = types.float32 if single else types.float64
    vector = ir.VectorType(ir.FloatType(), LANES) if single else ir.VectorType(ir.DoubleType(), LANES // 2)

    def typed(_: Any, a: Any, i: Any, b: Any, j: Any, width: Any) -> Any:
        result = number if many == 1 else tuples.UniTuple(number, many)
        signature = result(a, types.intp, b, types.intp, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            first, i, second, j, width = arguments
            zero = ir.Constant(_INT, 0)
            left = [address(context, builder, signature.args[0], first, i, zero)]
            rows = [j if one == 0 else builder.add(j, ir.Constant(_INT, one)) for one in range(many)]
            right = [address(context, builder, signature.args[2], second, row, zero) for row in rows]
            totals = lane_totals(builder, _accumulate(builder, vector, left, right, width, depth))
            return totals[0] if many == 1 else context.make_tuple(builder, signature.return_type, totals)

        return signature, generate

    compiled: Callable[..., Any] = intrinsic(typed)
    return compiled


def _typed_survey(_: Any, values: Any, start: Any, low: Any) -> Any:
    signature = tuples.Tuple((types.int64, types.float64))(values, types.intp, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, start, low = arguments
        vector = ir.VectorType(ir.DoubleType(), LANES)
        made = make_array(signature.args[0])(context, builder, values)
        loaded = vector_at(builder, made.data, start, vector)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        lowest = ir.Constant(ir.DoubleType(), -_LARGEST)  # what is minus infinity is nobody
        low = builder.select(builder.fcmp_ordered(">", low, lowest), low, lowest)
        bar = builder.insert_element(ir.Constant(vector, ir.Undefined), low, ir.Constant(ir.IntType(32), 0))
        bar = builder.shuffle_vector(bar, bar, lanes)
        above = builder.bitcast(builder.fcmp_ordered(">=", loaded, bar), ir.IntType(LANES))
        half, most = LANES // 2, loaded
        while half:
            turned = shuffle(builder, most, most, [lane ^ half for lane in range(LANES)])
            most = builder.select(builder.fcmp_ordered(">", most, turned), most, turned)
            half //= 2
        largest = builder.extract_element(most, ir.Constant(ir.IntType(32), 0))
        return context.make_tuple(builder, signature.return_type, [builder.zext(above, _INT), largest])

    return signature, generate


def _typed_first_bit(_: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


def _survey_in_numpy(values: Exact, start: int, low: float) -> tuple[int, float]:
    """The same without a compiler."""
    block, bar = values[start : start + LANES], low if low > -_LARGEST else -_LARGEST
    return sum(1 << lane for lane in range(LANES) if block[lane] >= bar), float(block.max())


def _first_bit_in_python(bits: int) -> int:
    """The same without a compiler."""
    return (bits & -bits).bit_length() - 1


def _in_numpy(many: int) -> Callable[..., Any]:
    """The same without a compiler."""

    def products(a: Rows, i: int, b: Any, j: int, width: int) -> Any:
        totals = b[j : j + many, :width] @ a[i, :width]
        return totals[0] if many == 1 else tuple(totals)

    return products


def _made(many: int, depth: int, single: bool = True) -> Any:
    return _in_numpy(many) if _CONFIG.DISABLE_JIT else _products(many, depth, single)


dot: Callable[[Rows, int, Rows, int, int], np.float32] = _made(1, 4)
"""Row i of a times row j of b, over the first `width` columns: a multiple of `LANES`, as in all of these."""

dot_four: Callable[[Rows, int, Rows, int, int], tuple[np.float32, np.float32, np.float32, np.float32]] = _made(4, 1)
"""Row i of a times rows j to j + 3 of b."""

exact_dot: Callable[[Exact, int, Exact, int, int], np.float64] = _made(1, 4, single=False)
"""`dot` in float64."""

exact_dot_four: Callable[[Exact, int, Exact, int, int], tuple[np.float64, np.float64, np.float64, np.float64]] = _made(
    4, 1, single=False
)
"""`dot_four` in float64."""

survey: Callable[[Exact, int, float], tuple[int, float]] = (
    _survey_in_numpy if _CONFIG.DISABLE_JIT else intrinsic(_typed_survey)
)
"""Of `LANES` values from `start` on: bits of those that are at least `low` and finite, and the largest."""

first_bit: Callable[[int], int] = _first_bit_in_python if _CONFIG.DISABLE_JIT else intrinsic(_typed_first_bit)
"""The place of the lowest bit that is set; there must be one."""
