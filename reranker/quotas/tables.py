"""A policy's bounds merged over one candidate list: one table an attribute (rule 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.policy.compile import NO_CAP, CompiledPolicy, WindowBound


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The candidates in upstream order, as quotas see them.

    `columns` hold hard labels in upstream order; `passes` bool (N,) is the guard; `release` int32 (N,) the first slot
    (from 1) in which each may stand; `keep_top` slots are settled.
    """

    columns: dict[str, AttributeColumn]
    passes: NDArray[np.bool_]
    release: NDArray[np.int32]
    keep_top: int
    slots: int

    def __len__(self) -> int:
        return len(self.passes)


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Merged bounds on one attribute. Row 0 stands for every candidate without a bounded value and has no bounds.

    `lower`, `upper` int32 (1 + values, slots + 1) over prefixes 0..slots, `upper` NO_CAP where there is none; weights
    float64 by row. `named_upper` holds the caps that name their value; `upper` also those that `windows`, the bounds on
    every value, put on the whole slate.
    """

    values: tuple[str, ...]
    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    lower_weight: NDArray[np.float64]
    upper_weight: NDArray[np.float64]
    named_upper: NDArray[np.int32]
    windows: tuple[WindowBound, ...]


@dataclass(frozen=True, eq=False)
class AttributeTable:
    """The bounds on one attribute and who carries its bounded values.

    `codes` int32 are rows of `bounds`, 0 for unknown and unbounded: one a candidate, or with `code_offsets` (N + 1)
    candidate i's are `codes[code_offsets[i]:code_offsets[i + 1]]`. `column` has every value, bounded or not.
    """

    attribute: str
    bounds: Bounds
    codes: NDArray[np.int32]
    code_offsets: NDArray[np.int32] | None
    column: AttributeColumn
    labelled: NDArray[np.bool_]
    is_partition: bool

    @property
    def values(self) -> tuple[str, ...]:
        """The value of each row; row 0 has none."""
        return self.bounds.values

    @property
    def lower(self) -> NDArray[np.int32]:
        """Least count of each row in the first t slots."""
        return self.bounds.lower

    @property
    def upper(self) -> NDArray[np.int32]:
        """Most of each row in the first t slots."""
        return self.bounds.upper

    @property
    def windows(self) -> tuple[WindowBound, ...]:
        """The bounds on every value."""
        return self.bounds.windows

    @property
    def sliding(self) -> tuple[WindowBound, ...]:
        """The window bounds shorter than the slate."""
        slots = self.lower.shape[1] - 1
        return tuple(window for window in self.windows if 0 < window.window < slots)

    @cached_property
    def kinds(self) -> NDArray[np.int32]:
        """Row of each candidate when the attribute is a partition."""
        if self.code_offsets is None:
            return self.codes
        kinds = np.zeros(len(self.labelled), np.int32)
        kinds[np.diff(self.code_offsets) > 0] = self.codes
        return kinds

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The candidate that each entry of `rows` belongs to."""
        bounded = self.codes > 0
        return np.repeat(np.arange(len(self.labelled)), self._sizes)[bounded]

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """The bounded rows of all candidates, one after the other."""
        return self.codes[self.codes > 0]

    @cached_property
    def offsets(self) -> NDArray[np.int32]:
        """Candidate i carries `rows[offsets[i]:offsets[i + 1]]`: int32 (N + 1,)."""
        offsets = np.zeros(len(self.labelled) + 1, np.int32)
        np.cumsum(np.bincount(self.owners, minlength=len(self.labelled)), out=offsets[1:])
        return offsets

    def rows_of(self, candidate: int) -> NDArray[np.int32]:
        """The bounded rows of one candidate."""
        if self.code_offsets is None:
            code = self.codes[candidate : candidate + 1]
            return code if code[0] else code[:0]
        return self.rows[self.offsets[candidate] : self.offsets[candidate + 1]]

    def members(self, row: int) -> NDArray[np.int64]:
        """Candidates that carry the row's value, by upstream rank from 0."""
        carried: NDArray[np.int64] = self.owners[self.rows == row]
        return carried

    def supply(self, release: NDArray[np.int32]) -> NDArray[np.int32]:
        """How many candidates of each row may stand in the first t slots: int32, the shape of `lower`."""
        slots = self.lower.shape[1]
        table = np.zeros((len(self.values), slots), np.int32)
        bare = np.ones(len(self.labelled), bool)
        bare[self.owners] = False
        rows = np.concatenate([self.rows, np.zeros(int(bare.sum()), np.int32)])
        first = np.concatenate([release[self.owners], release[bare]])
        within = first < slots
        np.add.at(table, (rows[within], first[within]), 1)
        return np.cumsum(table, axis=1, dtype=np.int32)

    @property
    def _sizes(self) -> NDArray[np.int32]:
        if self.code_offsets is None:
            return np.ones(len(self.labelled), np.int32)
        return np.diff(self.code_offsets)


