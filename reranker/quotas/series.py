"""The bounds of one request side by side, in the layout of `reranker.kernels.series`; candidates are not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from reranker.kept import Kept
from reranker.policy.blocks import NO_CAP
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable, Bounds

Ints = NDArray[np.int32]

_CAP_COST = 64  # how much more a unit above a cap costs the search than one below a floor of equal weight
_FALL_COST = 1 << 20  # and an item that falls too far: placement comes before quotas (rule 2)
_KEPT_BYTES = 8 * 2**20  # of series that policies and slate sizes make; those of a pool's own values come and go


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series for each row's prefix bound, then one for each row that a sliding window bounds.

    Rows are numbered over all tables, their row 0 left out: those of table i from `base[i]`. Then come rows that count
    labelled items, `labelled` by table, for tables whose prefixes count no others, from `first_falling` on one for
    each of the `falling` candidates, who have to stand by a certain slot, and last one for each of the `apart` caps,
    (table, row), of such tables that fixed items use up: there they count, as they do for no floor. `row` is the row of
    each series, `row_series[row_start[r]:row_start[r + 1]]` are a row's. `group` is the table of a prefix series or of
    one that counts labelled items, -1 for what does not exclude each other by slot; `crowded` lists the groups whose
    floors may owe more than there are slots.
    """

    base: Ints
    labelled: dict[int, int]
    falling: NDArray[np.intp]
    first_falling: int
    apart: tuple[tuple[int, int], ...]
    row: Ints
    row_start: Ints
    row_series: Ints
    span: Ints
    low: Ints
    high: Ints
    low_weight: NDArray[np.float64]
    high_weight: NDArray[np.float64]
    low_cost: NDArray[np.int64]
    high_cost: NDArray[np.int64]
    group: Ints
    partition: NDArray[np.bool_]
    relative: Ints
    due: Ints
    crowded: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.row_start) - 1

    @property
    def first_labelled(self) -> int:
        """The first row that is no table's."""
        return int(self.base[-1])

    def peaks(self, by_series: Ints) -> Ints:
        """The largest of each row's series, for each of its series."""
        peak = np.zeros(self.rows, np.int32)
        np.maximum.at(peak, self.row, by_series)
        largest: Ints = peak[self.row]
        return largest


def series_of(tables: Sequence[AttributeTable], pool: Pool, max_fall: int) -> Series:
    """The series of these tables; who falls further than `max_fall` slots breaks one (0: nobody does)."""
    parts = tuple((table.bounds, table.is_partition, table.relative) for table in tables)
    falling: tuple[int, ...] = ()
    if max_fall:
        settled = set(pool.forced.tolist())
        falling = tuple(i for i in range(pool.slots - max_fall) if i not in settled)
    key = parts, pool.slots, max_fall, falling, _apart(tables, pool)
    series = _KNOWN.get(key, lambda: _series(*key), _bytes_of)
    return replace(series, high=_shifted_by_fixed(series, tables, pool)) if pool.fixed else series


def _apart(tables: Sequence[AttributeTable], pool: Pool) -> tuple[tuple[int, int], ...]:
    """Caps over prefixes of labelled items that fixed items count for: how far they reach depends on the slate."""
    found: set[tuple[int, int]] = set()
    for index, table in enumerate(tables):
        if table.relative and table.bounds.has_caps:
            carried = {row for candidate in pool.fixed.values() for row in table.rows_of(candidate).tolist()}
            found |= {(index, row) for row in carried if (table.upper[row] < NO_CAP).any()}
    return tuple(sorted(found))


_Parts = tuple[tuple[Bounds, bool, bool], ...]
_Key = tuple[_Parts, int, int, tuple[int, ...], tuple[tuple[int, int], ...]]
_KNOWN: Kept[_Key, Series] = Kept(_KEPT_BYTES)


def _bytes_of(series: Series) -> int:
    """Those of its arrays twice: the tables' bounds, which its key keeps, are as large."""
    arrays = [getattr(series, each.name) for each in fields(series)]
    return 4_000 + 2 * sum([own.nbytes for own in arrays if isinstance(own, np.ndarray)])


