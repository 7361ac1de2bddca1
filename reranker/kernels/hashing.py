"""The hash of ids, text or numbers, and the table over it that lies in a catalog's file.

The table has open addressing. An entry is 0 where nothing is, else (fingerprint << 32) | (row + 1), and stands in the
first free slot from the one that its hash names. All arithmetic is on non-negative int64 that never overflow, so that a
kernel that runs as plain Python gives the same. The hash is part of the file format: a changed one would find nothing
in files of before.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import inner

u8, u32 = types.uint8, types.uint32
Whole: TypeAlias = int | np.int64

MASK = 0x7FFFFFFF  # a hash is two lanes of 31 bits: the upper names the slot, the lower is the fingerprint
_START = (0x1B873593 << 31) | 0x165667B1
_UPPER, _LOWER = 0x2C1B3C6D, 0x297A2D39  # odd, below 2^30
_STEP = 0x3C6EF372


@inner
def _stirred(value: Whole, word: Whole) -> Whole:
    """The hash after one more word of 32 bits."""
    upper = (((value >> 31) ^ (word & MASK)) + _STEP) * _UPPER + (word >> 31)
    upper = (upper ^ (upper >> 31)) & MASK
    lower = (((value & MASK) ^ (word & MASK)) + upper) * _LOWER + (word >> 31)
    lower = (lower ^ (lower >> 31)) & MASK
    return (upper << 31) | lower


@inner
def hash_of_text(texts: NDArray[np.uint8], start: int, stop: int) -> Whole:
    """The hash of the UTF-8 text `texts[start:stop]`."""
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
def hash_of_number(low: Whole, high: Whole) -> Whole:
    """The hash of a 64-bit number by its halves."""
    return _stirred(_stirred(_stirred(_START, low), high), 8)


@inner
def same_text(texts: NDArray[np.uint8], start: int, stop: int, others: NDArray[np.uint8], begin: int, end: int) -> bool:
    """Whether `texts[start:stop]` is `others[begin:end]`."""
    if stop - start != end - begin:
        return False
    at = 0
    while at < stop - start and texts[start + at] == others[begin + at]:
        at += 1
    return at == stop - start