def build_tables(policy: CompiledPolicy, pool: Pool) -> tuple[AttributeTable, ...]:
    """One table for each attribute that a quota names, in the policy's order. O(attributes x N).

    A slate without slots has no prefix that could break anything.
    """
    if pool.slots == 0:
        return ()
    return tuple(_table(policy, pool, attribute) for attribute in policy.quota_attributes)


def _table(policy: CompiledPolicy, pool: Pool, attribute: str) -> AttributeTable:
    column = pool.columns.get(attribute)
    if column is None:
        column = AttributeColumn((), np.zeros(len(pool), np.int32))
    bounds = _policy_bounds(policy, attribute)
    open_each = [each for each in policy.each_bounds if each.attribute == attribute and each.values is None]
    if open_each or bounds.windows:
        merged = _Merge(policy.slots, bounds)
        for each in open_each:
            merged.each(_carried(column, pool.passes), each.within, each.weight)
        for window in bounds.windows:
            merged.window(_more_than(column, window.limit), window)
        bounds = merged.bounds(bounds.windows)
    row_of = {value: row for row, value in enumerate(bounds.values) if row}
    row_of_code = np.array([0, *(row_of.get(value, 0) for value in column.values)], np.int32)
    sizes = None if column.offsets is None else np.diff(column.offsets)
    return AttributeTable(
        attribute=attribute,
        bounds=bounds,
        codes=row_of_code[column.codes],
        code_offsets=column.offsets,
        column=column,
        labelled=column.codes > 0 if sizes is None else sizes > 0,
        is_partition=sizes is None or bool((sizes <= 1).all()),
    )


def _policy_bounds(policy: CompiledPolicy, attribute: str) -> Bounds:
    """What the policy alone says of one attribute; windows and open values wait for the candidates."""
    known: Bounds | None = policy.merged.get(attribute)
    if known is None:
        known = policy.merged[attribute] = _merged(policy, attribute)
    return known


def _merged(policy: CompiledPolicy, attribute: str) -> Bounds:
    merged = _Merge(policy.slots)
    for bound in policy.prefix_bounds:
        if bound.attribute == attribute:
            if bound.lower is not None:
                merged.floor([bound.value], bound.lower, bound.weight)
            if bound.upper is not None:
                merged.cap([bound.value], bound.upper, bound.weight)
    for each in policy.each_bounds:
        if each.attribute == attribute and each.values is not None:
            merged.each(each.values, each.within, each.weight)
    return merged.bounds(tuple(window for window in policy.window_bounds if window.attribute == attribute))


