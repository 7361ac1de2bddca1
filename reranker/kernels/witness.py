"""A witness: one complete slate that keeps every bound, carried along while a strategy picks.

A pick is accepted when a witness with it in its slot is found: as it is, by an exchange, or by a tabu search over
exchanges and replacements. What is accepted can always be completed; what is refused may still have been possible, as
deciding it is NP-hard (Celis, Straszak, Vishnoi 2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, i64, inner, kernel, linked, scratch
from reranker.kernels.openings import open_kinds_of
from reranker.kernels.overwrite import overwrite
from reranker.kernels.series import (
    ALIKE_COST,
    PACKED,
    Bounds,
    State,
    alike_to,
    count_all,
    exchanging,
    fits,
    has,
    mark,
    put,
    replacing,
    taking_away,
    unpack,
)

_NO_MOVE = 1 << 60


@inner
def _draw(numbers: NDArray[np.int64]) -> int:
    """A random number of 31 bits; a linear congruence is enough to break ties, and the same on every machine."""
    numbers[1] = (int(numbers[1]) * 1103515245 + 12345) & 0x7FFFFFFFFFFF
    return int(numbers[1] >> 16)


@linked
def _failing(first: int, bounds: Bounds, state: State) -> tuple[int, int]:
    """A series that costs something and a slot where it does, drawn at random; (-1, slot) for an item too alike."""
    chosen, slot, seen = -1, 0, 0
    for s in range(len(state.cost)):
        if state.cost[s] > 0:
            seen += 1
            if _draw(state.numbers) % seen == 0:
                chosen = s
    if state.numbers[3] > 0:
        seen += 1
        if _draw(state.numbers) % seen == 0:
            chosen = -1
    seen = 0
    for e in range(1, len(state.kind)):
        if chosen >= 0:
            fails = not state.low[chosen, e] <= state.counts[chosen, e] <= state.high[chosen, e]
        else:
            fails = False
            if e > first and not bounds.settled[e]:
                reach = bounds.alike_span
                for other in range(max(1, e - reach + 1), min(len(state.kind), e + reach)):
                    fails = fails or (other != e and bounds.alike[state.kind[e], state.kind[other]])
        if fails:
            seen += 1
            if _draw(state.numbers) % seen == 0:
                slot = e
    return chosen, slot


@linked
def _search(first: int, steps: int, patience: int, bounds: Bounds, state: State) -> int:
    """Tabu search over slots > `first`; the least cost seen stays.

    It ends when nothing costs, after `steps`, or after `patience` steps without a lesser cost than before.
    """
    kind_start, kind_series, span = bounds.kind_start, bounds.kind_series, bounds.span
    series_start, series_kinds = bounds.series_start, bounds.series_kinds
    avail, settled, alike, alike_span = bounds.avail, bounds.settled, bounds.alike, bounds.alike_span
    kind, used, more, less = state.kind, state.used, state.more, state.less
    marked, barred, numbers = state.marked, state.barred, state.numbers
    slots, kinds = len(kind) - 1, len(kind_start) - 1
    least = numbers[0]
    best = kind.copy()
    waited = 0
    for _ in range(steps):
        if numbers[0] == 0 or waited > patience:
            break
        waited += 1
        numbers[2] += 1
        step = numbers[2]
        s, e = _failing(first, bounds, state)
        lacking = s >= 0 and state.counts[s, e] < state.low[s, e]
        start = e if s < 0 else max(first + 1, e - span[s] + 1)
        change, ties, at_slot, with_kind, with_slot = _NO_MOVE, 0, 0, -1, 0
        for p in range(start, e + 1):
            if settled[p] or (s >= 0 and has(kind[p], s, kind_start, kind_series) == lacking):
                continue
            mark(kind[p], True, kind_start, kind_series, marked)
            away = taking_away(p, kind_start, kind_series, span, kind, less)
            if alike_span > 0:
                away -= ALIKE_COST * alike_to(p, kind[p], kind, alike, alike_span)
            many = series_start[s + 1] - series_start[s] if lacking else kinds
            for index in range(many):
                q = series_kinds[series_start[s] + index] if lacking else index
                if used[q, slots] >= avail[q, slots] or not fits(q, p, slots, avail, used):
                    continue
                if not lacking and s >= 0 and has(q, s, kind_start, kind_series):
                    continue
                found = replacing(p, q, away, kind_start, kind_series, span, more, less, marked)
                if alike_span > 0:
                    found += ALIKE_COST * alike_to(p, q, kind, alike, alike_span)
                if found > change or (barred[p, q] > step and numbers[0] + found >= least):
                    continue
                ties = ties + 1 if found == change else 1
                if ties == 1 or _draw(numbers) % ties == 0:
                    change, at_slot, with_kind, with_slot = found, p, q, 0
            mark(kind[p], False, kind_start, kind_series, marked)
            for other in range(first + 1, slots + 1):
                if s < 0 or settled[other] or start <= other <= e:
                    continue
                if has(kind[other], s, kind_start, kind_series) != lacking:
                    continue
                a, b = (p, other) if p < other else (other, p)
                if not fits(kind[b], a, b - 1, avail, used):
                    continue
                found = exchanging(a, b, kind_start, kind_series, span, kind, more, less, marked)
                is_barred = barred[a, kind[b]] > step or barred[b, kind[a]] > step
                if found > change or (is_barred and numbers[0] + found >= least):
                    continue
                ties = ties + 1 if found == change else 1
                if ties == 1 or _draw(numbers) % ties == 0:
                    change, at_slot, with_kind, with_slot = found, p, -1, other
        if at_slot == 0:
            continue
        tenure = step + 4 + _draw(numbers) % 8
        old = kind[at_slot]
        barred[at_slot, old] = tenure
        if with_slot > 0:
            new = kind[with_slot]
            barred[with_slot, new] = tenure
            put(at_slot, new, bounds, state)
            put(with_slot, old, bounds, state)
        else:
            put(at_slot, with_kind, bounds, state)
        if numbers[0] < least:
            least = numbers[0]
            overwrite(best, kind)
            waited = 0
    if numbers[0] > least:
        _restore(best, bounds, state)
    return int(least)


@inner
def _restore(kind: NDArray[np.int32], bounds: Bounds, state: State) -> None:
    for p in range(1, len(kind)):
        put(p, kind[p], bounds, state)


@kernel(i64(i64, i64, i64, *PACKED))
def find_witness(
    first: int,
    steps: int,
    patience: int,
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> int:
    """Start from `kind`, count everything, and search slots > `first`; the cost that is left (0: a witness)."""
    bounds, state = unpack(sizes, ints, longs, flags, alike)
    count_all(bounds, state)
    return _search(first, steps, patience, bounds, state)


@linked
def _take_in(slot: int, q: int, steps: int, patience: int, bounds: Bounds, state: State) -> bool:
    """Put kind q into `slot` and mend the slots behind it; False, and nothing changed, where that fails."""
    kind_start, kind_series, span = bounds.kind_start, bounds.kind_series, bounds.span
    kind, used, more, less, marked = state.kind, state.used, state.more, state.less, state.marked
    avail, settled = bounds.avail, bounds.settled
    slots = len(kind) - 1
    nearest, partner = _NO_MOVE, 0
    for other in range(slot + 1, slots + 1):
        if kind[other] == q and not settled[other] and nearest > 0 and fits(q, slot, other - 1, avail, used):
            change = exchanging(slot, other, kind_start, kind_series, span, kind, more, less, marked)
            if change < nearest:
                nearest, partner = change, other
    replaced = _NO_MOVE
    if nearest > 0 and fits(q, slot, slots, avail, used):
        mark(kind[slot], True, kind_start, kind_series, marked)
        away = taking_away(slot, kind_start, kind_series, span, kind, less)
        replaced = replacing(slot, q, away, kind_start, kind_series, span, more, less, marked)
        mark(kind[slot], False, kind_start, kind_series, marked)
    if min(nearest, replaced) == _NO_MOVE:
        return False
    before = kind.copy()
    old = kind[slot]
    put(slot, q, bounds, state)
    if nearest <= replaced:
        put(partner, old, bounds, state)
    if state.numbers[0] == 0 or _search(slot, steps, patience, bounds, state) == 0:
        return True
    _restore(before, bounds, state)
    return False


@kernel(i64(i64, i64, i64, i64, scratch(boolean, 1), *PACKED))
def accept_pick(
    slot: int,
    q: int,
    steps: int,
    patience: int,
    is_open: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    ints: NDArray[np.int32],
    longs: NDArray[np.int64],
    flags: NDArray[np.bool_],
    alike: NDArray[np.bool_],
) -> int:
    """1 when a witness with kind q in `slot` is found: it is the witness then, and kinds are opened for the next slot.

    0 leaves everything as it was.
    """
    bounds, state = unpack(sizes, ints, longs, flags, alike)
    if state.kind[slot] != q and not _take_in(slot, q, steps, patience, bounds, state):
        return 0
    if slot < len(state.kind) - 1:
        open_kinds_of(slot + 1, is_open, bounds, state)
    return 1
