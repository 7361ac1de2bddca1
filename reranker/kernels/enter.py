"""Filling the table of `hashing.py` with all ids of a catalog. Apart from the look-ups, as no server needs it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.hashing import MASK, hash_of_number, hash_of_text, same_text, u8, u32
from reranker.kernels.jit import i64, kernel, read_only, scratch


@kernel(i64(read_only(i64, 1), read_only(u8, 1), scratch(i64, 1), scratch(i64, 2)))
def enter_texts(
    offsets: NDArray[np.int64], texts: NDArray[np.uint8], table: NDArray[np.int64], repeats: NDArray[np.int64]
) -> int:
    """Enter every row into `table`, all 0 before and larger than there are rows; returns how many repeat an earlier.

    The first of those are written into `repeats` (shown, 2) as (row, earlier row) and are not entered.
    """
    slots, repeated = len(table), 0
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        value = hash_of_text(texts, start, stop)
        slot, mark = ((value >> 31) * slots) >> 31, value & MASK
        is_new = True
        while table[slot] != 0:
            if table[slot] >> 32 == mark:
                other = (table[slot] & 0xFFFFFFFF) - 1
                if same_text(texts, start, stop, texts, offsets[other], offsets[other + 1]):
                    if repeated < len(repeats):
                        repeats[repeated, 0] = row
                        repeats[repeated, 1] = other
                    repeated += 1
                    is_new = False
                    break
            slot += 1
            if slot == slots:
                slot = 0
        if is_new:
            table[slot] = (mark << 32) | (row + 1)
    return repeated


@kernel(i64(read_only(u32, 1), scratch(i64, 1), scratch(i64, 2)))
def enter_numbers(numbers: NDArray[np.uint32], table: NDArray[np.int64], repeats: NDArray[np.int64]) -> int:
    """`enter_texts` for numbers as pairs of 32 bits, the lower half first."""
    slots, repeated = len(table), 0
    for row in range(len(numbers) // 2):
        low, high = np.int64(numbers[2 * row]), np.int64(numbers[2 * row + 1])
        value = hash_of_number(low, high)
        slot, mark = ((value >> 31) * slots) >> 31, value & MASK
        is_new = True
        while table[slot] != 0:
            if table[slot] >> 32 == mark:
                other = (table[slot] & 0xFFFFFFFF) - 1
                if numbers[2 * other] == low and numbers[2 * other + 1] == high:
                    if repeated < len(repeats):
                        repeats[repeated, 0] = row
                        repeats[repeated, 1] = other
                    repeated += 1
                    is_new = False
                    break
            slot += 1
            if slot == slots:
                slot = 0
        if is_new:
            table[slot] = (mark << 32) | (row + 1)
    return repeated
