"""Bounds eased by what no slate can avoid, attribute by attribute, before all of them are tried together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.alone import ease_alone
from reranker.kernels.easing import unavoidable
from reranker.kernels.gate import least_shortfall
from reranker.policy.blocks import NO_CAP
from reranker.quotas.pool import Pool
from reranker.quotas.rows import Rows
from reranker.quotas.series import Series

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Eased:
    """`low` and `high` (series, slots + 1) after easing, `due` by series; `changed`: whether anything had to give."""

    low: NDArray[np.int32]
    high: NDArray[np.int32]
    due: NDArray[np.int32]
    changed: bool


def ease(series: Series, rows: Rows, pool: Pool, together: bool = True) -> Eased:
    """Raise caps and lower floors by what supply, guard and settled slots make unavoidable.

    `together`: and by what floors lack for each other, and for their own caps, when those are kept.
    """
    shortfall, excess = np.zeros((2, series.rows), np.int32)
    most = np.zeros((series.rows, pool.slots + 1), np.int32)
    unavoidable(
        series.rows, series.row, rows.series_start, rows.series_kinds, rows.first_kinds, rows.avail, rows.settled,
        series.span, series.low, series.high, series.relative, together, most, shortfall, excess,
    )  # fmt: skip
    if series.labelled:
        ease_alone(
            series.rows, series.relative, rows.series_start, rows.series_kinds, rows.first_kinds, rows.avail,
            rows.settled, series.low, series.high, series.due, shortfall, excess,
        )  # fmt: skip
    if together and series.crowded and not pool.fixed:
        _ease_crowded(series, rows, pool, most, shortfall)
    if not (shortfall.any() or excess.any()):
        return Eased(series.low, series.high, series.due, False)
    low = np.maximum(series.low - shortfall[series.row][:, None], 0)
    high = np.where(series.high < NO_CAP, series.high + excess[series.row][:, None], series.high)
    due = np.maximum(series.due - shortfall[series.row], 0).astype(np.int32)
    return Eased(low.astype(np.int32), high.astype(np.int32), due, True)


def _ease_crowded(
    series: Series, rows: Rows, pool: Pool, most: NDArray[np.int32], shortfall: NDArray[np.int32]
) -> None:
    """Where the floors of one partition owe more than there are slots, what costs least by weight gives way."""
    prefixes = np.arange(pool.slots + 1)
    for group in series.crowded:
        members = np.flatnonzero(series.group == group)
        lower = series.low[members]
        eased = np.maximum(lower - shortfall[members][:, None], 0)
        if (eased.sum(axis=0) <= prefixes).all():
            continue
        weight = series.low_weight[members]
        by_weight = np.argsort(-weight, kind="stable").astype(np.int32)
        settled = rows.settled_counts(members, pool.keep_top)
        found = np.empty(len(members), np.int32)
        upper = np.ascontiguousarray(most[members])
        least_shortfall(pool.keep_top, settled, lower, upper, shortfall[members], weight, by_weight, found)
        shortfall[members] = found
