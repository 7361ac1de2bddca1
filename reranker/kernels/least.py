"""The least deficit on one partition, exactly, where bounds fight each other: every cheapest way to relax them.

A peak excess e_v and a peak shortfall s_v turn the bounds of kind v into U_v + e_v and L_v - s_v, so a slate with
these peaks exists exactly when those bounds are feasible. Both are searched depth first, kind by kind: feasibility is
monotone, so a branch is cut as soon as the kinds that are still free could not save it.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from reranker.kernels.jit import boolean, f64, i32, i64, inner, kernel, read_only, scratch

_TOLERANCE = 1e-9


@inner
def _bounds_from(
    slot: int,
    counts: NDArray[np.int32],
    cap: NDArray[np.int32],
    supply: NDArray[np.int32],
    excess: NDArray[np.int32],
    most: NDArray[np.int32],
) -> bool:
    """Write the most of each kind in the first t slots, t >= slot; False when caps or supply rule the state out."""
    kinds, prefixes = cap.shape
    possible = True
    for v in range(kinds):
        least = supply[v, prefixes - 1]
        for t in range(prefixes - 1, slot - 1, -1):
            least = min(least, cap[v, t] + excess[v], supply[v, t])
            most[v, t] = least
        possible = possible and counts[v] <= most[v, slot]
    for t in range(slot + 1, prefixes):
        room = 0
        for v in range(kinds):
            room += most[v, t]
        possible = possible and room >= t
    return possible


@inner
def _floors_fit(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    most: NDArray[np.int32],
    shortfall: NDArray[np.int32],
    free_from: int,
) -> bool:
    """Hall's condition for the lower bounds of kinds below `free_from`; the others ask for nothing."""
    kinds, prefixes = lower.shape
    kinds = min(kinds, free_from)
    for v in range(kinds):
        if lower[v, slot] - shortfall[v] > counts[v]:
            return False
        for t in range(slot + 1, prefixes):
            if lower[v, t] - shortfall[v] > most[v, t]:
                return False
    for a in range(slot + 1, prefixes):
        for b in range(a, prefixes):
            owed = 0
            for v in range(kinds):
                placed = counts[v] if a == slot + 1 else max(counts[v], most[v, a - 1])
                owed += max(0, lower[v, b] - shortfall[v] - placed)
            if owed > b - a + 1:
                return False
    return True


@kernel(
    i64(
        i64,
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(f64, 1),
        read_only(i32, 1),
        i64,
        scratch(i32, 2),
    )
)
def least_excesses(
    slot: int,
    counts: NDArray[np.int32],
    cap: NDArray[np.int32],
    supply: NDArray[np.int32],
    weight: NDArray[np.float64],
    floor: NDArray[np.int32],
    budget: int,
    found: NDArray[np.int32],
) -> int:
    """All excesses of least weight, each at least `floor`, under which the slots can be filled.

    Written to the rows of `found`; returns how many, or -1 when the search needed more than `budget` steps or rows.
    """
    kinds, prefixes = cap.shape
    most = np.empty((kinds, prefixes), np.int32)
    ceiling = np.empty(kinds, np.int32)
    for v in range(kinds):  # beyond this a larger excess changes nothing
        ceiling[v] = floor[v]
        for t in range(slot + 1, prefixes):
            ceiling[v] = max(ceiling[v], supply[v, t] - cap[v, t])
    current = ceiling.copy()
    if not _bounds_from(slot, counts, cap, supply, current, most):
        return 0
    current[0] = floor[0] - 1
    cost = np.zeros(kinds + 1)
    best = np.inf
    rows, depth = 0, 0
    while depth >= 0:
        budget -= 1
        if budget < 0:
            return -1
        current[depth] += 1
        cost[depth + 1] = cost[depth] + weight[depth] * current[depth]
        if current[depth] > ceiling[depth] or cost[depth + 1] > best + _TOLERANCE:
            current[depth] = ceiling[depth]
            depth -= 1
            continue
        if not _bounds_from(slot, counts, cap, supply, current, most):
            continue
        if depth < kinds - 1:
            depth += 1
            current[depth] = floor[depth] - 1
            continue
        if cost[kinds] < best - _TOLERANCE:
            best = float(cost[kinds])
            rows = 0
        if rows == len(found):
            return -1
        found[rows] = current
        rows += 1
    return rows


