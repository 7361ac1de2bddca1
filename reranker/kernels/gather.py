"""Rows of a catalog's columns as requests need them: float32 whatever the file holds, codes with small dictionaries."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import f32, i32, i64, kernel, read_only, scratch
from reranker.kernels.tiles import fetch

i8, u16 = types.int8, types.uint16

_AHEAD = 8  # rows that are on their way from memory while one is read: they lie anywhere in the file
_HALF_TO_SINGLE = np.float32(2.0**112)  # exponents count from -15 in one form and from -127 in the other


@kernel(types.void(read_only(f32, 2), read_only(i64, 1), scratch(f32, 2)))
def gather_float32(source: NDArray[np.float32], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Write `source[rows[i]]` into `out[i]`, zeros where the row is -1. O(N D)."""
    width = out.shape[1]
    for i in range(len(rows)):
        if i + _AHEAD < len(rows):
            fetch(source, max(rows[i + _AHEAD], 0), width)
        row = rows[i]
        if row >= 0:
            for c in range(width):
                out[i, c] = source[row, c]
        else:
            for c in range(width):
                out[i, c] = 0.0


@kernel(types.void(read_only(u16, 2), read_only(i64, 1), scratch(f32, 2)))
def gather_float16(source: NDArray[np.uint16], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Write the float16 numbers whose bits are `source[rows[i]]` into `out[i]`, exactly; zeros where the row is -1.

    Only finite numbers come out right: a catalog holds no others. O(N D).
    """
    width = out.shape[1]
    for i in range(len(rows)):
        if i + _AHEAD < len(rows):
            fetch(source, max(rows[i + _AHEAD], 0), width)
        row = rows[i]
        if row >= 0:
            for c in range(width):
                half = np.int32(source[row, c])
                bits = np.int32(((half & 0x7FFF) << 13) | (-(half >> 15) << 31))
                out[i, c] = bits.view(np.float32) * _HALF_TO_SINGLE  # right for those too small to be normal too
        else:
            for c in range(width):
                out[i, c] = 0.0


@kernel(types.void(read_only(i8, 2), read_only(f32, 1), read_only(i64, 1), scratch(f32, 2)))
def gather_int8(
    source: NDArray[np.int8], scales: NDArray[np.float32], rows: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Write `source[rows[i]] * scales[rows[i]]` into `out[i]`, zeros where the row is -1. O(N D)."""
    width = out.shape[1]
    for i in range(len(rows)):
        if i + _AHEAD < len(rows):
            fetch(source, max(rows[i + _AHEAD], 0), width)
        row = rows[i]
        if row >= 0:
            scale = scales[row]
            for c in range(width):
                out[i, c] = np.float32(source[row, c]) * scale
        else:
            for c in range(width):
                out[i, c] = 0.0


@kernel(i64(scratch(i32, 1), scratch(i32, 1), scratch(i32, 1)))
def renumber(codes: NDArray[np.int32], table: NDArray[np.int32], used: NDArray[np.int32]) -> int:
    """Replace codes by 1, 2, … in the order in which they first occur, 0 staying 0; returns how many there are.

    `used[n]` becomes the code that is n + 1 from now on. `table` is all 0, of a length that is a power of two and at
    least twice as many as there are codes. O(codes), however large the dictionary.
    """
    mask, found = len(table) - 1, 0
    for i in range(len(codes)):
        code = codes[i]
        if code == 0:
            continue
        slot = ((np.int64(code) * 1640531527) >> 16) & mask
        while table[slot] != 0 and used[table[slot] - 1] != code:
            slot = (slot + 1) & mask
        if table[slot] == 0:
            used[found] = code
            found += 1
            table[slot] = found
        codes[i] = table[slot]
    return found
