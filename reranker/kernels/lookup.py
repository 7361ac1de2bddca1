"""Which rows of a catalog some ids are: looks into the table of `hashing.py`, all ids in one call."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.hashing import MASK, hash_of_number, hash_of_text, same_text, u8, u32
from reranker.kernels.jit import i64, kernel, read_only, scratch


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
        hashes[i] = hash_of_text(asked, starts[i], starts[i + 1] - 1)
    for i in range(count):
        entries[i] = table[((hashes[i] >> 31) * slots) >> 31]
    for i in range(count):
        if entries[i] != 0:
            row = (entries[i] & 0xFFFFFFFF) - 1
            spans[i, 0] = offsets[row]
            spans[i, 1] = offsets[row + 1]
    for i in range(count):
        start, stop = starts[i], starts[i + 1] - 1
        slot, mark = ((hashes[i] >> 31) * slots) >> 31, hashes[i] & MASK
        entry, begin, end, found = entries[i], spans[i, 0], spans[i, 1], np.int64(-1)
        while entry != 0:
            row = (entry & 0xFFFFFFFF) - 1
            if entry >> 32 == mark and same_text(asked, start, stop, texts, begin, end):
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
        hashes[i] = hash_of_number(np.int64(asked[2 * i]), np.int64(asked[2 * i + 1]))
        entries[i] = table[((hashes[i] >> 31) * slots) >> 31]
    for i in range(count):
        slot = ((hashes[i] >> 31) * slots) >> 31
        mark, entry, row = hashes[i] & MASK, entries[i], np.int64(-1)
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
