"""Which kinds one attribute by itself forbids in a slot: a quick look before a witness is asked for."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, kernel, read_only, scratch
from reranker.kernels.series import has


@kernel(
    types.void(
        i64,
        read_only(i32, 1),
        read_only(boolean, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(boolean, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        scratch(boolean, 1),
    )
)
def open_for_witness(
    slot: int,
    group: NDArray[np.int32],
    partition: NDArray[np.bool_],
    kind_start: NDArray[np.int32],
    kind_series: NDArray[np.int32],
    settled: NDArray[np.bool_],
    span: NDArray[np.int32],
    relative: NDArray[np.int32],
    kind: NDArray[np.int32],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    count: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> None:
    """Close the kinds that one attribute by itself forbids in `slot`: caps are full, or floors are owed by others.

    `group` is the attribute of each prefix series, -1 for windows and relative series; `partition` says, by attribute,
    whether its series exclude each other. What is closed could not have been completed.
    """
    slots, kinds = len(kind) - 1, len(kind_start) - 1
    closed = np.zeros(len(span), np.bool_)
    for s in range(len(span)):
        n = count[s, slot - 1]
        if span[s] <= slot - 1 and has(kind[slot - span[s]], s, kind_start, kind_series):
            n -= 1
        if relative[s] < 0:
            last = slots if span[s] >= slots else slot
            for e in range(slot, last + 1):
                closed[s] = closed[s] or n >= high[s, e]
    tight = np.zeros(len(partition), np.int32)
    for g in range(len(partition)):
        free = 0
        for b in range(slot, slots + 1):
            free += 0 if settled[b] else 1
            owed = 0
            for s in range(len(span)):
                if group[s] == g and low[s, b] > count[s, slot - 1]:
                    debt = low[s, b] - count[s, slot - 1]
                    owed = owed + debt if partition[g] else max(owed, debt)
            if owed >= free and owed > 0:
                tight[g] = b
                break
    paid = np.zeros(len(partition), np.bool_)
    for q in range(kinds):
        allowed = True
        paid[:] = False
        for at in range(kind_start[q], kind_start[q + 1]):
            s = kind_series[at]
            allowed = allowed and not closed[s]
            g = group[s]
            if g >= 0 and tight[g] > 0 and low[s, tight[g]] > count[s, slot - 1]:
                paid[g] = True
        for g in range(len(partition)):
            allowed = allowed and (tight[g] == 0 or paid[g])
        is_open[q] = allowed
