"""Candidates by kind, kinds by series, and how many of each kind may stand where: the layout of `kernels/series.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, kernel, linked, read_only, tuple_of

_EMPTY = -1


@linked
def _rows_of(
    i: int,
    codes: NDArray[np.int32],
    base: NDArray[np.int32],
    start: NDArray[np.int32],
    rows: NDArray[np.int32],
    is_fixed: NDArray[np.bool_],
    first_kept: int,
    found: NDArray[np.int32],
) -> int:
    """Write the rows of one candidate; of a fixed one those from `first_kept` on alone. Returns how many."""
    many = 0
    for a in range(len(base)):
        if codes[a, i] > 0 and not is_fixed[i]:
            found[many] = base[a] + codes[a, i] - 1
            many += 1
    for at in range(start[i], start[i + 1]):
        if rows[at] >= first_kept or not is_fixed[i]:
            found[many] = rows[at]
            many += 1
    return many


@kernel(
    tuple_of(i32[::1], i32[::1], i32[::1])(
        read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 1), read_only(boolean, 1), i64, boolean
    )
)
def number_kinds(
    codes: NDArray[np.int32],
    base: NDArray[np.int32],
    start: NDArray[np.int32],
    rows: NDArray[np.int32],
    is_fixed: NDArray[np.bool_],
    first_kept: int,
    each_its_own: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """The kind of each candidate, as they first occur, and the rows of each kind as starts and entries.

    Candidate i carries row base[a] + codes[a, i] - 1 of each attribute a whose code is not 0, and
    `rows[start[i]:start[i + 1]]`; a fixed one carries only rows from `first_kept` on. O(rows) by hashing.
    """
    count = codes.shape[1]
    size = 8
    while size < 2 * count:
        size *= 2
    known = np.full(size, _EMPTY, np.int32)
    kind = np.empty(count, np.int32)
    kind_start = np.zeros(count + 1, np.int32)
    kind_rows = np.empty(count * len(base) + len(rows), np.int32)
    most = len(base)
    for i in range(count):
        most = max(most, len(base) + start[i + 1] - start[i])
    mine = np.empty(most, np.int32)
    kinds = 0
    for i in range(count):
        many = _rows_of(i, codes, base, start, rows, is_fixed, first_kept, mine)
        key = 1
        for c in range(many):
            key = ((key ^ (int(mine[c]) + 1)) * 16777619) & 0xFFFFFFFF
        at = (key ^ (key >> 15)) & (size - 1)
        while True:
            q = known[at]
            if q == _EMPTY or each_its_own:
                known[at] = kinds
                kind[i] = kinds
                for c in range(many):
                    kind_rows[kind_start[kinds] + c] = mine[c]
                kinds += 1
                kind_start[kinds] = kind_start[kinds - 1] + many
                break
            same = kind_start[q + 1] - kind_start[q] == many
            for c in range(many):
                same = same and kind_rows[kind_start[q] + c] == mine[c]
            if same:
                kind[i] = q
                break
            at = (at + 1) & (size - 1)
    return kind, kind_start[: kinds + 1].copy(), kind_rows[: kind_start[kinds]].copy()


@kernel(
    tuple_of(i32[::1], i32[::1], i32[::1], i32[::1])(
        read_only(i32, 1), read_only(i32, 1), read_only(i32, 1), read_only(i32, 1), i64
    )
)
def number_memberships(
    kind_start: NDArray[np.int32],
    kind_rows: NDArray[np.int32],
    row_start: NDArray[np.int32],
    row_series: NDArray[np.int32],
    series: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Series by kind and kinds by series, as starts and entries, from rows by kind and series by row."""
    kinds = len(kind_start) - 1
    starts = np.zeros(kinds + 1, np.int32)
    series_start = np.zeros(series + 1, np.int32)
    for q in range(kinds):
        starts[q + 1] = starts[q]
        for at in range(kind_start[q], kind_start[q + 1]):
            starts[q + 1] += row_start[kind_rows[at] + 1] - row_start[kind_rows[at]]
    kind_series = np.empty(starts[kinds], np.int32)
    for q in range(kinds):
        to = starts[q]
        for at in range(kind_start[q], kind_start[q + 1]):
            for c in range(row_start[kind_rows[at]], row_start[kind_rows[at] + 1]):
                kind_series[to] = row_series[c]
                series_start[row_series[c] + 1] += 1
                to += 1
    for s in range(series):
        series_start[s + 1] += series_start[s]
    series_kinds = np.empty(len(kind_series), np.int32)
    filled = series_start.copy()
    for q in range(kinds):
        for at in range(starts[q], starts[q + 1]):
            s = kind_series[at]
            series_kinds[filled[s]] = q
            filled[s] += 1
    return starts, kind_series, series_start, series_kinds


@kernel(tuple_of(i32[:, ::1], i32[::1])(read_only(i32, 1), i64, read_only(i32, 1), read_only(i32, 1)))
def supply_of_kinds(
    kind: NDArray[np.int32], kinds: int, release: NDArray[np.int32], forced: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Candidates of each kind that may stand in the first t slots (kinds, slots + 1), settled ones from their slots on.

    And the kinds of a first slate (slots + 1): around the settled slots, the first in upstream order who may stand in
    each. As nobody who may stand in a slot is barred from a later one, that fills every slot that can be filled.
    """
    slots = len(forced)
    avail = np.zeros((kinds, slots + 1), np.int32)
    settled = np.zeros(len(kind), np.bool_)
    first = np.zeros(slots + 1, np.int32)
    for slot in range(slots):
        if forced[slot] >= 0:
            settled[forced[slot]] = True
            first[slot + 1] = kind[forced[slot]]
            avail[kind[forced[slot]], slot + 1] += 1
    for i in range(len(kind)):
        if not settled[i] and release[i] <= slots:
            avail[kind[i], release[i]] += 1
    start = 0  # nobody before it is left
    for slot in range(slots):
        while start < len(kind) and settled[start]:
            start += 1
        if forced[slot] >= 0:
            continue
        i = start
        while i < len(kind) and (settled[i] or release[i] > slot + 1):
            i += 1
        if i < len(kind):
            first[slot + 1] = kind[i]
            settled[i] = True
    for q in range(kinds):
        for t in range(1, slots + 1):
            avail[q, t] += avail[q, t - 1]
    return avail, first
