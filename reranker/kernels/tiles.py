"""All products of many rows with many, and sums of square roots, written out for the vector unit.

`panel` is the heart of a matrix product: `TALL` rows beside `PANEL` rows at once, the latter transposed so that their
numbers lie side by side. A sum then has a lane to itself and nothing is folded, which at 128 numbers a row takes half
as long as the products. Every sum is taken in the same order, wherever its two rows stand and whichever comes first:
equal rows have equal products, and the product of i and j is that of j and i.

A processor with short registers takes a panel in four strips. Without a compiler (`NUMBA_DISABLE_JIT`) it is NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from reranker.kernels.vectors import (
    LANES,
    Rows,
    address,
    cgutils,
    everywhere,
    intrinsic,
    lane_totals,
    plus,
    shuffle,
    vector_at,
)

TALL = 6  # with two registers' width it is what the shorter registers just hold, with four what the longer ones do
PANEL = 4 * LANES
CHUNK = 64  # numbers summed in a row before they are added up: an error grows with the length of a sum
SHARE = 2.0**15  # of this are similarities in 16 bits, rounded up: half the bytes to fetch, and an upper bound
TINY = 1e-30  # added under a root: the root of zero is no number in the quick way to take roots

_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
_FAST = ("contract", "nsz")
_INT = ir.IntType(64)
_SHORT = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_WHOLE = ir.VectorType(_SHORT, LANES)


def _constant(number: int) -> Any:
    return ir.Constant(_INT, number)


def _all(number: float) -> Any:
    return ir.Constant(_VECTOR, [number] * LANES)


def _store(builder: Any, value: Any, pointer: Any, at: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(pointer, [at]), _VECTOR.as_pointer()), align=4)


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _has_long_registers() -> bool:
    """Whether what is compiled now may use registers of 64 bytes."""
    return "+avx512f" in str(cpu_target.target_context.codegen().magic_tuple())


def _strip(builder: Any, left: list[Any], right: Any, lines: list[Any], width: Any, first: int, wide: int) -> None:
    """Products with `wide` registers of the panel, from column `first` on; written to `lines`."""
    zero = ir.Constant(_VECTOR, None)
    cells = [[cgutils.alloca_once_value(builder, zero) for _ in range(wide)] for _ in left]
    places = [_constant(first + LANES * one) for one in range(wide)]
    with cgutils.for_range_slice(builder, _constant(0), width, _constant(CHUNK), _INT) as (start, _):
        stop = builder.add(start, _constant(CHUNK))
        stop = builder.select(builder.icmp_signed("<", stop, width), stop, width)
        for row in cells:
            for cell in row:
                builder.store(zero, cell)
        with cgutils.for_range_slice(builder, start, stop, _constant(1), _INT) as (k, _):
            line = builder.mul(k, _constant(PANEL))
            theirs = [vector_at(builder, right, builder.add(line, place), _VECTOR) for place in places]
            for pointer, row in zip(left, cells, strict=True):
                mine = everywhere(builder, builder.load(builder.gep(pointer, [k])), _VECTOR)
                for other, cell in zip(theirs, row, strict=True):
                    product = builder.fmul(mine, other, flags=_FAST)
                    builder.store(builder.fadd(builder.load(cell), product, flags=_FAST), cell)
        begins = builder.icmp_signed("==", start, _constant(0))
        for pointer, row in zip(lines, cells, strict=True):
            for place, cell in zip(places, row, strict=True):
                before = builder.select(begins, zero, vector_at(builder, pointer, place, _VECTOR))
                _store(builder, builder.fadd(before, builder.load(cell), flags=_FAST), pointer, place)


def _least(builder: Any, lines: list[Any]) -> Any:
    """The smallest size of what was written to `lines`, over the whole panel."""
    least = _all(np.inf)
    for pointer in lines:
        for at in range(0, PANEL, LANES):
            size = _call(builder, "llvm.fabs.v16f32", vector_at(builder, pointer, _constant(at), _VECTOR))
            least = builder.select(builder.fcmp_ordered("<", size, least), size, least)
    half = LANES // 2
    while half:
        turned = shuffle(builder, least, least, [lane ^ half for lane in range(LANES)])
        least = builder.select(builder.fcmp_ordered("<", turned, least), turned, least)
        half //= 2
    return builder.extract_element(least, ir.Constant(_SHORT, 0))


def _typed_panel(_: Any, rows: Any, i: Any, panels: Any, p: Any, width: Any, out: Any, o: Any, j: Any) -> Any:
    place = types.intp
    signature = types.float32(rows, place, panels, place, place, out, place, place)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, i, panels, p, width, out, o, j = arguments
        zero = _constant(0)

        def six(argument: int, array: Any, row: Any, column: Any) -> list[Any]:
            each = [builder.add(row, _constant(one)) for one in range(TALL)]
            return [address(context, builder, signature.args[argument], array, one, column) for one in each]

        left, lines = six(0, rows, i, zero), six(5, out, o, j)
        right = address(context, builder, signature.args[2], panels, p, zero)
        wide = PANEL // LANES if _has_long_registers() else 1
        for first in range(0, PANEL, LANES * wide):
            _strip(builder, left, right, lines, width, first, wide)
        return _least(builder, lines)

    return signature, generate


def _panel_in_numpy(rows: Rows, i: int, panels: Rows, p: int, width: int, out: Rows, o: int, j: int) -> np.float32:
    """The same without a compiler, number by number, so that the order of every sum is the same too."""
    sums = np.zeros((TALL, PANEL), np.float32)
    for start in range(0, width, CHUNK):
        chunk = np.zeros((TALL, PANEL), np.float32)
        for k in range(start, min(start + CHUNK, width)):
            chunk += rows[i : i + TALL, k, None] * panels[p + k]
        sums += chunk
    out[o : o + TALL, j : j + PANEL] = sums
    return np.float32(np.abs(sums).min())


def _transposed(context: Any, builder: Any, kind: Any, array: Any, i: Any, j: Any) -> list[Any]:
    """`LANES` vectors, the columns of a block from [i, j] on."""
    lines = []
    for one in range(LANES):
        row = builder.add(i, _constant(one))
        lines.append(vector_at(builder, address(context, builder, kind, array, row, j), _constant(0), _VECTOR))
    low = [lane // 2 + LANES * (lane % 2) for lane in range(LANES)]
    high = [lane + LANES // 2 for lane in low]
    for _ in range(4):  # each time every line is interleaved with the one half the lines further on
        pairs = zip(lines[: LANES // 2], lines[LANES // 2 :], strict=True)
        lines = [shuffle(builder, a, b, lanes) for a, b in pairs for lanes in (low, high)]
    return lines


def _store_short(builder: Any, value: Any, pointer: Any) -> None:
    """Store similarities as the next larger multiples of 1 / SHARE."""
    above = _call(builder, "llvm.ceil.v16f32", builder.fmul(value, _all(SHARE)))
    shorts = builder.trunc(builder.fptosi(above, _WHOLE), _SHORTS)
    builder.store(shorts, builder.bitcast(pointer, _SHORTS.as_pointer()), align=2)


def _typed_transpose(_: Any, source: Any, i: Any, j: Any, target: Any, p: Any, q: Any) -> Any:
    place = types.intp
    signature = types.void(source, place, place, target, place, place)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, i, j, target, p, q = arguments
        for one, line in enumerate(_transposed(context, builder, signature.args[0], source, i, j)):
            row = builder.add(p, _constant(one))
            _store(builder, line, address(context, builder, signature.args[3], target, row, q), _constant(0))
        return context.get_dummy_value()

    return signature, generate


def _typed_mirror(_: Any, table: Any, i: Any, j: Any, shorts: Any, p: Any, q: Any) -> Any:
    place = types.intp
    signature = types.void(table, place, place, shorts, place, place)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table, i, j, shorts, p, q = arguments
        whole, short = signature.args[0], signature.args[3]
        for one, line in enumerate(_transposed(context, builder, whole, table, i, j)):
            row = builder.add(p, _constant(one))
            _store(builder, line, address(context, builder, whole, table, row, q), _constant(0))
            _store_short(builder, line, address(context, builder, short, shorts, row, q))
        return context.get_dummy_value()

    return signature, generate


def _mirror_in_numpy(table: Rows, i: int, j: int, shorts: NDArray[np.uint16], p: int, q: int) -> None:
    """The same without a compiler."""
    _transpose_in_numpy(table, i, j, table, p, q)
    block = slice(p, p + LANES), slice(q, q + LANES)
    shorts[block] = np.ceil(table[block] * np.float32(SHARE))


def _typed_clip(_: Any, lines: Any, table: Any, shorts: Any, p: Any, q: Any) -> Any:
    signature = types.void(lines, table, shorts, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines, table, shorts, p, q = arguments
        zero = _constant(0)
        for one in range(TALL):
            row = builder.add(p, _constant(one))
            source = address(context, builder, signature.args[0], lines, _constant(one), zero)
            target = address(context, builder, signature.args[1], table, row, q)
            short = address(context, builder, signature.args[2], shorts, row, q)
            for at in range(0, PANEL, LANES):
                value = vector_at(builder, source, _constant(at), _VECTOR)
                value = builder.select(builder.fcmp_ordered(">", value, _all(0.0)), value, _all(0.0))
                value = builder.select(builder.fcmp_ordered("<", value, _all(1.0)), value, _all(1.0))
                _store(builder, value, target, _constant(at))
                _store_short(builder, value, builder.gep(short, [_constant(at)]))
        return context.get_dummy_value()

    return signature, generate


def _clip_in_numpy(lines: Rows, table: Rows, shorts: NDArray[np.uint16], p: int, q: int) -> None:
    """The same without a compiler."""
    block = slice(p, p + TALL), slice(q, q + PANEL)
    table[block] = np.clip(lines, 0.0, 1.0)
    shorts[block] = np.ceil(table[block] * np.float32(SHARE))


def _transpose_in_numpy(source: Rows, i: int, j: int, target: Rows, p: int, q: int) -> None:
    """The same without a compiler."""
    target[p : p + LANES, q : q + LANES] = source[i : i + LANES, j : j + LANES].T


def _add_root(builder: Any, square: Any, root: Any, half: Any) -> None:
    """Add square roots to the sums in `root` and `half`, of which the second counts half.

    An estimate and a step of Newton's, r + (s - r^2) / 2r, are right to float32's last digit and take half as long as
    the instruction.
    """
    if not _has_long_registers():
        builder.store(builder.fadd(builder.load(root), _call(builder, "llvm.sqrt.v16f32", square)), root)
        return
    everywhere = ir.Constant(ir.IntType(16), -1)
    inverse = _call(builder, "llvm.x86.avx512.rsqrt14.ps.512", square, ir.Constant(_VECTOR, None), everywhere)
    estimate = builder.fmul(square, inverse)
    rest = _call(builder, "llvm.fma.v16f32", builder.fneg(estimate), estimate, square)
    builder.store(builder.fadd(builder.load(root), estimate), root)
    builder.store(_call(builder, "llvm.fma.v16f32", rest, inverse, builder.load(half)), half)


def _typed_roots(_: Any, base: Any, t: Any, at: Any, table: Any, i: Any, width: Any) -> Any:
    place = types.intp
    signature = types.float64(base, place, place, table, place, place)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base, t, at, table, i, width = arguments
        left = address(context, builder, signature.args[0], base, t, at)
        right = address(context, builder, signature.args[3], table, i, _constant(0))
        zero = ir.Constant(_VECTOR, None)
        shortened = signature.args[3].dtype == types.uint16

        def similarity(place: Any) -> Any:
            if not shortened:
                return vector_at(builder, right, place, _VECTOR)
            shorts = builder.bitcast(builder.gep(right, [place]), _SHORTS.as_pointer())
            return builder.sitofp(builder.zext(builder.load(shorts, align=2), _WHOLE), _VECTOR)

        cells = [[cgutils.alloca_once_value(builder, zero) for _ in range(2)] for _ in range(PANEL // LANES)]
        for root, half in cells:
            builder.store(zero, root)
            builder.store(zero, half)
        with cgutils.for_range_slice(builder, _constant(0), width, _constant(PANEL), _INT) as (c, _):
            for one, (root, half) in enumerate(cells):
                place = builder.add(c, _constant(LANES * one))
                square = builder.fadd(vector_at(builder, left, place, _VECTOR), similarity(place))
                _add_root(builder, square, root, half)
        sums = [[builder.load(cell) for cell in cells_of] for cells_of in zip(*cells, strict=True)]
        whole, halves = (plus(builder, plus(builder, a, b), plus(builder, c, d)) for a, b, c, d in sums)
        total = plus(builder, whole, builder.fmul(halves, _all(0.5)))
        return builder.fpext(lane_totals(builder, [total])[0], ir.DoubleType())

    return signature, generate


def _roots_in_numpy(base: Rows, t: int, at: int, table: Rows, i: int, width: int) -> float:
    """The same without a compiler."""
    return float(np.sqrt(base[t, at : at + width] + table[i, :width]).sum(dtype=np.float32))


def _typed_fetch(_: Any, table: Any, i: Any, width: Any) -> Any:
    signature = types.void(table, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table, i, width = arguments
        source = address(context, builder, signature.args[0], table, i, _constant(0))
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _SHORT, _SHORT, _SHORT])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        line = _constant(64 // (signature.args[0].dtype.bitwidth // 8))
        how = [ir.Constant(_SHORT, word) for word in (0, 3, 1)]  # to read, soon, data
        with cgutils.for_range_slice(builder, _constant(0), width, line, _INT) as (c, _):
            builder.call(fetch, [builder.bitcast(builder.gep(source, [c]), byte), *how])
        return context.get_dummy_value()

    return signature, generate


def _fetch_nothing(table: Any, i: int, width: int) -> None:
    """The same without a compiler."""


def _made(typed: Callable[..., Any], otherwise: Callable[..., Any]) -> Any:
    return otherwise if _CONFIG.DISABLE_JIT else intrinsic(typed)


panel: Callable[[Rows, int, Rows, int, int, Rows, int, int], np.float32] = _made(_typed_panel, _panel_in_numpy)
"""Products of `TALL` rows, from row i on, with the panel that begins in row p of `panels`, over `width` columns.

