"""Bounds of any shape over one complete slate, counted so that the price of every small change is known.

A *kind* is a set of bounded rows that some candidate carries; a slate is a sequence of kinds. A *series* is one bound
of one row: at every slot e it counts the row's items in the `span` slots that end at e (a prefix has the span of the
whole slate) and compares the count with `low` and `high`. Slots count from 1 here; arrays over slots have an entry 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i32, i64, inner, linked, read_only, scratch

ALIKE_COST = 256  # what one pair of items that are too alike costs the search; a unit of the dearest floor costs 16


class Bounds(NamedTuple):
    """What has to hold.

    Kind q has the series `kind_series[kind_start[q]:kind_start[q + 1]]`, series s is in the kinds
    `series_kinds[series_start[s]:series_start[s + 1]]`; `avail` (kinds, slots + 1) candidates of each kind may stand in
    the first t slots; `settled` (slots + 1); `span`, `low_cost`, `high_cost`, `due` by series; `base_low` and
    `base_high` (series, slots + 1) by prefix. `relative[s]` is the series whose count is the prefix that counts for s,
    -1 where it is the slot itself; `due` is then what the last slot asks for whatever that count. `group` is the
    attribute of each prefix series and of those that others are relative to, -1 for windows and relative series;
    `partition` says, by attribute, whether its series exclude each other. Kinds that are `alike` (kinds, kinds) may not
    stand fewer than `alike_span` slots apart (0: no such bound).
    """

    kind_start: NDArray[np.int32]
    kind_series: NDArray[np.int32]
    series_start: NDArray[np.int32]
    series_kinds: NDArray[np.int32]
    avail: NDArray[np.int32]
    settled: NDArray[np.bool_]
    span: NDArray[np.int32]
    base_low: NDArray[np.int32]
    base_high: NDArray[np.int32]
    low_cost: NDArray[np.int64]
    high_cost: NDArray[np.int64]
    relative: NDArray[np.int32]
    due: NDArray[np.int32]
    group: NDArray[np.int32]
    partition: NDArray[np.bool_]
    alike: NDArray[np.bool_]
    alike_span: int


class State(NamedTuple):
    """One slate and what is known about it.

    `kind` (slots + 1,) by slot, `low` and `high` (series, slots + 1) as they bind this slate, `counts` likewise, `used`
    (kinds, slots + 1) in the first t slots, `more` and `less` (series, slots + 1) what one item more or less would cost
    at slots 1..e, `cost` by series, `numbers` = [total cost, random state, steps taken, pairs too alike], `barred`
    (slots + 1, kinds) the step until which a kind may not return to a slot, `marked` by series.
    """

    kind: NDArray[np.int32]
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    counts: NDArray[np.int32]
    used: NDArray[np.int32]
    more: NDArray[np.int64]
    less: NDArray[np.int64]
    cost: NDArray[np.int64]
    numbers: NDArray[np.int64]
    barred: NDArray[np.int32]
    marked: NDArray[np.bool_]


# Few arguments, as each array that is handed over costs a quarter of a microsecond in every slot.
PACKED = (
    scratch(i64, 1), scratch(i32, 1), scratch(i64, 1), scratch(boolean, 1), read_only(boolean, 2),
)  # fmt: skip
KINDS, SERIES, SLOTS, MEMBERS, GROUPS, ALIKE_SPAN = range(6)  # entries of `sizes`


@linked
def unpack(
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> tuple[Bounds, State]:
    """Views of the arrays that lie end to end in `ints`, `longs` and `flags`, in the order in which they are cut."""
    kinds, series, members, groups = sizes[KINDS], sizes[SERIES], sizes[MEMBERS], sizes[GROUPS]
    width = sizes[SLOTS] + 1
    by_series, by_kind = series * width, kinds * width
    kind, ints = ints[:width], ints[width:]
    low, ints = ints[:by_series].reshape((series, width)), ints[by_series:]
    high, ints = ints[:by_series].reshape((series, width)), ints[by_series:]
    counts, ints = ints[:by_series].reshape((series, width)), ints[by_series:]
    used, ints = ints[:by_kind].reshape((kinds, width)), ints[by_kind:]
    barred, ints = ints[:by_kind].reshape((width, kinds)), ints[by_kind:]
    base_low, ints = ints[:by_series].reshape((series, width)), ints[by_series:]
    base_high, ints = ints[:by_series].reshape((series, width)), ints[by_series:]
    due, ints = ints[:series], ints[series:]
    avail, ints = ints[:by_kind].reshape((kinds, width)), ints[by_kind:]
    kind_start, ints = ints[: kinds + 1], ints[kinds + 1 :]
    kind_series, ints = ints[:members], ints[members:]
    series_start, ints = ints[: series + 1], ints[series + 1 :]
    series_kinds, ints = ints[:members], ints[members:]
    span, relative, group = ints[:series], ints[series : 2 * series], ints[2 * series : 3 * series]
    more, longs = longs[:by_series].reshape((series, width)), longs[by_series:]
    less, longs = longs[:by_series].reshape((series, width)), longs[by_series:]
    cost, low_cost, high_cost = longs[:series], longs[series : 2 * series], longs[2 * series : 3 * series]
    numbers = longs[3 * series :]
    marked, settled, partition = flags[:series], flags[series : series + width], flags[series + width :][:groups]
    bounds = Bounds(
        kind_start, kind_series, series_start, series_kinds, avail, settled, span, base_low, base_high, low_cost,
        high_cost, relative, due, group, partition, alike, sizes[ALIKE_SPAN],
    )  # fmt: skip
    return bounds, State(kind, low, high, counts, used, more, less, cost, numbers, barred, marked)


@inner
def cost_of(count: int, low: int, high: int, low_cost: int, high_cost: int) -> int:
    """What one count at one slot costs."""
    return low_cost * max(0, low - count) + high_cost * max(0, count - high)


@inner
def _one_more(n: int, low: int, high: int, low_cost: int, high_cost: int) -> int:
    return (high_cost if n >= high else 0) - (low_cost if n < low else 0)


@inner
def _one_less(n: int, low: int, high: int, low_cost: int, high_cost: int) -> int:
    return (low_cost if n <= low else 0) - (high_cost if n > high else 0)


@linked
def count_all(bounds: Bounds, state: State) -> None:
    """Count `state.kind` from nothing. O(series x slots + kinds x slots)."""
    slots = len(state.kind) - 1
    state.counts[:] = 0
    state.used[:] = 0
    for p in range(1, slots + 1):
        q = state.kind[p]
        for t in range(p, slots + 1):
            state.used[q, t] += 1
        for at in range(bounds.kind_start[q], bounds.kind_start[q + 1]):
            s = bounds.kind_series[at]
            for e in range(p, min(slots, p + bounds.span[s] - 1) + 1):
                state.counts[s, e] += 1
    state.numbers[0] = state.numbers[3] = 0
    for s in range(len(bounds.span)):
        state.cost[s] = 0
        recount(s, bounds, state)
    if bounds.alike_span > 0:
        for p in range(1, slots + 1):
            for other in range(max(1, p - bounds.alike_span + 1), p):
                if bounds.alike[state.kind[p], state.kind[other]]:
                    state.numbers[3] += 1
    state.numbers[0] += ALIKE_COST * state.numbers[3]


@linked
def recount(s: int, bounds: Bounds, state: State) -> None:
    """Take the bounds of series s from their tables again, and its cost with them."""
    slots = len(state.kind) - 1
    relative = bounds.relative[s]
    cost = 0
    for e in range(1, slots + 1):
        t = e if relative < 0 else state.counts[relative, e]
        low, high, n = bounds.base_low[s, t], bounds.base_high[s, t], state.counts[s, e]
        if e == slots and relative >= 0:
            low = max(low, bounds.due[s])
        state.low[s, e] = low
        state.high[s, e] = high
        cost += cost_of(n, low, high, bounds.low_cost[s], bounds.high_cost[s])
        state.more[s, e] = state.more[s, e - 1] + _one_more(n, low, high, bounds.low_cost[s], bounds.high_cost[s])
        state.less[s, e] = state.less[s, e - 1] + _one_less(n, low, high, bounds.low_cost[s], bounds.high_cost[s])
    state.numbers[0] += cost - state.cost[s]
    state.cost[s] = cost


@linked
def put(slot: int, q: int, bounds: Bounds, state: State) -> None:
    """Put kind q into a slot in place of the kind that stands there. O(series of both x slots)."""
    kind, used, count, more, less = state.kind, state.used, state.counts, state.more, state.less
    kind_start, kind_series, span = bounds.kind_start, bounds.kind_series, bounds.span
    lows, highs, cost, numbers = state.low, state.high, state.cost, state.numbers
    old = kind[slot]
    if old == q:
        return
    slots = len(kind) - 1
    kind[slot] = q
    for t in range(slot, slots + 1):
        used[old, t] -= 1
        used[q, t] += 1
    if bounds.alike_span > 0:
        pairs = alike_to(slot, q, kind, bounds.alike, bounds.alike_span)
        pairs -= alike_to(slot, old, kind, bounds.alike, bounds.alike_span)
        numbers[3] += pairs
        numbers[0] += ALIKE_COST * pairs
    shifted = 0  # counts of prefixes that other series refer to
    for side in range(2):
        changed, step = (old, -1) if side == 0 else (q, 1)
        for at in range(kind_start[changed], kind_start[changed + 1]):
            s = kind_series[at]
            low_cost, high_cost = bounds.low_cost[s], bounds.high_cost[s]
            last = min(slots, slot + span[s] - 1)
            change = 0
            for e in range(slot, slots + 1):
                n, low, high = count[s, e], lows[s, e], highs[s, e]
                if e <= last:
                    change -= cost_of(n, low, high, low_cost, high_cost)
                    n += step
                    change += cost_of(n, low, high, low_cost, high_cost)
                    count[s, e] = n
                more[s, e] = more[s, e - 1] + _one_more(n, low, high, low_cost, high_cost)
                less[s, e] = less[s, e - 1] + _one_less(n, low, high, low_cost, high_cost)
            cost[s] += change
            numbers[0] += change
            if bounds.relative[s] == s:
                shifted += step * (s + 1)
    if shifted != 0:
        for s in range(len(span)):
            if bounds.relative[s] >= 0 and bounds.relative[s] != s:
                recount(s, bounds, state)


# What follows is asked thousands of times in a search. Arrays are handed over one by one: taking them out of a tuple
# costs two atomic reference counts each time, more than the sums themselves.


@inner
def alike_to(slot: int, q: int, kind: NDArray[np.int32], alike: NDArray[np.bool_], alike_span: int) -> int:
    """How many items near `slot` are too alike to kind q."""
    pairs = 0
    for other in range(max(1, slot - alike_span + 1), min(len(kind), slot + alike_span)):
        if other != slot and alike[q, kind[other]]:
            pairs += 1
    return pairs


@inner
def fits(q: int, first: int, last: int, avail: NDArray[np.int32], used: NDArray[np.int32]) -> bool:
    """Whether one more item of kind q is to be had for each of the prefixes first..last."""
    if avail[q, first] == avail[q, last]:  # as without a guard: the last prefix uses most
        return bool(used[q, last] < avail[q, last])
    enough = True
    for t in range(first, last + 1):
        enough = enough and used[q, t] < avail[q, t]
    return enough


@inner
def has(q: int, s: int, kind_start: NDArray[np.int32], kind_series: NDArray[np.int32]) -> bool:
    """Whether kind q is in series s."""
    found = False
    for at in range(kind_start[q], kind_start[q + 1]):
        found = found or kind_series[at] == s
    return found


@inner
def mark(
    q: int, value: bool, kind_start: NDArray[np.int32], kind_series: NDArray[np.int32], marked: NDArray[np.bool_]
) -> None:
    """Mark the series of kind q, or unmark them."""
    for at in range(kind_start[q], kind_start[q + 1]):
        marked[kind_series[at]] = value


@inner
def taking_away(
    slot: int,
    kind_start: NDArray[np.int32],
    kind_series: NDArray[np.int32],
    span: NDArray[np.int32],
    kind: NDArray[np.int32],
    less: NDArray[np.int64],
) -> int:
    """What the going of the kind in `slot` costs."""
    change = 0
    slots, q = len(kind) - 1, kind[slot]
    for at in range(kind_start[q], kind_start[q + 1]):
        s = kind_series[at]
        change += less[s, min(slots, slot + span[s] - 1)] - less[s, slot - 1]
    return change


@inner
def replacing(
    slot: int,
    q: int,
    away: int,
    kind_start: NDArray[np.int32],
    kind_series: NDArray[np.int32],
    span: NDArray[np.int32],
    more: NDArray[np.int64],
    less: NDArray[np.int64],
    marked: NDArray[np.bool_],
) -> int:
    """Cost change of kind q in `slot` for the kind whose series are marked.

    Prefixes that shift, and likeness, are not foreseen.
    """
    change = away
    slots = more.shape[1] - 1
    for at in range(kind_start[q], kind_start[q + 1]):
        s = kind_series[at]
        last = min(slots, slot + span[s] - 1)
        if marked[s]:
            change -= less[s, last] - less[s, slot - 1]
        else:
            change += more[s, last] - more[s, slot - 1]
    return change


@inner
def exchanging(
    first: int,
    second: int,
    kind_start: NDArray[np.int32],
    kind_series: NDArray[np.int32],
    span: NDArray[np.int32],
    kind: NDArray[np.int32],
    more: NDArray[np.int64],
    less: NDArray[np.int64],
    marked: NDArray[np.bool_],
) -> int:
    """Cost change of exchanging the kinds of slots first < second; likeness and shifting prefixes are not foreseen."""
    change = 0
    slots = len(kind) - 1
    for side in range(2):
        going, coming = (kind[first], kind[second]) if side == 0 else (kind[second], kind[first])
        for at in range(kind_start[coming], kind_start[coming + 1]):
            marked[kind_series[at]] = True
        for at in range(kind_start[going], kind_start[going + 1]):
            s = kind_series[at]
            if marked[s]:
                continue
            near = min(first + span[s], second) - 1
            start, far = max(second, first + span[s]), min(slots, second + span[s] - 1)
            if side == 0:  # from the first slot to the second: fewer near the first, more near the second
                change += less[s, near] - less[s, first - 1]
                if start <= far:
                    change += more[s, far] - more[s, start - 1]
            else:
                change += more[s, near] - more[s, first - 1]
                if start <= far:
                    change += less[s, far] - less[s, start - 1]
        for at in range(kind_start[coming], kind_start[coming + 1]):
            marked[kind_series[at]] = False
    return change
