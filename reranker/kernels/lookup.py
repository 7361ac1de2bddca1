"""Which rows of a table hold some ids: a hash table with open addressing that lies in a file, ids as text or numbers.

An entry of the table is 0 where nothing is, else (fingerprint << 32) | (row + 1). It stands in the first free slot from
the one that its hash names. All arithmetic is on non-negative int64 that never overflow, so that a kernel that runs as
plain Python gives the same. The hash is part of the file format: a changed one finds nothing in files of before.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import i64, inner, kernel, read_only, scratch

u8, u32 = types.uint8, types.uint32
Whole: TypeAlias = int | np.int64

_MASK = 0x7FFFFFFF  # a hash is two lanes of 31 bits: the upper names the slot, the lower is the fingerprint
_START = (0x1B873593 << 31) | 0x165667B1
_UPPER, _LOWER = 0x2C1B3C6D, 0x297A2D39  # odd, below 2^30
_STEP = 0x3C6EF372


@inner
def _stirred(value: Whole, word: Whole) -> Whole:
    """The hash after one more word of 32 bits."""
    upper = (((value >> 31) ^ (word & _MASK)) + _STEP) * _UPPER + (word >> 31)
    upper = (upper ^ (upper >> 31)) & _MASK
    lower = (((value & _MASK) ^ (word & _MASK)) + upper) * _LOWER + (word >> 31)
    lower = (lower ^ (lower >> 31)) & _MASK
    return (upper << 31) | lower


@inner
def _hash_of_text(texts: NDArray[np.uint8], start: int, stop: int) -> Whole:
    value: Whole = _START
    at = start
    while at + 4 <= stop:
        word = np.int64(texts[at]) | (np.int64(texts[at + 1]) << 8)
        word |= (np.int64(texts[at + 2]) << 16) | (np.int64(texts[at + 3]) << 24)
        value = _stirred(value, word)
        at += 4
    word = np.int64(0)
    shift = 0
    while at < stop:
        word |= np.int64(texts[at]) << shift
        shift += 8
        at += 1
    value = _stirred(value, word)
    return _stirred(value, np.int64(stop - start))


@inner
def _hash_of_number(low: Whole, high: Whole) -> Whole:
    return _stirred(_stirred(_stirred(_START, low), high), 8)


@inner
def _same_text(
    texts: NDArray[np.uint8], start: int, stop: int, others: NDArray[np.uint8], begin: int, end: int
) -> bool:
    if stop - start != end - begin:
        return False
    at = 0
    while at < stop - start and texts[start + at] == others[begin + at]:
        at += 1
    return at == stop - start


@kernel(types.void(read_only(u8, 1), i64, read_only(i64, 1), read_only(i64, 1), read_only(u8, 1), scratch(i64, 1)))
def find_texts(
    asked: NDArray[np.uint8],
    separator: int,
    table: NDArray[np.int64],
    offsets: NDArray[np.int64],
    texts: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> None:
    """Write the row of each asked text into `rows` (N,), -1 where it is unknown.

    `asked` are N UTF-8 texts with the byte `separator`, which none of them holds, between them. Row r of the table is
    `texts[offsets[r]:offsets[r + 1]]`. O(bytes asked) and about 1.5 looks into the table a text.
    """
    count, slots = len(rows), len(table)
    starts = np.empty(count + 1, np.int64)
    starts[0] = 0
    ended = 0
    for at in range(len(asked)):
        if asked[at] == separator and ended < count - 1:
            ended += 1
            starts[ended] = at + 1
    starts[count] = len(asked) + 1
    # Step by step over all texts, so that the memory answers many looks at once.
    hashes, entries, spans = np.empty(count, np.int64), np.empty(count, np.int64), np.empty((count, 2), np.int64)
    for i in range(count):
        hashes[i] = _hash_of_text(asked, starts[i], starts[i + 1] - 1)
    for i in range(count):
        entries[i] = table[((hashes[i] >> 31) * slots) >> 31]
    for i in range(count):
        if entries[i] != 0:
            row = (entries[i] & 0xFFFFFFFF) - 1
            spans[i, 0] = offsets[row]
            spans[i, 1] = offsets[row + 1]
    for i in range(count):
        start, stop = starts[i], starts[i + 1] - 1
        slot, mark = ((hashes[i] >> 31) * slots) >> 31, hashes[i] & _MASK
        entry, begin, end, found = entries[i], spans[i, 0], spans[i, 1], np.int64(-1)
        while entry != 0:
            row = (entry & 0xFFFFFFFF) - 1
            if entry >> 32 == mark and _same_text(asked, start, stop, texts, begin, end):
                found = row
                break
            slot += 1
            if slot == slots:
                slot = 0
            entry = table[slot]
            if entry != 0:
                row = (entry & 0xFFFFFFFF) - 1
                begin, end = offsets[row], offsets[row + 1]
        rows[i] = found


@kernel(types.void(read_only(u32, 1), read_only(i64, 1), read_only(u32, 1), scratch(i64, 1)))
def find_numbers(
    asked: NDArray[np.uint32], table: NDArray[np.int64], numbers: NDArray[np.uint32], rows: NDArray[np.int64]
) -> None:
    """Write the row of each asked number into `rows` (N,), -1 where it is unknown.

    `asked` and `numbers` are 64-bit numbers as pairs of 32 bits, the lower half first.
    """
    count, slots = len(rows), len(table)
    hashes, entries = np.empty(count, np.int64), np.empty(count, np.int64)
    for i in range(count):
        hashes[i] = _hash_of_number(np.int64(asked[2 * i]), np.int64(asked[2 * i + 1]))
        entries[i] = table[((hashes[i] >> 31) * slots) >> 31]
    for i in range(count):
        slot = ((hashes[i] >> 31) * slots) >> 31
        mark, entry, row = hashes[i] & _MASK, entries[i], np.int64(-1)
        while entry != 0:
            if entry >> 32 == mark:
                other = (entry & 0xFFFFFFFF) - 1
                if numbers[2 * other] == asked[2 * i] and numbers[2 * other + 1] == asked[2 * i + 1]:
                    row = other
                    break
            slot += 1
            if slot == slots:
                slot = 0
            entry = table[slot]
        rows[i] = row


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
        value = _hash_of_text(texts, start, stop)
        slot, mark = ((value >> 31) * slots) >> 31, value & _MASK
        is_new = True
        while table[slot] != 0:
            if table[slot] >> 32 == mark:
                other = (table[slot] & 0xFFFFFFFF) - 1
                if _same_text(texts, start, stop, texts, offsets[other], offsets[other + 1]):
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
        value = _hash_of_number(low, high)
        slot, mark = ((value >> 31) * slots) >> 31, value & _MASK
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
