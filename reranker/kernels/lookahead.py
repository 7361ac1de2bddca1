"""Look-ahead beyond one partition: several attributes, several values an item, windows. Sound, not complete.

A *row* is one bounded value of one attribute; a *kind* is a set of rows that some candidate carries. Each slot closes
the kinds that would break a cap or a window, then keeps those that serve what is owed. When that leaves nobody, the
kinds that break least stay open, so a slate is always full; the report counts afterwards and never takes this file's
word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, read_only, scratch


@kernel(
    i64(
        i64,
        read_only(i32, 1), read_only(i32, 1), read_only(i32, 1),
        read_only(i32, 1), read_only(boolean, 1), read_only(i32, 1),
        read_only(i32, 2), read_only(i32, 2), read_only(f64, 1), read_only(f64, 1),
        read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 1),
        scratch(boolean, 1),
    )
)  # fmt: skip
def open_kinds_ahead(
    slot: int,
    kind_rows: NDArray[np.int32],
    kind_offsets: NDArray[np.int32],
    left: NDArray[np.int32],
    attribute: NDArray[np.int32],
    partition: NDArray[np.bool_],
    owing: NDArray[np.int32],
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    lower_weight: NDArray[np.float64],
    upper_weight: NDArray[np.float64],
    windows: NDArray[np.int32],
    counts: NDArray[np.int32],
    kind: NDArray[np.int32],
    picks: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> int:
    """Write which kinds may stand in slot `slot + 1`; returns how many.

    `kind_rows[kind_offsets[q]:kind_offsets[q + 1]]` are the rows of kind q, `left` how many candidates of it may
    stand there. `attribute` numbers each row's attribute, `partition` says, by attribute, whether its rows exclude
    each other, `owing` are the rows with a lower bound; bounds are (rows, slots + 1). `windows` holds (attribute,
    limit, length). `counts` are by row, `picks` index `kind`. O(owing rows x slots + rows + kinds x rows an item).
    """
    rows, prefixes = lower.shape
    kinds = len(kind_offsets) - 1
    groups = len(partition)
    closed = np.zeros(rows, np.bool_)
    for r in range(rows):
        closed[r] = counts[r] >= upper[r, slot + 1]
    fits = np.ones(kinds, np.bool_)
    for w in range(len(windows)):
        _close_windows(slot, windows[w], kind_rows, kind_offsets, attribute, kind, picks, closed)
        if partition[windows[w, 0]]:
            _keep_fillable(slot, prefixes - 1, windows[w], kind_rows, kind_offsets, attribute, left, rows, fits)

    # What is owed: per attribute the tightest prefix; over all attributes together the first that needs shared picks.
    tight = np.zeros(groups, np.int32)
    together = np.zeros(prefixes, np.int32)
    for g in range(groups):
        for b in range(slot + 1, prefixes):
            owed = 0
            for r in owing:
                if attribute[r] == g and lower[r, b] > counts[r]:
                    debt = lower[r, b] - counts[r]
                    owed = owed + debt if partition[g] else max(owed, debt)
            together[b] += owed
            if owed >= b - slot and tight[g] == 0:
                tight[g] = b
    joint = 0
    for b in range(slot + 1, prefixes):
        if together[b] >= b - slot:
            joint = b
            break

    served = np.zeros(kinds, np.int32)
    legal = np.zeros(kinds, np.bool_)
    met = np.zeros(groups, np.bool_)
    most = fitting = 0
    for q in range(kinds):
        is_open[q] = False
        if left[q] <= 0:
            continue
        legal[q] = True
        met[:] = tight == 0
        for e in range(kind_offsets[q], kind_offsets[q + 1]):
            r = kind_rows[e]
            if closed[r]:
                legal[q] = False
            if tight[attribute[r]] > 0 and lower[r, tight[attribute[r]]] > counts[r]:
                met[attribute[r]] = True
            if joint > 0 and lower[r, joint] > counts[r]:
                served[q] += 1
        for g in range(groups):
            legal[q] = legal[q] and met[g]
        if legal[q] and fits[q]:
            fitting += 1
    for q in range(kinds):
        legal[q] = legal[q] and (fits[q] or fitting == 0)
        if legal[q]:
            most = max(most, served[q])
    if joint > 0 and together[joint] > joint - slot:
        least = most  # debts exceed slots: only the picks that pay most of them at once can still work
    else:
        least = min(most, 1) if joint > 0 else 0
    opened = 0
    for q in range(kinds):
        if legal[q] and served[q] >= least:
            is_open[q] = True
            opened += 1
    if opened > 0:
        return opened
    return _open_least_broken(
        kind_rows, kind_offsets, left, attribute, lower, counts, lower_weight, upper_weight, closed, tight, is_open
    )


@inner
def _close_windows(
    slot: int,
    window: NDArray[np.int32],
    kind_rows: NDArray[np.int32],
    kind_offsets: NDArray[np.int32],
    attribute: NDArray[np.int32],
    kind: NDArray[np.int32],
    picks: NDArray[np.int32],
    closed: NDArray[np.bool_],
) -> None:
    """Close the rows that fill their window already."""
    recent = np.zeros(len(attribute), np.int32)
    for s in range(max(0, slot - window[2] + 1), slot):
        for e in range(kind_offsets[kind[picks[s]]], kind_offsets[kind[picks[s]] + 1]):
            r = kind_rows[e]
            if attribute[r] == window[0]:
                recent[r] += 1
                if recent[r] >= window[1]:
                    closed[r] = True


@inner
def _keep_fillable(
    slot: int,
    slots: int,
    window: NDArray[np.int32],
    kind_rows: NDArray[np.int32],
    kind_offsets: NDArray[np.int32],
    attribute: NDArray[np.int32],
    left: NDArray[np.int32],
    rows: int,
    fits: NDArray[np.bool_],
) -> None:
    """Clear `fits` for kinds after whose pick the window could not be kept in what is left of the slate.

    A value fills at most `limit` slots of each full window, so scarce values that break up long runs are saved.
    """
    limit, length = window[1], window[2]
    after = slots - slot - 1
    room = limit * (after // length) + min(limit, after % length)
    of_row = np.zeros(rows, np.int64)
    free = 0
    for q in range(len(left)):
        bound = -1
        for e in range(kind_offsets[q], kind_offsets[q + 1]):
            if attribute[kind_rows[e]] == window[0]:
                bound = kind_rows[e]
        if bound < 0:
            free += left[q]
        else:
            of_row[bound] += left[q]
    total = free
    for r in range(rows):
        total += min(of_row[r], room)
    for q in range(len(left)):
        bound = -1
        for e in range(kind_offsets[q], kind_offsets[q + 1]):
            if attribute[kind_rows[e]] == window[0]:
                bound = kind_rows[e]
        spent = 1 if bound < 0 or of_row[bound] <= room else 0
        fits[q] = fits[q] and total - spent >= after


@inner
def _open_least_broken(
    kind_rows: NDArray[np.int32],
    kind_offsets: NDArray[np.int32],
    left: NDArray[np.int32],
    attribute: NDArray[np.int32],
    lower: NDArray[np.int32],
    counts: NDArray[np.int32],
    lower_weight: NDArray[np.float64],
    upper_weight: NDArray[np.float64],
    closed: NDArray[np.bool_],
    tight: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> int:
    """When every kind breaks something: open those that exceed least, and among them those that pay most debts."""
    kinds = len(kind_offsets) - 1
    excess = np.zeros(kinds)
    unpaid = np.zeros(kinds)
    best_excess = best_unpaid = np.inf
    for q in range(kinds):
        if left[q] <= 0:
            continue
        for e in range(kind_offsets[q], kind_offsets[q + 1]):
            r = kind_rows[e]
            if closed[r]:
                excess[q] += upper_weight[r]
            if tight[attribute[r]] > 0 and lower[r, tight[attribute[r]]] > counts[r]:
                unpaid[q] -= lower_weight[r]
        if excess[q] < best_excess or (excess[q] == best_excess and unpaid[q] < best_unpaid):
            best_excess, best_unpaid = excess[q], unpaid[q]
    opened = 0
    for q in range(kinds):
        if left[q] > 0 and excess[q] == best_excess and unpaid[q] == best_unpaid:
            is_open[q] = True
            opened += 1
    return opened
