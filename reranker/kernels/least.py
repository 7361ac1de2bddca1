"""The least deficit on one partition whose bounds cannot all hold, and which kinds keep it within reach (rule 5).

`kernels/deficit.py` bounds the cost from both sides. Where the bounds differ, a search branches on what is violated:
one of the peaks that a violated condition names must rise. A kind is open when the least cost after it is the least
cost of all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.deficit import (
    DOWN,
    TABLE,
    TRUE,
    UP,
    Ints,
    Table,
    at_least,
    cost_of,
    cover,
    meets,
    owes,
    shortfalls,
)
from reranker.kernels.jit import boolean, i32, i64, kernel, linked, read_only, scratch
from reranker.kernels.overwrite import overwrite

_DEPTH = 48  # peaks that a search raises one after the other before it gives up
_NOTHING, _FILL, _OWN, _HALL = range(4)
FOUND, NONE, UNKNOWN = 1, 0, -1


@linked
def _violated(slot: int, counts: Ints, excess: Ints, short: Ints, table: Table) -> tuple[int, int, int]:
    """A condition that these peaks violate, (which, a, b): fill of prefix a, own of kind a, Hall of slots a..b."""
    lower, tight, supply = table.lower, table.tight, table.supply
    kinds, prefixes = lower.shape
    for t in range(slot + 1, prefixes):
        room = 0
        for v in range(kinds):
            room += min(tight[v, t] + excess[v], supply[v, t])
        if room < t:
            return _FILL, t, t
    for v in table.dearest:
        if short[v] < owes(v, excess[v], 0, table.lacks, table.clash):
            return _OWN, v, v
    for a in range(slot + 1, prefixes):
        for b in range(a, prefixes):
            owed = 0
            for v in table.dearest:
                placed = counts[v]
                if a > slot + 1:
                    placed = max(placed, min(tight[v, a - 1] + excess[v], supply[v, a - 1]))
                owed += max(0, lower[v, b] - short[v] - placed)
            if owed > b - a + 1:
                return _HALL, a, b
    return _NOTHING, 0, 0


@linked
def _helps(
    peak: int, which: int, a: int, b: int, slot: int, counts: Ints, excess: Ints, short: Ints, table: Table
) -> bool:
    """Whether raising one peak, excess of kinds first and then shortfall, could mend a violated condition."""
    kinds = len(counts)
    v = peak % kinds
    is_excess = peak < kinds
    if which == _FILL:
        return bool(is_excess and excess[v] < table.reach[TRUE, v, a])
    if which == _OWN:
        return bool(v == a and (not is_excess or short[v] >= table.lacks[v]))
    placed = counts[v]
    if a > slot + 1:
        placed = max(placed, min(table.tight[v, a - 1] + excess[v], table.supply[v, a - 1]))
    if table.lower[v, b] - short[v] <= placed:
        return False
    return bool(not is_excess or (a > slot + 1 and excess[v] < table.reach[TRUE, v, a - 1]))


@linked
def _suffices(
    slot: int, counts: Ints, excess: Ints, short: Ints, table: Table, some_excess: Ints, some_short: Ints
) -> tuple[int, int]:
    """Peaks of at least these that suffice, at little cost; their cost, or (-1, -1) when the slots cannot be filled."""
    none = np.zeros(len(counts), np.bool_)
    overwrite(some_excess, excess)
    if not cover(slot, TRUE, table.closures[UP] and not table.closures[DOWN], none, short, some_excess, table):
        return -1, -1
    shortfalls(slot, counts, some_excess, short, some_short, table)
    return cost_of(some_excess, table.high_cost), cost_of(some_short, table.low_cost)


@linked
def _search(
    slot: int,
    counts: Ints,
    excess: Ints,
    short: Ints,
    table: Table,
    nodes: NDArray[np.int64],
    stop: bool,
    cost: NDArray[np.int64],
    best_excess: Ints,
    best_short: Ints,
) -> int:
    """Look for peaks of at least `excess` and `short` that suffice and cost less than the pair `cost`.

    FOUND, with `cost` and the best peaks lowered to it, after `stop` as soon as there are any; NONE when there are
    none; UNKNOWN when the `nodes` that are left were not enough to tell, and then what was found may still be written.
    Depth first; children of a violated condition raise one of its peaks each and keep those of their elder siblings
    where they are, so that no choice is looked at twice.
    """
    kinds = len(counts)
    some_excess, some_short = np.empty(kinds, np.int32), np.empty(kinds, np.int32)
    peaks = np.empty((_DEPTH, 2, kinds), np.int32)
    settled = np.zeros((_DEPTH, 2 * kinds), np.bool_)
    condition = np.zeros((_DEPTH, 3), np.int64)
    following = np.zeros(_DEPTH, np.int64)
    overwrite(peaks[0, 0], excess)
    overwrite(peaks[0, 1], short)
    depth, arrived, found, complete = 0, True, NONE, True
    while depth >= 0:
        over, under = peaks[depth, 0], peaks[depth, 1]
        if arrived:
            arrived = False
            if nodes[0] <= 0:
                complete = False
                break
            nodes[0] -= 1
            low = at_least(slot, counts, settled[depth, :kinds], over, under, cost[0], table)
            following[depth] = 2 * kinds
            if low[0] >= 0 and low < (cost[0], cost[1]):
                high = _suffices(slot, counts, over, under, table, some_excess, some_short)
                if high[0] >= 0 and high < (cost[0], cost[1]):
                    cost[0], cost[1] = high
                    overwrite(best_excess, some_excess)
                    overwrite(best_short, some_short)
                    found = FOUND
                    if stop:
                        return FOUND
                if low < (cost[0], cost[1]):
                    which, a, b = _violated(slot, counts, over, under, table)
                    condition[depth, 0], condition[depth, 1], condition[depth, 2] = which, a, b
                    following[depth] = 0
                    if condition[depth, 0] == _NOTHING:
                        following[depth] = 2 * kinds
        which, a, b = condition[depth, 0], condition[depth, 1], condition[depth, 2]
        child = following[depth]
        while child < 2 * kinds:
            if not settled[depth, child] and _helps(child, which, a, b, slot, counts, over, under, table):
                break
            child += 1
        if child == 2 * kinds:
            depth -= 1
            continue
        following[depth] = child + 1
        if depth + 1 == _DEPTH:
            complete = False
            continue
        overwrite(peaks[depth + 1, 0], over)
        overwrite(peaks[depth + 1, 1], under)
        peaks[depth + 1, child // kinds, child % kinds] += 1
        overwrite(settled[depth + 1], settled[depth])
        settled[depth, child] = True  # for the children to come
        depth += 1
        arrived = True
    if not complete:
        return UNKNOWN
    return found


@linked
def _giver(slot: int, kind: int, excess: Ints, way_excess: Ints, table: Table) -> int:
    """A kind whose last unit of the way's excess `kind` can take over at the same cost; -1 when none is seen.

    The unit is not used yet, and fills no prefix that one more of `kind` would not fill.
    """
    reach, high_cost = table.reach[TRUE], table.high_cost
    more = way_excess[kind] + 1
    for other in range(len(excess)):
        if other == kind or way_excess[other] <= excess[other] or high_cost[other] != high_cost[kind]:
            continue
        takes_over = True
        for t in range(slot + 1, reach.shape[1]):
            if reach[other, t] >= way_excess[other] and reach[kind, t] < more:
                takes_over = False
                break
        if takes_over:
            return other
    return -1


@linked
def _evaluate(
    slot: int,
    kind: int,
    counts: Ints,
    excess: Ints,
    short: Ints,
    table: Table,
    cost: NDArray[np.int64],
    nodes: NDArray[np.int64],
    way_excess: Ints,
    way_short: Ints,
) -> int:
    """Whether the least cost stays within reach when `kind` fills the next slot.

    `counts`, `excess` and `short` become those after the pick, whatever the answer; the way, peaks that suffice now,
    becomes one that suffices then, when the answer is FOUND. Without floors a pick within the way's caps takes away no
    room that a later prefix needs.
    """
    kinds = len(counts)
    counts[kind] += 1
    excess[kind] = max(excess[kind], counts[kind] - table.tight[kind, slot + 1])
    holds = True
    for v in table.dearest:
        short[v] = max(short[v], table.lower[v, slot + 1] - counts[v])
        holds = holds and way_short[v] >= short[v]
    giver = kind
    if holds and way_excess[kind] < excess[kind]:
        giver = _giver(slot, kind, excess, way_excess, table)
    if holds and giver >= 0:
        if giver != kind:
            way_excess[giver] -= 1
            way_excess[kind] += 1
        if len(table.dearest) == 0 or meets(slot + 1, counts, way_excess, way_short, table):
            return FOUND
        if giver != kind:
            way_excess[giver] += 1
            way_excess[kind] -= 1
    if cost_of(excess, table.high_cost) > cost[0] or cost_of(short, table.low_cost) > cost[1]:
        return NONE
    found_excess, found_short = np.empty(kinds, np.int32), np.empty(kinds, np.int32)
    if _suffices(slot + 1, counts, excess, short, table, found_excess, found_short) == (cost[0], cost[1]):
        overwrite(way_excess, found_excess)
        overwrite(way_short, found_short)
        return FOUND
    limit = np.array([cost[0], cost[1] + 1])
    answer = _search(slot + 1, counts, excess, short, table, nodes, True, limit, found_excess, found_short)
    if answer == FOUND:
        overwrite(way_excess, found_excess)
        overwrite(way_short, found_short)
    return answer


_STATE = (scratch(i32, 1), scratch(i32, 1), scratch(i32, 1))


@kernel(i64(i64, *_STATE, TABLE, scratch(i64, 1), scratch(i64, 1), scratch(i32, 1), scratch(i32, 1)))
def least_cost(
    slot: int,
    counts: Ints,
    excess: Ints,
    short: Ints,
    table: Table,
    nodes: NDArray[np.int64],
    cost: NDArray[np.int64],
    way_excess: Ints,
    way_short: Ints,
) -> int:
    """Write the least pair (excess, shortfall) and peaks that reach it; 1 when it is proven, 0 when it may be less."""
    settled = np.zeros(len(counts), np.bool_)
    high = _suffices(slot, counts, excess, short, table, way_excess, way_short)
    cost[0], cost[1] = high
    if high[0] < 0:
        return 0
    if at_least(slot, counts, settled, excess, short, cost[0], table) == high:
        return 1
    return 0 if _search(slot, counts, excess, short, table, nodes, False, cost, way_excess, way_short) == UNKNOWN else 1


@kernel(
    i64(
        i64, *_STATE, TABLE, scratch(i64, 1), scratch(i64, 1), scratch(i32, 1), scratch(i32, 1),
        read_only(i32, 1), scratch(boolean, 1),
    )
)  # fmt: skip
def open_kinds_least(
    slot: int,
    counts: Ints,
    excess: Ints,
    short: Ints,
    table: Table,
    cost: NDArray[np.int64],
    nodes: NDArray[np.int64],
    way_excess: Ints,
    way_short: Ints,
    alike: Ints,
    is_open: NDArray[np.bool_],
) -> int:
    """Open the kinds after which the least cost is still `cost`; returns how many could not be decided, and are shut.

    Kinds that are `alike` in all that a table says answer for each other while counts, peaks and way are equal too.
    """
    kinds = len(counts)
    tried, tries, undecided = np.empty(kinds, np.int32), 0, 0
    own_counts, own_excess, own_short = counts.copy(), excess.copy(), short.copy()
    own_way, own_way_short = way_excess.copy(), way_short.copy()
    unfloored = len(table.dearest) == 0
    for v in range(kinds):
        is_open[v] = False
        if counts[v] >= table.supply[v, slot + 1]:
            continue
        if unfloored:
            more = counts[v] + 1 - table.tight[v, slot + 1] - way_excess[v]
            if more <= 0 or (more == 1 and _giver(slot, v, excess, way_excess, table) >= 0):
                is_open[v] = True
                continue
        known = -1
        for at in range(tries):
            u = tried[at]
            if (
                alike[u] == alike[v]
                and counts[u] == counts[v]
                and excess[u] == excess[v]
                and short[u] == short[v]
                and way_excess[u] == way_excess[v]
                and way_short[u] == way_short[v]
            ):
                known = u
                break
        if known >= 0:
            is_open[v] = is_open[known]
            continue
        tried[tries] = v
        tries += 1
        overwrite(own_counts, counts)
        overwrite(own_excess, excess)
        overwrite(own_short, short)
        overwrite(own_way, way_excess)
        overwrite(own_way_short, way_short)
        answer = _evaluate(
            slot, v, own_counts, own_excess, own_short, table, cost, nodes, own_way, own_way_short
        )  # fmt: skip
        is_open[v] = answer == FOUND
        undecided += 1 if answer == UNKNOWN else 0
    return undecided


@kernel(i64(i64, i64, *_STATE, TABLE, scratch(i64, 1), scratch(i64, 1), scratch(i32, 1), scratch(i32, 1)))
def take_kind(
    slot: int,
    kind: int,
    counts: Ints,
    excess: Ints,
    short: Ints,
    table: Table,
    cost: NDArray[np.int64],
    nodes: NDArray[np.int64],
    way_excess: Ints,
    way_short: Ints,
) -> int:
    """Count a pick of an open kind in the next slot, and find a way on from there; FOUND unless it was not open."""
    return _evaluate(slot, kind, counts, excess, short, table, cost, nodes, way_excess, way_short)
