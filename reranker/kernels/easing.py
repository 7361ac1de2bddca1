"""What each bounded row must lack or exceed in every slate, whatever the other rows ask for."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, kernel, read_only, scratch


@kernel(
    types.void(
        i64,
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(boolean, 1),
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 1),
        boolean,
        scratch(i32, 2),
        scratch(i32, 1),
        scratch(i32, 1),
    )
)
def unavoidable(
    rows: int,
    row: NDArray[np.int32],
    series_start: NDArray[np.int32],
    series_kinds: NDArray[np.int32],
    first_kinds: NDArray[np.int32],
    avail: NDArray[np.int32],
    settled: NDArray[np.bool_],
    span: NDArray[np.int32],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    relative: NDArray[np.int32],
    within_caps: bool,
    most: NDArray[np.int32],
    shortfall: NDArray[np.int32],
    excess: NDArray[np.int32],
) -> None:
    """Write each row's least `shortfall` and `excess` (rows,), and the `most` of it in the first t slots.

    `first_kinds` (slots + 1,) is the kind of each slot, of which settled ones matter. `within_caps`: a floor counts as
    lacking where the row's own cap forbids it, as it must where no cap is exceeded by more. Relative rows are left
    alone. O(memberships x slots).
    """
    slots = len(settled) - 1
    shortfall[:] = 0
    excess[:] = 0
    everybody = np.zeros(slots + 1, np.int32)
    for t in range(1, slots + 1):
        for q in range(len(avail)):
            everybody[t] += avail[q, t]
        # settled items stand in `avail` from their slots on
    for s in range(len(span)):
        r = row[s]
        if relative[s] >= 0:
            for t in range(slots + 1):
                most[r, t] = slots
            continue
        mine = np.zeros(slots + 1, np.int32)
        for at in range(series_start[s], series_start[s + 1]):
            for t in range(1, slots + 1):
                mine[t] += avail[series_kinds[at], t]
        stands = np.zeros(slots + 1, np.bool_)
        for t in range(1, slots + 1):
            if settled[t]:
                for at in range(series_start[s], series_start[s + 1]):
                    stands[t] = stands[t] or series_kinds[at] == first_kinds[t]
        kept = free = inside = taken = 0
        for t in range(1, slots + 1):
            if settled[t]:
                taken += 1
                kept += 1 if stands[t] else 0
                inside += 1 if stands[t] else 0
            else:
                free += 1
            if span[s] < slots:  # a window: only settled items can be seen to break it
                if t > span[s] and stands[t - span[s]]:
                    inside -= 1
                excess[r] = max(excess[r], inside - high[s, t])
                continue
            others = (everybody[t] - taken) - (mine[t] - kept)
            excess[r] = max(excess[r], kept + max(0, free - others) - high[s, t])
            most[r, t] = kept + min(free, mine[t] - kept)
        most[r, 0] = 0
    for s in range(rows):  # the first series are the rows' prefixes
        if relative[s] >= 0:
            continue
        cap = most[s, slots]
        for t in range(slots, -1, -1):  # a count never falls, so a later cap binds earlier prefixes too
            cap = min(cap, most[s, t])
            if within_caps:
                cap = min(cap, high[s, t] + excess[s])
            most[s, t] = cap
            shortfall[s] = max(shortfall[s], low[s, t] - cap)
