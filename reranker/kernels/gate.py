"""Which kinds of candidate may stand in the next slot, when one attribute partitions the candidates.

Kind v has n_v(t) candidates for prefixes up to t, a lower bound L_v(t) and an upper bound U_v(t) <= n_v(t) on its
count in the first t slots. Placing items is scheduling unit jobs: job i of kind v has deadline min{t : L_v(t) >= i}
and release min{t : U_v(t) >= i}. Once the bounds are jointly feasible (`plan_bounds` finds no conflict), only intervals
that start at the next slot can become tight, so a slate stays feasible exactly when every pick is open here: O(kinds
x slots) a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, read_only, scratch
from reranker.kernels.overwrite import overwrite

# The part of every selection kernel's signature that says who may stand where, in the order of `Gate.arrays`.
GATE = (
    read_only(i32, 1),  # kind of each candidate
    read_only(i32, 1),  # first permitted slot of each candidate, from 1
    read_only(i32, 1),  # forced candidate of each slot, -1 when free
    boolean,  # True: open kinds follow from the bounds below; False: they are given
    read_only(i32, 2),  # lower bounds (kinds, slots + 1)
    read_only(i32, 2),  # upper bounds (kinds, slots + 1)
    scratch(i32, 1),  # counts of each kind so far
    scratch(boolean, 1),  # open kinds
    scratch(boolean, 1),  # candidates already picked
    scratch(i32, 1),  # picks by slot
    scratch(f64, 1),  # utility by slot
)

GateArrays: TypeAlias = tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    bool,
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.bool_],
    NDArray[np.bool_],
    NDArray[np.int32],
    NDArray[np.float64],
]


@dataclass(slots=True, eq=False)
class Gate:
    """Who may stand where, and the slate as it grows. Candidates count from 0 in upstream order.

    `kind` int32 (N,), `release` int32 (N,) the first permitted slot from 1, `forced` int32 (slots,) a candidate or
    -1. `bounded`: the kernel derives `is_open` (kinds,) from `lower` and `upper` int32 (kinds, slots + 1) and
    `counts` (kinds,); otherwise whoever drives the strategy writes `is_open` before each slot.
    """

    kind: NDArray[np.int32]
    release: NDArray[np.int32]
    forced: NDArray[np.int32]
    bounded: bool
    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    counts: NDArray[np.int32]
    is_open: NDArray[np.bool_]
    taken: NDArray[np.bool_]
    picks: NDArray[np.int32]
    gains: NDArray[np.float64]

    @property
    def arrays(self) -> GateArrays:
        """In the order of every selection kernel's signature."""
        return (
            self.kind, self.release, self.forced, self.bounded, self.lower, self.upper, self.counts, self.is_open,
            self.taken, self.picks, self.gains,
        )  # fmt: skip


