"""Where upstream ranks, guard and placement let each candidate stand (rules 2 and 3).

The guard lets nobody rise who fails it. Fixed items push others out of their places, and then two things that come
before the guard may need somebody to rise after all: `max_fall`, and a full slate. As few rise, and as little, as that
takes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.quotas.same import ALL, ONES


def first_slots(
    passes: NDArray[np.bool_], forced: NDArray[np.int32], max_fall: int, has_fixed: bool
) -> NDArray[np.int32]:
    """The first slot, from 1, in which each candidate may stand: int32 (N,), upstream order.

    `forced` int32 (slots,) is the candidate that a slot is settled for, -1 when free. O(N), more with fixed items.
    """
    if ALL.lent(passes) or passes.all():
        return ONES(len(passes))
    release = ONES(len(passes)).copy()
    release[~passes] += np.flatnonzero(~passes).astype(np.int32)
    if has_fixed:  # else whoever stands at the upstream rank fills the slot, and falls nowhere
        if max_fall:
            _keep_from_falling(release, forced, max_fall)
        _fill_holes(release, forced, passes)
    return release


def _keep_from_falling(release: NDArray[np.int32], forced: NDArray[np.int32], max_fall: int) -> None:
    """Let failing items rise as far as their `max_fall` needs it; what no order of them can keep stays as it is.

    Whoever may not fall is a unit job: released by the guard, due `max_fall` slots below the upstream rank. Filling
    free slots by the earliest due first either meets all dues, or shows slots a..b for which more items are both
    released and due than there are free ones: the first of them in upstream order must rise above slot a. O(slots^3) at
    worst, and a few slots' work in practice.
    """
    slots = len(forced)
    settled = set(forced.tolist())
    falling = [i for i in range(min(len(release), max(0, slots - max_fall))) if i not in settled]
    free = [slot for slot in range(1, slots + 1) if forced[slot - 1] < 0]
    before, at_first = release.copy(), len(_late(falling, release, free, max_fall)[0])
    fallen = 0
    while True:
        late, standing = _late(falling, release, free, max_fall)
        if not late:
            break
        due = late[0] + 1 + max_fall
        # Back from the late item's due slot, as long as free slots go to items due no later than it.
        others = (slot for slot in reversed(free) if slot <= due and not 0 <= standing[slot] <= late[0])
        begin = next(others, 0) + 1
        crowd = [i for i in falling if i <= late[0] and release[i] >= begin]
        above = [slot for slot in free if slot < begin]
        if above and crowd:
            release[crowd[0]] = above[-1]
        else:  # this one falls, whatever the guard says
            falling.remove(late[0])
            fallen += 1
    if fallen >= at_first:  # nobody is kept from falling by it
        release[:] = before


def _late(
    falling: list[int], release: NDArray[np.int32], free: list[int], max_fall: int
) -> tuple[list[int], dict[int, int]]:
    """Who comes too late, and who stands in each free slot (-1: nobody), filling them by the earliest due first."""
    waiting = list(falling)  # in upstream order, which is the order in which they are due
    standing = dict.fromkeys(free, -1)
    for slot in free:
        standing[slot] = next((i for i in waiting if release[i] <= slot <= i + 1 + max_fall), -1)
        if standing[slot] >= 0:
            waiting.remove(standing[slot])
    return waiting, standing


def _fill_holes(release: NDArray[np.int32], forced: NDArray[np.int32], passes: NDArray[np.bool_]) -> None:
    """Where fixed items leave a free slot without anybody, the next failing item in rank order may rise into it."""
    settled = set(forced[forced >= 0].tolist())
    waiting = [i for i in np.flatnonzero(~passes).tolist() if i not in settled]
    waiting.sort(key=lambda i: (release[i], i))
    ready = sum(1 for i in np.flatnonzero(passes).tolist() if i not in settled)
    for slot, candidate in enumerate(forced.tolist(), start=1):
        if candidate >= 0:
            continue
        while waiting and release[waiting[0]] <= slot:
            waiting.pop(0)
            ready += 1
        if not ready and waiting:
            release[waiting.pop(0)] = slot
            ready += 1
        ready -= 1
