"""What bounds on one partition must cost at least, and what they need cost at most, when they cannot all hold.

Peak excess e_v and peak shortfall s_v turn the bounds of kind v into U_v + e_v and L_v - s_v. Let T_v(t) be the least
of U_v at t and later (counts never fall) and n_v(t) the supply. After some slots with counts c_v, the rest can be
filled with peaks (e, s) exactly when

- fill: sum_v min(T_v(t) + e_v, n_v(t)) >= t for every later prefix t;
- own: L_v(t) - s_v <= min(T_v(t) + e_v, n_v(t));
- Hall: for all later slots a <= b, sum_v max(0, L_v(b) - s_v - M_v(a - 1)) <= b - a + 1, where M_v(a - 1) is what can
  stand before slot a: min(T_v + e_v, n_v) there, c_v for the next slot.

That is unit-job scheduling with releases and deadlines, so `meets` decides it by the earliest due first, in
O(kinds x slots). `cover` and `shortfalls` find peaks that suffice; `at_least` bounds from below what every choice of
peaks costs. Where the two agree the cost is proven, and `kernels/least.py` searches only where they do not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, linked, named_tuple_of, scratch
from reranker.kernels.overwrite import overwrite

Ints = NDArray[np.int32]
TRUE, DOWN, UP = range(3)  # layers of `Table.reach`


class Table(NamedTuple):
    """The bounds of one partition on one list: int32 (kinds, slots + 1) unless said otherwise.

    `tight` is the cap of this prefix and all later ones, `supply` who may stand in the first t slots. Unit j of excess
    of kind v adds one to the fill of prefix t exactly when j <= `reach[TRUE, v, t]`; `reach[DOWN]` and `reach[UP]` say
    the same of all shorter, and of all longer, prefixes too. Costs int64 by kind are weights in millionths.
    `lacks` is what the supply makes each kind lack at its peak, `clash` by how much its floor outgrows its cap.
    `dearest` lists the kinds with a floor, the dearest first; `closures` (3,) which layers of `reach` bound from below.
    """

    lower: Ints
    tight: Ints
    supply: Ints
    reach: Ints
    low_cost: NDArray[np.int64]
    high_cost: NDArray[np.int64]
    lacks: Ints
    clash: Ints
    dearest: Ints
    closures: NDArray[np.bool_]


TABLE = named_tuple_of(
    Table, scratch(i32, 2), scratch(i32, 2), scratch(i32, 2), scratch(i32, 3), scratch(i64, 1), scratch(i64, 1),
    scratch(i32, 1), scratch(i32, 1), scratch(i32, 1), scratch(boolean, 1),
)  # fmt: skip


@linked
def owes(v: int, excess: int, floor: int, lacks: Ints, clash: Ints) -> int:
    """The least peak shortfall of a kind by itself: at least `floor`, and what supply and its own cap leave."""
    return int(max(floor, lacks[v], clash[v] - excess))


@linked
def cover(
    slot: int, layer: int, upward: bool, settled: NDArray[np.bool_], short: Ints, excess: Ints, table: Table
) -> bool:
    """Raise `excess` until every later prefix can be filled, at little cost; False when it cannot be.

    Cheapest unit first, prefix by prefix from the longest down (or, `upward`, from the shortest up); of equal units
    those first that spare their own kind a unit of shortfall above `short`. Kinds that are `settled` stay as they are.

    Where no kind's supply grows, the unit's prefixes are 1..t for some t, so the sets of all units are nested, choices
    that fill are the spanning sets of a matroid (a chain), and the greedy choice costs least: first by weight of
    excess, then by what own shortfalls it leaves. The same holds upward, where caps do not change from prefix to
    prefix and supply grows. O(kinds x slots + units x (kinds + slots)).
    """
    reach, tight, supply = table.reach[layer], table.tight, table.supply
    low_cost, high_cost, lacks, clash = table.low_cost, table.high_cost, table.lacks, table.clash
    kinds, prefixes = tight.shape
    need = np.empty(prefixes, np.int32)
    for t in range(slot + 1, prefixes):
        need[t] = t
    for v in range(kinds):
        for t in range(slot + 1, prefixes):
            need[t] -= min(tight[v, t] + excess[v], supply[v, t])
    for step in range(prefixes - 1 - slot):
        t = slot + 1 + step if upward else prefixes - 1 - step
        while need[t] > 0:
            best, cost, spared = -1, 0, 0
            for v in range(kinds):
                if settled[v] or excess[v] >= reach[v, t]:
                    continue
                spares = low_cost[v] if excess[v] < clash[v] - max(short[v], lacks[v]) else 0
                if best < 0 or high_cost[v] < cost or (high_cost[v] == cost and spares > spared):
                    best, cost, spared = v, high_cost[v], spares
            if best < 0:
                return False
            excess[best] += 1
            for u in range(slot + 1, prefixes):
                if reach[best, u] >= excess[best]:
                    need[u] -= 1
    return True


@linked
def meets(slot: int, counts: Ints, excess: Ints, short: Ints, table: Table) -> bool:
    """Whether the slots after `slot` can be filled with these peaks: the earliest due first. O(kinds x slots)."""
    lower, tight, supply = table.lower, table.tight, table.supply
    kinds, prefixes = lower.shape
    count = counts.copy()
    due = np.full(kinds, slot + 1, np.int32)
    for t in range(slot + 1, prefixes + 1):
        best, earliest = -1, prefixes + 1
        for v in range(kinds):
            b = due[v]
            while b < prefixes and lower[v, b] - short[v] <= count[v]:
                b += 1
            due[v] = b
            if b < t and b < prefixes:
                return False
            if t < prefixes and b < earliest and count[v] < min(tight[v, t] + excess[v], supply[v, t]):
                best, earliest = v, b
        if t < prefixes:
            if best < 0:
                return False
            count[best] += 1
    return True


@linked
def shortfalls(slot: int, counts: Ints, excess: Ints, floor: Ints, short: Ints, table: Table) -> None:
    """Write peaks of shortfall, at least `floor`, that suffice beside `excess`: the dearest kinds first lack least."""
    lower, lacks, clash = table.lower, table.lacks, table.clash
    kinds, prefixes = lower.shape
    for v in range(kinds):
        short[v] = max(owes(v, excess[v], floor[v], lacks, clash), lower[v, prefixes - 1])
    for v in table.dearest:
        low, high = owes(v, excess[v], floor[v], lacks, clash), short[v]
        middle = low  # mostly no more than that is needed
        while low < high:
            short[v] = middle
            if meets(slot, counts, excess, short, table):
                high = middle
            else:
                low = middle + 1
            middle = (low + high) // 2
        short[v] = high


@linked
def cost_of(peaks: Ints, cost: NDArray[np.int64]) -> int:
    """What peaks cost together."""
    total = 0
    for v in range(len(peaks)):
        total += cost[v] * peaks[v]
    return total


@linked
def _crowding(slot: int, counts: Ints, floor: Ints, table: Table) -> int:
    """The least that shortfalls cost by the prefixes alone: slots b for which more is owed than there are slots.

    Owed sets are nested, so what can be kept is a matroid and keeping the dearest first is exact for these prefixes.
    """
    lower, low_cost = table.lower, table.low_cost
    prefixes = lower.shape[1]
    owed = np.zeros(prefixes, np.int32)
    total = 0
    for v in table.dearest:
        low = floor[v]
        high = max(low, lower[v, prefixes - 1])
        middle = low
        while low < high:
            fits = True
            for b in range(slot + 1, prefixes):
                extra = lower[v, b] - middle - counts[v]
                if extra > 0 and owed[b] + extra > b - slot:
                    fits = False
                    break
            if fits:
                high = middle
            else:
                low = middle + 1
            middle = (low + high) // 2
        total += low_cost[v] * high
        for b in range(slot + 1, prefixes):
            owed[b] += max(0, lower[v, b] - high - counts[v])
    return total


@linked
def at_least(
    slot: int,
    counts: Ints,
    settled: NDArray[np.bool_],
    excess: Ints,
    short: Ints,
    most_excess: int,
    table: Table,
) -> tuple[int, int]:
    """No peaks of at least `excess` and `short` cost less than this pair; (-1, -1) when there are none.

    Excess by a relaxation in which units fill more prefixes than they do; shortfall by what each kind lacks by itself
    beside such an excess, and by how prefixes crowd when any one kind had all excess up to a cost of `most_excess`.
    """
    lacks, clash, high_cost, low_cost = table.lacks, table.clash, table.high_cost, table.low_cost
    kinds = len(counts)
    over, under = -1, -1
    eased, floor = np.empty(kinds, np.int32), np.empty(kinds, np.int32)
    for layer in range(3):
        if not table.closures[layer]:
            continue
        overwrite(eased, excess)
        if not cover(slot, layer, layer == UP, settled, short, eased, table):
            return -1, -1
        cost = cost_of(eased, high_cost)
        by_itself = 0
        for v in range(kinds):
            by_itself += low_cost[v] * owes(v, eased[v], short[v], lacks, clash)
        if cost > over or (cost == over and by_itself > under):
            over, under = cost, by_itself
    if over > most_excess or len(table.dearest) == 0:
        return over, under
    spare = most_excess - cost_of(excess, high_cost)
    for v in range(kinds):
        most = excess[v]
        if high_cost[v] > 0 and not settled[v]:
            most += spare // high_cost[v]
        floor[v] = owes(v, most, short[v], lacks, clash)
    return over, max(under, _crowding(slot, counts, floor, table))
