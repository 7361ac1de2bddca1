"""The upstream order, and what follows from scores that stand in it.

Upstream order is score descending, ties by input position. A random order of a thousand scores takes a comparison sort
most of the time that mispredicted branches cost; NumPy sorts plain integers by vector instructions, several times as
fast. So each score becomes an integer that falls as the score rises, with the input position in place of its last
bits: sorted, those are the order but for scores that differ in these bits alone, and they are put right afterwards.
Of a long list, scores that are spread over their range go faster into order by two digits of where they lie in it.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, read_only, scratch

_LARGEST = np.int64(0x7FFFFFFFFFFFFFFF)
_MINUS_ZERO = np.int64(-0x8000000000000000)
_FEW = 64  # candidates that are inserted one by one, however many moves that takes
_MOVES = 16  # a candidate in near-equal keys, before a sort of another kind takes over
_DIGIT = 8  # bits: two digits tell most of ten thousand scores apart, and longer ones would take longer to count
_MASK = (1 << _DIGIT) - 1
COUNTS = 2 << _DIGIT
"""Room for how often each value of either digit occurs."""
_FAR, _NEAR = 2.0**500, 2.0**-500


@inner
def _unit(largest: float) -> float:
    """The power of two that brings numbers up to `largest` where ranges, sums and reciprocals stay finite; mostly 1."""
    if largest > _FAR:
        return _NEAR
    return _FAR if largest < _NEAR else 1.0


@inner
def _moved_up(scores: NDArray[np.float64], order: NDArray[np.int32], moves: int, falling: NDArray[np.float64]) -> bool:
    """Put nearly the upstream order right, and write the scores in it; False where that takes more `moves`."""
    for i in range(len(order)):
        own = order[i]
        score = scores[own]
        at = i
        while at > 0 and (falling[at - 1] < score or (falling[at - 1] == score and order[at - 1] > own)):
            falling[at] = falling[at - 1]
            order[at] = order[at - 1]
            at -= 1
            moves -= 1
        falling[at] = score
        order[at] = own
        if moves < 0:
            return False
    return True


@kernel(boolean(read_only(f64, 1), read_only(i64, 1), scratch(i64, 1), scratch(i32, 1), scratch(f64, 1)), borrows=True)
def key_scores(
    scores: NDArray[np.float64],
    bits: NDArray[np.int64],
    keys: NDArray[np.int64],
    order: NDArray[np.int32],
    falling: NDArray[np.float64],
) -> bool:
    """Whether finite `scores` (N,) were put into upstream order: `order`, and `falling`, the scores in it.

    So they are where they are few or come nearly in it. Else `keys` are to be sorted for `order_keys`; `bits` are the
    scores' bits. O(N).
    """
    count = len(scores)
    moves = count if count > _FEW else _FEW * _FEW
    for i in range(count):
        order[i] = i
    if _moved_up(scores, order, moves, falling):
        return True
    places = np.int64(1)
    while places < count:
        places *= 2
    for i in range(count):
        pattern = bits[i]
        if pattern == _MINUS_ZERO:  # it is 0, and stands where 0 does
            pattern = np.int64(0)
        rising = pattern ^ ((pattern >> 63) & _LARGEST)
        keys[i] = (~rising & -places) | i
    return False


@kernel(boolean(read_only(f64, 1), scratch(i32, 2), scratch(i32, 1), scratch(i32, 1), scratch(f64, 1)), borrows=True)
def spread_scores(
    scores: NDArray[np.float64],
    work: NDArray[np.int32],
    counts: NDArray[np.int32],
    order: NDArray[np.int32],
    falling: NDArray[np.float64],
) -> bool:
    """Write the upstream order of finite `scores` (N,), N > 0, and the scores in it; False where they lie too close.

    A radix sort by where a score lies between best and worst, in two digits; `work` (2, N) and `counts` (`COUNTS`,)
    are scratch. What shares both digits is moved up one by one, a few moves a candidate at most. O(N).
    """
    count = len(scores)
    best, worst = scores[0], scores[0]
    for i in range(count):
        best = max(best, scores[i])
        worst = min(worst, scores[i])
    if not _NEAR < best - worst < _FAR:
        return False
    last = (1 << 2 * _DIGIT) - 1.0
    step = last / (best - worst)
    for digit in range(COUNTS):
        counts[digit] = 0
    for i in range(count):  # equal scores may get digits that differ: in vector code, and in what is left over
        digits = np.int32(min((best - scores[i]) * step, last))
        work[0, i] = digits
        counts[digits & _MASK] += 1
        counts[_MASK + 1 + (digits >> _DIGIT)] += 1
    for digit in range(_MASK + 1, COUNTS):
        if counts[digit] > count // 4:  # most of them are next to nothing beside the best, say
            return False
    low, high = np.int32(0), np.int32(0)
    for digit in range(_MASK + 1):
        many = counts[digit]
        counts[digit] = low
        low += many
        many = counts[_MASK + 1 + digit]
        counts[_MASK + 1 + digit] = high
        high += many
    for i in range(count):
        digit = work[0, i] & _MASK
        work[1, counts[digit]] = i
        counts[digit] += 1
    for j in range(count):
        i = work[1, j]
        digit = _MASK + 1 + (work[0, i] >> _DIGIT)
        order[counts[digit]] = i
        counts[digit] += 1
    return _moved_up(scores, order, 2 * count, falling)


@kernel(boolean(read_only(f64, 1), read_only(i64, 1), scratch(i32, 1), scratch(f64, 1)), borrows=True)
def order_keys(
    scores: NDArray[np.float64], keys: NDArray[np.int64], order: NDArray[np.int32], falling: NDArray[np.float64]
) -> bool:
    """Write the upstream order that sorted keys stand for, and the scores in it; False where too much is to be moved.

    O(N), but for scores of nearly equal keys, which are moved up one by one.
    """
    count = len(scores)
    places = np.int64(1)
    while places < count:
        places *= 2
    for i in range(count):
        order[i] = np.int32(keys[i] & (places - 1))
    return _moved_up(scores, order, _MOVES * count, falling)


@kernel(types.void(read_only(f64, 1), boolean, scratch(f64, 1)), borrows=True)
def normalise(falling: NDArray[np.float64], zscore: bool, relevance: NDArray[np.float64]) -> None:
    """Relevance r (N,) from falling scores: min-max, or z-scores by the population's deviation; all equal are 0. O(N).

    Scores at the ends of the numbers' range are scaled first: theirs may be infinite, or have no reciprocal.
    """
    count = len(falling)
    if count == 0 or falling[0] == falling[count - 1]:
        for i in range(count):
            relevance[i] = 0.0
        return
    unit = _unit(max(abs(falling[0]), abs(falling[count - 1])))
    lowest = falling[count - 1] * unit
    reach = falling[0] * unit - lowest
    mean = 0.0
    for i in range(count):
        relevance[i] = (falling[i] * unit - lowest) / reach
        mean += relevance[i]
    if not zscore:
        for i in range(count):  # a quotient made by a reciprocal may have rounded the best
            if falling[i] != falling[0]:
                break
            relevance[i] = 1.0
        return
    mean /= count
    spread = 0.0
    for i in range(count):
        relevance[i] -= mean
        spread += relevance[i] * relevance[i]
    deviation = np.sqrt(spread / count)
    for i in range(count):
        relevance[i] /= deviation


@kernel(f64(read_only(f64, 1), read_only(i32, 1), read_only(i32, 1), f64, boolean), borrows=True)
def share_kept(
    scores: NDArray[np.float64],
    positions: NDArray[np.int32],
    upstream_order: NDArray[np.int32],
    zero: float,
    signed: bool,
) -> float:
    """Share of the relevance of the upstream top that as many `positions` keep; NaN where there is none to keep.

    Relevance is max(0, score - zero); NaN also when a score is below 0, unless scores are `signed`. Both sums add up
    in the same way, so that the upstream order keeps exactly 1. O(N).
    """
    lowest, largest = 0.0, abs(zero)
    for i in range(len(scores)):
        lowest = min(lowest, scores[i])
        largest = max(largest, abs(scores[i]))
    if lowest < 0.0 and not signed:
        return np.nan
    unit = min(1.0, _unit(largest))
    kept, best = 0.0, 0.0
    for slot in range(len(positions)):
        kept += max(0.0, scores[positions[slot]] * unit - zero * unit)
        best += max(0.0, scores[upstream_order[slot]] * unit - zero * unit)
    return kept / best if best > 0.0 else np.nan