@inner
def open_kinds(
    slot: int,
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    counts: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> None:
    """Mark the kinds that may stand in slot `slot + 1` after `slot` picks with `counts`; bounds are (kinds, slots + 1).

    The tightest prefix: the first b whose free slots are all owed. Until it is reached only kinds that it owes are
    open.
    """
    kinds, prefixes = lower.shape
    tight = most = 0
    for v in range(kinds):
        most += max(0, lower[v, prefixes - 1] - counts[v])  # no prefix owes more than the last one
    for b in range(slot + 1, min(prefixes, slot + 1 + most)):
        owed = 0
        for v in range(kinds):
            if lower[v, b] > counts[v]:
                owed += lower[v, b] - counts[v]
        if owed >= b - slot:
            tight = b
            break
    for v in range(kinds):
        free = counts[v] < upper[v, slot + 1]
        is_open[v] = free and (tight == 0 or lower[v, tight] > counts[v])


@inner
def _crowded(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    shortfall: NDArray[np.int32],
) -> tuple[int, int]:
    """The first interval of slots (a, b) that owes more items than it has slots, or (0, 0).

    Hall's condition: sum_v max(0, L_v(b) - shortfall_v - placed_v(a - 1)) <= b - a + 1, where placed_v is what can
    stand before slot a: the count so far for the next slot, U_v(a - 1) beyond it.
    """
    kinds, prefixes = lower.shape
    most = 0  # what floors owe in all: no longer interval can be over-filled
    for v in range(kinds):
        most += max(0, lower[v, prefixes - 1] - shortfall[v] - counts[v])
    if most == 0:
        return 0, 0
    for a in range(slot + 1, prefixes):
        if a > slot + 1:
            grew = False
            for v in range(kinds):
                grew = grew or (lower[v, prefixes - 1] > 0 and upper[v, a - 1] < upper[v, prefixes - 1])
            if not grew:
                break
        for b in range(a, min(prefixes, a + most - 1)):
            owed = 0
            for v in range(kinds):
                placed = counts[v]
                if a > slot + 1:
                    placed = max(placed, upper[v, a - 1])
                owed += max(0, lower[v, b] - shortfall[v] - placed)
            if owed > b - a + 1:
                return a, b
    return 0, 0


@kernel(
    i32[::1](
        read_only(i32, 1),
        read_only(i32, 1),
        i64,
        read_only(i32, 2),
        read_only(i32, 2),
        scratch(i32, 1),
        scratch(i32, 2),
        scratch(i32, 2),
        scratch(i32, 1),
    )
)
def plan_bounds(
    kind: NDArray[np.int32],
    release: NDArray[np.int32],
    keep_top: int,
    lower: NDArray[np.int32],
    cap: NDArray[np.int32],
    excess: NDArray[np.int32],
    supply: NDArray[np.int32],
    upper: NDArray[np.int32],
    shortfall: NDArray[np.int32],
) -> NDArray[np.int32]:
    """What bounds come down to when the first `keep_top` candidates are settled in the first slots.

    `kind` and `release` are by candidate, `lower` and `cap` (kinds, slots + 1). Raises `excess` (kinds,) to what
    settled items exceed, and writes `supply` (candidates that may stand in the first t slots), `upper` (cap plus
    excess, limited by supply and by later prefixes) and `shortfall` (what each kind must lack by itself). Returns the
    first prefix that `upper` cannot fill, or 0, and the first interval that lower bounds less shortfall over-fill, or
    (0, 0). O(N + kinds x slots), O(kinds x slots^2) when supply or caps grow from slot to slot.
    """
    kinds, prefixes = lower.shape
    last = prefixes - 1
    supply[:] = 0
    for i in range(len(kind)):
        if release[i] <= last:
            supply[kind[i], release[i]] += 1
    pinned = np.zeros(kinds, np.int32)
    shortfall[:] = 0
    for t in range(keep_top + 1):
        if t > 0:
            pinned[kind[t - 1]] += 1
        for v in range(kinds):
            excess[v] = max(excess[v], pinned[v] - cap[v, t])
            shortfall[v] = max(shortfall[v], lower[v, t] - pinned[v])
    for v in range(kinds):
        for t in range(1, prefixes):
            supply[v, t] += supply[v, t - 1]
        for t in range(keep_top + 1, prefixes):
            excess[v] = max(excess[v], pinned[v] - cap[v, t])
        least = supply[v, last]
        for t in range(last, -1, -1):  # a count never falls, so a later cap binds earlier prefixes too
            least = min(least, cap[v, t] + excess[v], supply[v, t])
            upper[v, t] = least
            if t > keep_top:
                shortfall[v] = max(shortfall[v], lower[v, t] - least)
    found = np.zeros(3, np.int32)
    for t in range(1, prefixes):
        room = 0
        for v in range(kinds):
            room += upper[v, t]
        if room < t:
            found[0] = t
            break
    found[1], found[2] = _crowded(keep_top, pinned, lower, upper, shortfall)
    return found


@inner
def _starts(slot: int, upper: NDArray[np.int32]) -> int:
    """The last slot at which an interval can become tight: beyond it nothing more can be placed before than at it."""
    kinds, prefixes = upper.shape
    last = slot + 1
    for v in range(kinds):
        while last + 1 < prefixes and upper[v, last] < upper[v, prefixes - 1]:
            last += 1
    return last


@inner
def _least_shortfall(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    floor: NDArray[np.int32],
    by_weight: NDArray[np.int32],
    shortfall: NDArray[np.int32],
) -> None:
    """Write the cheapest shortfalls, each at least `floor`, under which the rest of the slate can be filled.

    Schedulable sets of unit jobs are a matroid, so granting jobs kind by kind, dearest first, costs the least. `owed`
    keeps what the granted kinds owe in each interval (Hall's condition), so one kind costs O(intervals log slots).
    """
    prefixes = lower.shape[1]
    if slot + 1 >= prefixes:
        overwrite(shortfall, floor)
        return
    last_start = _starts(slot, upper)
    owed = np.zeros((last_start + 1, prefixes), np.int32)
    for v in by_weight:
        low, high = floor[v], max(floor[v], lower[v, prefixes - 1])
        while low < high:
            middle = (low + high) // 2
            fits = True
            for a in range(slot + 1, last_start + 1):
                placed = counts[v] if a == slot + 1 else max(counts[v], upper[v, a - 1])
                for b in range(a, prefixes):
                    extra = lower[v, b] - middle - placed
                    fits = fits and (extra <= 0 or owed[a, b] + extra <= b - a + 1)
                if not fits:
                    break
            if fits:
                high = middle
            else:
                low = middle + 1
        shortfall[v] = high
        for a in range(slot + 1, last_start + 1):
            placed = counts[v] if a == slot + 1 else max(counts[v], upper[v, a - 1])
            for b in range(a, prefixes):
                owed[a, b] += max(0, lower[v, b] - high - placed)


@kernel(
    f64(
        i64,
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 1),
        read_only(f64, 1),
        read_only(i32, 1),
        scratch(i32, 1),
    )
)
def least_shortfall(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    floor: NDArray[np.int32],
    weight: NDArray[np.float64],
    by_weight: NDArray[np.int32],
    shortfall: NDArray[np.int32],
) -> float:
    """The least weighted shortfall from here on (rule 5), and one way to reach it in `shortfall`."""
    _least_shortfall(slot, counts, lower, upper, floor, by_weight, shortfall)
    cost = 0.0
    for v in range(len(shortfall)):
        cost += weight[v] * shortfall[v]
    return cost


@kernel(types.void(i64, read_only(i32, 2), read_only(i32, 2), read_only(i32, 1), scratch(boolean, 1)))
def open_kinds_now(
    slot: int,
    lower: NDArray[np.int32],
    upper: NDArray[np.int32],
    counts: NDArray[np.int32],
    is_open: NDArray[np.bool_],
) -> None:
    """`open_kinds` for a driver outside the strategies' loops."""
    open_kinds(slot, lower, upper, counts, is_open)
