"""Look-ahead beyond one partition: several attributes, several values an item, windows. Sound, not complete.

A *row* is one bounded value of one attribute; a *kind* is a set of rows that some candidate carries. Each slot closes
the kinds that would break a cap or a window, then keeps those that serve what is owed. When that leaves nobody, the
kinds that break least stay open, so a slate is always full; the report counts afterwards and never takes this file's
word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, kernel, read_only, scratch


@kernel(
    i64(
        i64,
        read_only(i32, 1), read_only(i32, 1), read_only(boolean, 1),
        read_only(i32, 1), read_only(boolean, 1),
        read_only(i32, 2), read_only(i32, 2), read_only(f64, 1), read_only(f64, 1),
        read_only(i32, 2), read_only(i32, 1), read_only(i32, 1), read_only(i32, 1),
        scratch(boolean, 1),
    )
)  # fmt: skip
def open_kinds_ahead(
    slot: int,
    kind_rows: NDArray[np.int32],
    kind_offsets: NDArray[np.int32],
    present: NDArray[np.bool_],
    attribute: NDArray[np.int32],
    partition: NDArray[np.bool_],
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

    `kind_rows[kind_offsets[q]:kind_offsets[q + 1]]` are the rows of kind q and `present` says whether it has a
    candidate left. `attribute` numbers each row's attribute and `partition` says, by attribute, whether its rows
    exclude each other; bounds are (rows, slots + 1). `windows` holds (row, limit, length). `counts` are by row,
    `picks` index `kind`. O(rows x slots + kinds x rows an item).
    """
    rows, prefixes = lower.shape
    kinds = len(kind_offsets) - 1
    closed = np.zeros(rows, np.bool_)
    for r in range(rows):
        closed[r] = counts[r] >= upper[r, slot + 1]
    recent = np.zeros(rows, np.int32)
    for w in range(windows.shape[0]):
        row, limit, length = windows[w, 0], windows[w, 1], windows[w, 2]
        recent[row] = 0
        for s in range(max(0, slot - length + 1), slot):
            q = kind[picks[s]]
            for e in range(kind_offsets[q], kind_offsets[q + 1]):
                if kind_rows[e] == row:
                    recent[row] += 1
        if recent[row] >= limit:
            closed[row] = True

    # What is owed: per attribute the tightest prefix; over all attributes together the first that needs shared picks.
    groups = len(partition)
    tight = np.zeros(groups, np.int32)
    joint = 0
    together = np.zeros(prefixes, np.int32)
    for g in range(groups):
        for b in range(slot + 1, prefixes):
            owed = 0
            for r in range(rows):
                if attribute[r] == g and lower[r, b] > counts[r]:
                    debt = lower[r, b] - counts[r]
                    owed = owed + debt if partition[g] else max(owed, debt)
            together[b] += owed
            if owed >= b - slot and tight[g] == 0:
                tight[g] = b
    for b in range(slot + 1, prefixes):
        if together[b] >= b - slot:
            joint = b
            break

    served = np.zeros(kinds, np.int32)
    legal = np.zeros(kinds, np.bool_)
    met = np.zeros(groups, np.bool_)
    most, opened = 0, 0
    for q in range(kinds):
        is_open[q] = False
        if not present[q]:
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
        if legal[q]:
            most = max(most, served[q])
    if joint > 0 and together[joint] > joint - slot:
        least = most  # debts exceed slots: only the picks that pay most of them at once can still work
    else:
        least = min(most, 1) if joint > 0 else 0
    for q in range(kinds):
        if legal[q] and served[q] >= least:
            is_open[q] = True
            opened += 1
    if opened > 0:
        return opened

    best_excess, best_debt = np.inf, np.inf
    excess = np.zeros(kinds)
    debt_left = np.zeros(kinds)
    for q in range(kinds):
        if not present[q]:
            continue
        for e in range(kind_offsets[q], kind_offsets[q + 1]):
            r = kind_rows[e]
            if closed[r]:
                excess[q] += upper_weight[r]
            if tight[attribute[r]] > 0 and lower[r, tight[attribute[r]]] > counts[r]:
                debt_left[q] -= lower_weight[r]
        if excess[q] < best_excess or (excess[q] == best_excess and debt_left[q] < best_debt):
            best_excess, best_debt = excess[q], debt_left[q]
    for q in range(kinds):
        if present[q] and excess[q] == best_excess and debt_left[q] == best_debt:
            is_open[q] = True
            opened += 1
    return opened
