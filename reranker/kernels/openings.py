"""Which kinds one attribute by itself forbids in a slot: a quick look before a witness is asked for."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i64, kernel, linked, scratch
from reranker.kernels.series import PACKED, Bounds, State, has, unpack


@linked
def open_kinds_of(slot: int, is_open: NDArray[np.bool_], bounds: Bounds, state: State) -> None:
    """Close the kinds that one attribute by itself forbids in `slot`: caps are full, or floors are owed by others.

    What is closed could not have been completed.
    """
    kind_start, kind_series, settled, span = bounds.kind_start, bounds.kind_series, bounds.settled, bounds.span
    relative, group, partition = bounds.relative, bounds.group, bounds.partition
    kind, low, high, count = state.kind, state.low, state.high, state.counts
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
    owed = np.zeros((len(partition), slots + 1), np.int32)
    debt = np.zeros((len(span), slots + 1), np.int32)  # what free slots have to pay, as settled ones pay too
    for s in range(len(span)):
        g, n = group[s], count[s, slot - 1]
        if g < 0 or low[s, slots] <= n:  # floors never fall
            continue
        for b in range(slot, slots + 1):
            if settled[b] and has(kind[b], s, kind_start, kind_series):
                n += 1
            debt[s, b] = max(0, low[s, b] - n)
            owed[g, b] = owed[g, b] + debt[s, b] if partition[g] else max(owed[g, b], debt[s, b])
    tight = np.zeros(len(partition), np.int32)
    for g in range(len(partition)):
        free = 0
        for b in range(slot, slots + 1):
            free += 0 if settled[b] else 1
            if owed[g, b] >= free and owed[g, b] > 0:
                tight[g] = b
                break
    due_now = np.zeros(len(span), np.bool_)
    dues = np.zeros(len(span), np.int32)  # floors that one more labelled item makes due, by the series that counts them
    for s in range(len(span)):
        counting = relative[s]
        if counting < 0 or counting == s:
            continue
        n, prefix = count[s, slot - 1], min(slots, count[counting, slot - 1] + 1)
        closed[s] = n >= bounds.base_high[s, prefix]
        due_now[s] = bounds.base_low[s, prefix] > n
        dues[counting] += 1 if due_now[s] else 0
    paid = np.zeros(len(partition), np.bool_)
    for q in range(kinds):
        allowed = True
        paid[:] = False
        pays = 0
        for at in range(kind_start[q], kind_start[q + 1]):
            s = kind_series[at]
            allowed = allowed and not closed[s]
            g = group[s]
            if g >= 0 and tight[g] > 0 and debt[s, tight[g]] > 0:
                paid[g] = True
            pays += 1 if due_now[s] else 0
            pays -= dues[s]
        allowed = allowed and pays >= 0
        for g in range(len(partition)):
            allowed = allowed and (tight[g] == 0 or paid[g])
        is_open[q] = allowed


@kernel(types.void(i64, scratch(boolean, 1), *PACKED))
def open_for_witness(
    slot: int,
    is_open: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> None:
    """Write which kinds may stand in `slot` as far as one attribute by itself can say."""
    bounds, state = unpack(sizes, ints, longs, flags, alike)
    open_kinds_of(slot, is_open, bounds, state)
