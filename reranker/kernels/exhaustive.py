"""Every slate, one after the other, until one keeps every bound, or for the least deficit where none does.

Only for short slates, and only for so long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import i32, i64, kernel, linked, read_only, scratch
from reranker.kernels.openings import open_kinds_of
from reranker.kernels.overwrite import overwrite
from reranker.kernels.series import PACKED, Bounds, State, count_all, has, unpack

FOUND, NONE, UNKNOWN = 1, 0, -1


@linked
def _count(p: int, bounds: Bounds, state: State) -> None:
    """Count slot p on top of the slots before it."""
    kind_start, kind_series, span = bounds.kind_start, bounds.kind_series, bounds.span
    kind, counts = state.kind, state.counts
    for s in range(len(span)):
        counts[s, p] = counts[s, p - 1]
        if p > span[s] and has(kind[p - span[s]], s, kind_start, kind_series):
            counts[s, p] -= 1
    for at in range(kind_start[kind[p]], kind_start[kind[p] + 1]):
        counts[kind_series[at], p] += 1


@linked
def _holds(p: int, bounds: Bounds, state: State) -> bool:
    """Whether every bound that ends at slot p holds there; counts that slot on the way."""
    relative, kind, counts = bounds.relative, state.kind, state.counts
    slots = len(kind) - 1
    for other in range(max(1, p - bounds.alike_span + 1), p):
        if bounds.alike[kind[p], kind[other]]:
            return False
    _count(p, bounds, state)
    for s in range(len(relative)):
        prefix = p if relative[s] < 0 else counts[relative[s], p]
        low = bounds.base_low[s, prefix]
        if p == slots and relative[s] >= 0:
            low = max(low, bounds.due[s])
        if not low <= counts[s, p] <= bounds.base_high[s, prefix]:
            return False
    return _payable(p, bounds, state)


@linked
def _payable(p: int, bounds: Bounds, state: State) -> bool:
    """Whether enough slots are left for what the end of the slate asks for whatever the labelled items are."""
    relative, group, due, counts = bounds.relative, bounds.group, bounds.due, state.counts
    left = len(state.kind) - 1 - p
    owed = np.zeros(len(bounds.partition), np.int32)
    for s in range(len(relative)):
        if relative[s] < 0 or relative[s] == s or due[s] <= counts[s, p]:
            continue
        g, lacking = group[relative[s]], due[s] - counts[s, p]
        owed[g] = owed[g] + lacking if bounds.partition[g] else max(owed[g], lacking)
        if owed[g] > left:
            return False
    return True


@kernel(i64(i64, *PACKED))
def search_everything(
    nodes: int,
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> int:
    """FOUND, and the slate is the witness; NONE when no slate keeps every bound; UNKNOWN after so many `nodes`.

    Depth first, slot by slot, over kinds that no single attribute forbids. Else the witness stays as it was.
    """
    bounds, state = unpack(sizes, ints, longs, flags, alike)
    kind, settled, avail = state.kind, bounds.settled, bounds.avail
    slots, kinds = len(kind) - 1, len(avail)
    before = kind.copy()
    is_open = np.zeros((slots + 1, kinds), np.bool_)
    following = np.zeros(slots + 1, np.int32)  # the kind to try next in each slot
    used = np.zeros(kinds, np.int32)
    verdict, p, arrived = NONE, 1, True
    while p > 0:
        if arrived:
            nodes -= 1
            if nodes < 0:
                verdict = UNKNOWN
                break
            following[p] = 0
            if not settled[p]:
                open_kinds_of(p, is_open[p], bounds, state)
        found = False
        for q in range(following[p], kinds):
            may_stand = q == before[p] if settled[p] else is_open[p, q] and used[q] < avail[q, p]
            if not may_stand:
                continue
            kind[p] = q
            if _holds(p, bounds, state):
                following[p] = q + 1
                used[q] += 1
                found = True
                break
        arrived = found
        if found and p == slots:
            verdict = FOUND
            break
        if found:
            p += 1
        else:
            p -= 1
            if p > 0:
                used[kind[p]] -= 1
    if verdict != FOUND:
        overwrite(kind, before)
    count_all(bounds, state)
    return verdict


@linked
def _price(
    p: int,
    row: NDArray[np.int32],
    costs: NDArray[np.int64],
    peaks: NDArray[np.int32],
    bounds: Bounds,
    state: State,
) -> tuple[int, int]:
    """Carry the peaks of excess and shortfall (slots + 1, 2, rows) on to slot p; what they cost up to there."""
    relative, counts = bounds.relative, state.counts
    slots = len(state.kind) - 1
    peaks[p] = peaks[p - 1]
    for s in range(len(row)):
        prefix = p if relative[s] < 0 else counts[relative[s], p]
        low = bounds.base_low[s, prefix]
        if p == slots and relative[s] >= 0:
            low = max(low, bounds.due[s])
        r = row[s]
        peaks[p, 0, r] = max(peaks[p, 0, r], counts[s, p] - bounds.base_high[s, prefix])
        peaks[p, 1, r] = max(peaks[p, 1, r], low - counts[s, p])
    over = under = 0
    for r in range(costs.shape[1]):
        over += costs[0, r] * peaks[p, 0, r]
        under += costs[1, r] * peaks[p, 1, r]
    return over, under


@kernel(i64(i64, read_only(i32, 1), scratch(i64, 2), *PACKED))
def search_least(
    nodes: int,
    row: NDArray[np.int32],
    costs: NDArray[np.int64],
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> int:
    """Make the witness the slate of least deficit; FOUND when it is proven to be, UNKNOWN after so many `nodes`.

    `row` is the row of each series, `costs` (2, rows) what a unit of its peak excess and of its peak shortfall costs.
    Depth first, slot by slot, from the witness as the best slate known; what the slots so far cost is what every slate
    that begins with them costs.
    """
    bounds, state = unpack(sizes, ints, longs, flags, alike)
    kind, settled, avail = state.kind, bounds.settled, bounds.avail
    slots, kinds = len(kind) - 1, len(avail)
    peaks = np.zeros((slots + 1, 2, costs.shape[1]), np.int32)
    best, least = kind.copy(), (0, 0)
    for p in range(1, slots + 1):
        _count(p, bounds, state)
        least = _price(p, row, costs, peaks, bounds, state)
    following = np.zeros(slots + 1, np.int32)
    used = np.zeros(kinds, np.int32)
    verdict, p, arrived = FOUND, 1, True
    while p > 0:
        if arrived:
            nodes -= 1
            if nodes < 0:
                verdict = UNKNOWN
                break
            following[p] = 0
        arrived = False
        for q in range(following[p], kinds):
            may_stand = q == best[p] if settled[p] else used[q] < avail[q, p]
            if not may_stand:
                continue
            kind[p] = q
            _count(p, bounds, state)
            price = _price(p, row, costs, peaks, bounds, state)
            if price < least:
                following[p] = q + 1
                if p == slots:
                    least = price
                    overwrite(best, kind)
                    continue
                used[q] += 1
                arrived = True
                break
        if arrived:
            p += 1
        else:
            p -= 1
            if p > 0:
                used[kind[p]] -= 1
    overwrite(kind, best)
    count_all(bounds, state)
    return verdict
