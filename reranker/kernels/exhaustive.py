"""Every slate, one after the other, until one keeps every bound: only for short slates, and only for so long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import i64, kernel, linked
from reranker.kernels.openings import open_kinds_of
from reranker.kernels.series import PACKED, Bounds, State, count_all, has, unpack

FOUND, NONE, UNKNOWN = 1, 0, -1


@linked
def _holds(p: int, bounds: Bounds, state: State) -> bool:
    """Whether every bound that ends at slot p holds there; counts that slot on the way."""
    kind_start, kind_series, span, relative = bounds.kind_start, bounds.kind_series, bounds.span, bounds.relative
    kind, counts = state.kind, state.counts
    slots = len(kind) - 1
    for other in range(max(1, p - bounds.alike_span + 1), p):
        if bounds.alike[kind[p], kind[other]]:
            return False
    for s in range(len(span)):
        counts[s, p] = counts[s, p - 1]
        if p > span[s] and has(kind[p - span[s]], s, kind_start, kind_series):
            counts[s, p] -= 1
    for at in range(kind_start[kind[p]], kind_start[kind[p] + 1]):
        counts[kind_series[at], p] += 1
    for s in range(len(span)):
        prefix = p if relative[s] < 0 else counts[relative[s], p]
        low = bounds.base_low[s, prefix]
        if p == slots and relative[s] >= 0:
            low = max(low, bounds.due[s])
        if not low <= counts[s, p] <= bounds.base_high[s, prefix]:
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
        kind[:] = before
    count_all(bounds, state)
    return verdict
