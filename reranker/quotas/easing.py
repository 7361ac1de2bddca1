"""Bounds eased by what no slate can avoid, attribute by attribute, before all of them are tried together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.easing import unavoidable
from reranker.kernels.gate import least_shortfall
from reranker.policy.blocks import NO_CAP
from reranker.quotas.pool import Pool
from reranker.quotas.rows import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Eased:
    """`low` and `high` (series, slots + 1) after easing, `due` by series; `changed`: whether anything had to give."""

    low: NDArray[np.int32]
    high: NDArray[np.int32]
    due: NDArray[np.int32]
    changed: bool


def ease(rows: Rows, pool: Pool) -> Eased:
    """Raise caps and lower floors by what supply, guard, settled slots and crowding make unavoidable."""
    shortfall, excess = np.zeros(rows.count, np.int32), np.zeros(rows.count, np.int32)
    most = np.zeros((rows.count, pool.slots + 1), np.int32)
    settled_kind = np.where(rows.settled, rows.first_kinds, -1).astype(np.int32)
    unavoidable(
        rows.count, rows.row, rows.series_start, rows.series_kinds, settled_kind, rows.avail, rows.settled, rows.span,
        rows.low, rows.high, rows.relative, most, shortfall, excess,
    )  # fmt: skip
    if not pool.fixed:
        _ease_crowded(rows, pool, most, shortfall)
    changed = bool(shortfall.any() or excess.any())
    due = rows.due.copy()
    if not changed:
        return Eased(rows.low, rows.high, due, False)
    low = np.maximum(rows.low - shortfall[rows.row][:, None], 0)
    high = np.where(rows.high < NO_CAP, rows.high + excess[rows.row][:, None], rows.high)
    return Eased(low.astype(np.int32), high.astype(np.int32), due, True)


def _ease_crowded(rows: Rows, pool: Pool, most: NDArray[np.int32], shortfall: NDArray[np.int32]) -> None:
    """Where the floors of one partition owe more than there are slots, what costs least by weight gives way."""
    prefixes = np.arange(pool.slots + 1)
    for group in np.flatnonzero(rows.partition).tolist():
        members = np.flatnonzero(rows.group == group)
        lower = rows.low[members]
        eased = np.maximum(lower - shortfall[members][:, None], 0)
        if (eased.sum(axis=0) <= prefixes).all():
            continue
        weight = rows.low_weight[members]
        by_weight = np.argsort(-weight, kind="stable").astype(np.int32)
        settled = rows.settled_counts(members, pool.keep_top)
        found = np.empty(len(members), np.int32)
        upper = np.ascontiguousarray(most[members])
        least_shortfall(pool.keep_top, settled, lower, upper, shortfall[members], weight, by_weight, found)
        shortfall[members] = found