@kernel(
    i64(
        i64,
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 1),
        read_only(f64, 1),
        read_only(i32, 1),
        f64,
        i64,
        scratch(f64, 1),
        scratch(i32, 2),
    )
)
def least_shortfalls(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    cap: NDArray[np.int32],
    supply: NDArray[np.int32],
    excess: NDArray[np.int32],
    weight: NDArray[np.float64],
    floor: NDArray[np.int32],
    limit: float,
    budget: int,
    cost_of: NDArray[np.float64],
    found: NDArray[np.int32],
) -> int:
    """All shortfalls of least weight, each at least `floor`, that make the lower bounds feasible under `excess`.

    Only those that weigh no more than `limit`; the weight is written to `cost_of[0]`. Returns how many rows of
    `found` were written, 0 when there is none within the limit, or -1 beyond the budget.
    """
    kinds, prefixes = lower.shape
    most = np.empty((kinds, prefixes), np.int32)
    if not _bounds_from(slot, counts, cap, supply, excess, most):
        return 0
    current = floor.copy()
    current[0] -= 1
    cost = np.zeros(kinds + 1)
    best = limit
    rows, depth = 0, 0
    while depth >= 0:
        budget -= 1
        if budget < 0:
            return -1
        current[depth] += 1
        cost[depth + 1] = cost[depth] + weight[depth] * current[depth]
        if current[depth] > max(floor[depth], lower[depth, prefixes - 1]) or cost[depth + 1] > best + _TOLERANCE:
            depth -= 1
            continue
        if not _floors_fit(slot, counts, lower, most, current, depth + 1):
            continue
        if depth < kinds - 1:
            depth += 1
            current[depth] = floor[depth] - 1
            continue
        if cost[kinds] < best - _TOLERANCE:
            best = float(cost[kinds])
            rows = 0
        if rows == len(found):
            return -1
        found[rows] = current
        rows += 1
    cost_of[0] = best
    return rows


@kernel(
    i64(
        i64,
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(boolean, 1),
        scratch(boolean, 1),
    )
)
def open_kinds_least(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    cap: NDArray[np.int32],
    supply: NDArray[np.int32],
    excesses: NDArray[np.int32],
    shortfalls: NDArray[np.int32],
    alive: NDArray[np.bool_],
    is_open: NDArray[np.bool_],
) -> int:
    """Open the kinds after which some way that is still `alive` to relax the bounds is feasible; returns how many.

    Way w is `excesses[w]`, `shortfalls[w]`.
    """
    kinds, prefixes = lower.shape
    most = np.empty((kinds, prefixes), np.int32)
    after = counts.copy()
    opened = 0
    for v in range(kinds):
        is_open[v] = False
        if counts[v] >= supply[v, slot + 1]:
            continue
        after[v] += 1
        for w in range(len(excesses)):
            if (
                alive[w]
                and _bounds_from(slot + 1, after, cap, supply, excesses[w], most)
                and _floors_fit(slot + 1, after, lower, most, shortfalls[w], kinds)
            ):
                is_open[v] = True
                opened += 1
                break
        after[v] -= 1
    return opened


@kernel(
    types.void(
        i64,
        read_only(i32, 1),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        read_only(i32, 2),
        scratch(boolean, 1),
    )
)
def keep_feasible(
    slot: int,
    counts: NDArray[np.int32],
    lower: NDArray[np.int32],
    cap: NDArray[np.int32],
    supply: NDArray[np.int32],
    excesses: NDArray[np.int32],
    shortfalls: NDArray[np.int32],
    alive: NDArray[np.bool_],
) -> None:
    """Clear `alive` for the ways that are not feasible after `slot` picks with `counts`."""
    kinds, prefixes = lower.shape
    most = np.empty((kinds, prefixes), np.int32)
    for w in range(len(excesses)):
        alive[w] = (
            alive[w]
            and _bounds_from(slot, counts, cap, supply, excesses[w], most)
            and _floors_fit(slot, counts, lower, most, shortfalls[w], kinds)
        )