def _series(
    parts: _Parts,
    slots: int,
    max_fall: int,
    falling: tuple[int, ...],
    apart: tuple[tuple[int, int], ...],
) -> Series:
    base = np.cumsum([0, *(len(bounds.values) - 1 for bounds, _, _ in parts)]).astype(np.int32)
    relative_tables = [index for index, (_, _, relative) in enumerate(parts) if relative]
    labelled = {index: int(base[-1]) + at for at, index in enumerate(relative_tables)}
    first_falling = int(base[-1]) + len(labelled)
    first_apart = first_falling + len(falling)
    extra = len(labelled) + len(falling) + len(apart)
    low, high = np.zeros((extra, slots + 1), np.int32), np.full((extra, slots + 1), NO_CAP, np.int32)
    for at, candidate in enumerate(falling, start=len(labelled)):
        low[at, candidate + 1 + max_fall :] = 1
    low = np.concatenate([*(bounds.lower[1:] for bounds, _, _ in parts), low])
    high = np.concatenate([*(bounds.upper[1:] for bounds, _, _ in parts), high])
    low_weight = np.concatenate([*(bounds.lower_weight[1:] for bounds, _, _ in parts), np.ones(extra)])
    high_weight = np.concatenate([*(bounds.upper_weight[1:] for bounds, _, _ in parts), np.ones(extra)])
    for at, (index, cap) in enumerate(apart, start=first_apart):
        of = base[index] + cap - 1
        high[at], high[of], high_weight[at] = high[of], NO_CAP, high_weight[of]
    low_cost, high_cost = _costs(low_weight), _CAP_COST * _costs(high_weight)
    low_cost[first_falling:first_apart] = _FALL_COST
    sizes = np.diff(base)
    group = np.concatenate([np.repeat(np.arange(len(parts)), sizes), np.full(extra, -1)]).astype(np.int32)
    group[first_falling:first_apart] = len(parts)
    relative, due = np.full(len(low), -1, np.int32), np.zeros(len(low), np.int32)
    for index, counting in labelled.items():
        mine = slice(base[index], base[index + 1])
        relative[mine] = relative[counting] = counting
        due[mine] = parts[index][0].due[1:]
        group[mine], group[counting] = -1, index
    for at, (index, _) in enumerate(apart, start=first_apart):
        relative[at] = labelled[index]
    partition = np.array([*(is_partition for _, is_partition, _ in parts), True])
    windows, highs, spans = _windows(parts, base, slots)
    row = np.concatenate([np.arange(len(low)), windows]).astype(np.int32)
    by_row = np.argsort(row, kind="stable")
    more = len(windows)
    series = Series(
        base=base,
        labelled=labelled,
        falling=np.array(falling, np.intp),
        first_falling=first_falling,
        apart=apart,
        row=row,
        row_start=np.searchsorted(row[by_row], np.arange(len(low) + 1)).astype(np.int32),
        row_series=by_row.astype(np.int32),
        span=np.concatenate([np.full(len(low), slots), spans]).astype(np.int32),
        low=np.concatenate([low, np.zeros((more, slots + 1), np.int32)]),
        high=np.concatenate([high, highs]),
        low_weight=low_weight,
        high_weight=high_weight,
        low_cost=low_cost[row],
        high_cost=high_cost[row],
        group=np.concatenate([group, np.full(more, -1, np.int32)]),
        partition=partition,
        relative=np.concatenate([relative, np.full(more, -1, np.int32)]),
        due=np.concatenate([due, np.zeros(more, np.int32)]),
        crowded=tuple(g for g in np.flatnonzero(partition).tolist() if _crowds(low[group[: len(low)] == g])),
    )
    return _read_only(series)


def _windows(parts: _Parts, base: Ints, slots: int) -> tuple[Ints, Ints, Ints]:
    """Row, caps by slot and span of every series that a sliding window adds, or the edge of an earlier page."""
    rows: list[int] = []
    highs: list[Ints] = []
    spans: list[int] = []
    for index, (bounds, _, _) in enumerate(parts):
        bound = [row for row in range(1, len(bounds.values)) if row != bounds.free_row]
        for window in bounds.windows:
            if 0 < window.window < slots:
                rows += [int(base[index]) + row - 1 for row in bound]
                highs += [np.full(slots + 1, window.limit, np.int32)] * len(bound)
                spans += [window.window] * len(bound)
        if bounds.edge is not None:
            capped = [row for row in bound if (bounds.edge[row] < NO_CAP).any()]
            rows += [int(base[index]) + row - 1 for row in capped]
            highs += [bounds.edge[row] for row in capped]
            spans += [slots] * len(capped)
    stacked = np.stack(highs) if highs else np.zeros((0, slots + 1), np.int32)
    return np.array(rows, np.int32), stacked, np.array(spans, np.int32)


def _crowds(low: Ints) -> bool:
    return bool((low.sum(axis=0) > np.arange(low.shape[1])).any())


def _shifted_by_fixed(series: Series, tables: Sequence[AttributeTable], pool: Pool) -> Ints:
    """Fixed items use up caps and windows where they stand, and count for nothing else."""
    high = series.high.copy()
    for slot, candidate in pool.fixed.items():
        for table, base in zip(tables, series.base.tolist(), strict=False):
            for row in (table.rows_of(candidate) + (base - 1)).tolist():
                for s in np.flatnonzero((series.row == row) & (series.relative < 0)).tolist():
                    reach = high[s, slot + 1 : slot + 1 + int(series.span[s])]
                    reach[reach < NO_CAP] -= 1
    return high


def _read_only(series: Series) -> Series:
    """Requests share it."""
    for field in fields(series):
        value = getattr(series, field.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return series


def _costs(weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weights as small integers, 1 to 16, for the search alone: deficits are compared by the weights themselves."""
    return np.maximum(1, np.rint(16 * weight / max(float(weight.max(initial=0.0)), 1e-300))).astype(np.int64)