class _Merge:
    """Collects the bounds of one attribute by value."""

    def __init__(self, slots: int, start: Bounds | None = None) -> None:
        self._slots = slots
        self._row_of = {value: row for row, value in enumerate(start.values)} if start else {"": 0}
        self._lower = start.lower if start else np.zeros((1, slots + 1), np.int32)
        self._upper = start.upper if start else np.full((1, slots + 1), NO_CAP, np.int32)
        self._named = start.named_upper if start else self._upper
        self._lower_weight = start.lower_weight if start else np.zeros(1)
        self._upper_weight = start.upper_weight if start else np.zeros(1)

    def floor(self, values: Sequence[str], lower: NDArray[np.int32], weight: float) -> None:
        """A lower bound on each value; the largest weight of the blocks that set it counts."""
        rows = self._rows(values)
        self._lower[rows] = np.maximum(self._lower[rows], lower)
        self._lower_weight[rows] = np.maximum(self._lower_weight[rows], weight)

    def cap(self, values: Sequence[str], upper: NDArray[np.int32], weight: float) -> None:
        """An upper bound that names its values."""
        rows = self._rows(values)
        self._named[rows] = np.minimum(self._named[rows], upper)
        self._upper[rows] = np.minimum(self._upper[rows], upper)
        self._upper_weight[rows] = np.maximum(self._upper_weight[rows], weight)

    def each(self, values: Sequence[str], within: int, weight: float) -> None:
        """Each value at least once in the first `within` slots."""
        lower = np.zeros(self._slots + 1, np.int32)
        lower[within:] = 1
        self.floor(values, lower, weight)

    def window(self, values: Sequence[str], window: WindowBound) -> None:
        """Rows for values that can break a window, and its weight on all rows; over the whole slate it is a cap."""
        self._rows(values)
        if not 0 < window.window < self._slots:
            self._upper[1:] = np.minimum(self._upper[1:], window.limit)
        self._upper_weight[1:] = np.maximum(self._upper_weight[1:], window.weight)

    def bounds(self, windows: tuple[WindowBound, ...]) -> Bounds:
        """All of it."""
        return Bounds(
            values=tuple(self._row_of),
            lower=self._lower,
            upper=self._upper,
            lower_weight=self._lower_weight,
            upper_weight=self._upper_weight,
            named_upper=self._named,
            windows=windows,
        )

    def _rows(self, values: Sequence[str]) -> list[int]:
        """The values' rows, made where there is none yet; from here on the arrays are this object's own."""
        rows = [self._row_of.setdefault(value, len(self._row_of)) for value in values]
        fresh = len(self._row_of) - len(self._lower)
        self._lower = np.pad(self._lower, ((0, fresh), (0, 0)))
        self._upper = np.pad(self._upper, ((0, fresh), (0, 0)), constant_values=NO_CAP)
        self._named = np.pad(self._named, ((0, fresh), (0, 0)), constant_values=NO_CAP)
        self._lower_weight = np.pad(self._lower_weight, (0, fresh))
        self._upper_weight = np.pad(self._upper_weight, (0, fresh))
        return rows


def _carried(column: AttributeColumn, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    """Values that a chosen candidate carries, in dictionary order."""
    owners = chosen if column.offsets is None else np.repeat(chosen, np.diff(column.offsets))
    present = np.bincount(column.codes[owners], minlength=len(column.values) + 1)
    return tuple(value for value, count in zip(column.values, present[1:].tolist(), strict=True) if count)


def _more_than(column: AttributeColumn, limit: int) -> tuple[str, ...]:
    """Values that more than `limit` candidates carry: rarer ones cannot break a window."""
    counts = np.bincount(column.codes, minlength=len(column.values) + 1)[1:]
    return tuple(column.values[i] for i in np.flatnonzero(counts > limit).tolist())


def in_upstream_order(column: AttributeColumn, order: NDArray[np.int32]) -> AttributeColumn:
    """The column with candidate i replaced by candidate order[i]."""
    if column.offsets is None:
        return AttributeColumn(column.values, column.codes[order])
    sizes = np.diff(column.offsets)[order]
    offsets = np.zeros(len(order) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    starts = np.repeat(column.offsets[order] - offsets[:-1], sizes)
    return AttributeColumn(column.values, column.codes[starts + np.arange(offsets[-1])], offsets)


def hard_columns(
    policy: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32]
) -> dict[str, AttributeColumn]:
    """The attributes that the policy names, as hard labels in upstream order."""
    columns = {}
    for name in policy.named_attributes:
        column = candidates.attributes.get(name)
        if column is not None:
            columns[name] = in_upstream_order(column.hard(policy.label_rule(name).threshold), order)
    return columns