`panels` (panels x width, PANEL) holds PANEL rows each, transposed. Written to (TALL, PANEL) of `out` from [o, j] on;
returns the smallest size among them.
"""

transpose: Callable[[Rows, int, int, Rows, int, int], None] = _made(_typed_transpose, _transpose_in_numpy)
"""`LANES` x `LANES` numbers from [i, j] on, written transposed from [p, q] on."""

roots: Callable[[Rows, int, int, Any, int, int], float] = _made(_typed_roots, _roots_in_numpy)
"""Sum of sqrt(base[t, at + c] + table[i, c]) for c below `width`, a multiple of PANEL; every sum at least `TINY`.

`table` is float32, or whole numbers in 16 bits.
"""

clip: Callable[[Rows, Rows, NDArray[np.uint16], int, int], None] = _made(_typed_clip, _clip_in_numpy)
"""Write (TALL, PANEL) products, clipped to 0..1, from [p, q] on to the table, and rounded up to `shorts`."""

mirror: Callable[[Rows, int, int, NDArray[np.uint16], int, int], None] = _made(_typed_mirror, _mirror_in_numpy)
"""`transpose` within a table, and what it wrote to `shorts` too."""

fetch: Callable[[Any, int, int], None] = _made(_typed_fetch, _fetch_nothing)
"""Have the first `width` entries of row i brought to the cache, for a look at them a little later."""


def roots_error(width: int) -> float:
    """What `roots` may be off by, as a share: of a root and of what is under it, and of a sum of so many."""
    return 1.5e-7 + 6e-8 * (width / PANEL + 8)
