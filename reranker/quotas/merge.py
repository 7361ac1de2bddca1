"""The blocks that apply to one request, merged over its candidates: one table an attribute or intersection (rule 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.policy.blocks import NO_CAP, Block, Condition, WindowBound
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.earlier import continued
from reranker.quotas.pool import UNKNOWN, Pool, carries, grouped, is_labelled
from reranker.quotas.tables import AttributeTable, Bounds

IN = "in it"  # the one value of an intersection


def build_tables(policy: CompiledPolicy, pool: Pool, blocks: Sequence[Block]) -> tuple[AttributeTable, ...]:
    """One table for each attribute or intersection that the blocks bound, in the policy's order. O(subjects x N).

    A slate without slots has no prefix that could break anything.
    """
    if not blocks or pool.slots == 0:
        return ()
    by_subject: dict[str, list[Block]] = {}
    for block in blocks:
        by_subject.setdefault(block.attribute, []).append(block)
    return tuple(_table(policy, pool, subject, chosen) for subject, chosen in by_subject.items())


def _table(policy: CompiledPolicy, pool: Pool, subject: str, blocks: list[Block]) -> AttributeTable:
    where = policy.intersections.get(subject)
    if where is not None:
        return _intersection_table(policy, pool, subject, where, blocks)
    raw = pool.columns.get(subject)
    if raw is None:
        raw = AttributeColumn((), np.zeros(len(pool), np.int32))
    unknown = policy.label_rule(subject).unknown
    column = grouped(raw) if unknown == "group" else raw
    bounds = _bounds(policy, pool, subject, blocks, column, raw)
    past = None
    if pool.earlier is not None:
        past = pool.earlier.past(subject, bounds, unknown == "exclude", raw, pool.slots)
        bounds = continued(bounds, past, unknown == "exclude", raw)
    row_of = bounds.row_of
    row_of_code = np.array([0, *[row_of.get(value, 0) for value in column.values]], np.int32)
    sizes = None if column.offsets is None else np.diff(column.offsets)
    return AttributeTable(
        attribute=subject,
        bounds=bounds,
        codes=row_of_code.take(column.codes),
        code_offsets=column.offsets,
        column=raw,
        known=None,
        is_partition=sizes is None or bool((sizes <= 1).all()),
        relative=unknown == "exclude",
        is_intersection=False,
        past=past,
    )


def _intersection_table(
    policy: CompiledPolicy, pool: Pool, subject: str, where: Sequence[Condition], blocks: list[Block]
) -> AttributeTable:
    inside, labelled = np.ones(len(pool), bool), np.ones(len(pool), bool)
    for attribute, accepted in where:
        column = pool.columns.get(attribute)
        if column is not None and policy.label_rule(attribute).unknown == "group":
            inside &= carries(grouped(column), accepted, len(pool))
        else:
            inside &= carries(column, accepted, len(pool))
        labelled &= is_labelled(column) if column is not None else False
    own = AttributeColumn((IN,), inside.astype(np.int32))
    relative = any(policy.label_rule(attribute).unknown == "exclude" for attribute, _ in where)
    bounds, past = _policy_bounds(policy, subject, blocks), None
    if pool.earlier is not None:
        past = pool.earlier.past(subject, bounds, relative, own, pool.slots)
        bounds = continued(bounds, past, relative, own)
    return AttributeTable(
        attribute=subject,
        bounds=bounds,
        codes=own.codes,
        code_offsets=None,
        column=own,
        known=labelled,
        is_partition=True,
        relative=relative,
        is_intersection=True,
        past=past,
    )


def _bounds(
    policy: CompiledPolicy, pool: Pool, subject: str, blocks: list[Block], column: AttributeColumn, raw: AttributeColumn
) -> Bounds:
    """What the blocks say of one attribute on this list; windows and open values follow from the candidates."""
    bounds = _policy_bounds(policy, subject, blocks)
    open_each = [block.each for block in blocks if block.each is not None and block.each.values is None]
    if not open_each and not bounds.windows:
        return bounds
    merged = _Merge(policy.slots, bounds)
    for each in open_each:
        merged.each(_carried(column, pool.passes), each.within, each.weight)
    free = UNKNOWN if policy.label_rule(subject).unknown == "group" else ""
    used = None if pool.earlier is None else pool.earlier.used(subject, raw)
    for window in bounds.windows:
        merged.window([value for value in _more_than(raw, window.limit, used) if value != free], window, free)
    return merged.bounds(bounds.windows, free)


def _policy_bounds(policy: CompiledPolicy, subject: str, blocks: list[Block]) -> Bounds:
    """What the blocks alone say of one subject; kept with the policy where none was made for this request."""
    if not all(id(block) in policy.own_blocks for block in blocks):
        return _merged(policy.slots, blocks)
    key: tuple[str | int, ...] = (subject, *map(id, blocks))
    known: Bounds | None = policy.merged.get(key)
    if known is None:
        known = policy.merged[key] = _merged(policy.slots, blocks)
    return known


def _merged(slots: int, blocks: list[Block]) -> Bounds:
    merged = _Merge(slots)
    merged.name([bound.value or IN for block in blocks for bound in block.prefix_bounds])
    for bound in (bound for block in blocks for bound in block.prefix_bounds):
        value = bound.value or IN
        if bound.lower is not None:
            merged.floor([value], bound.lower, bound.weight, bound.due)
        if bound.upper is not None:
            merged.cap([value], bound.upper, bound.weight)
    for each in (block.each for block in blocks):
        if each is not None and each.values is not None:
            merged.each(each.values, each.within, each.weight)
    return merged.bounds(tuple(block.window for block in blocks if block.window is not None))


class _Merge:
    """Collects the bounds of one attribute by value."""

    def __init__(self, slots: int, start: Bounds | None = None) -> None:
        self._slots, self._owned = slots, False
        self._row_of = {value: row for row, value in enumerate(start.values)} if start else {"": 0}
        self._lower = start.lower if start else np.zeros((1, slots + 1), np.int32)
        self._upper = start.upper if start else np.full((1, slots + 1), NO_CAP, np.int32)
        self._named = start.named_upper if start else self._upper
        self._lower_weight = start.lower_weight if start else np.zeros(1)
        self._upper_weight = start.upper_weight if start else np.zeros(1)
        self._due = start.due if start else np.zeros(1, np.int32)

    def name(self, values: Sequence[str]) -> None:
        """Make rows for all these values at once: one by one, each would copy all rows before it."""
        self._rows(values)

    def floor(self, values: Sequence[str], lower: NDArray[np.int32], weight: float, due: int) -> None:
        """A lower bound on each value; the largest weight of the blocks that set it counts."""
        rows = self._rows(values)
        self._lower[rows] = np.maximum(self._lower[rows], lower)
        self._lower_weight[rows] = np.maximum(self._lower_weight[rows], weight)
        self._due[rows] = np.maximum(self._due[rows], due)

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
        self.floor(values, lower, weight, 1)

    def window(self, values: Sequence[str], window: WindowBound, free: str) -> None:
        """Rows for values that can break a window, and its weight on all rows but that of the value `free`.

        Over the whole slate it is a cap.
        """
        self._rows(values)
        rows = np.array([row for value, row in self._row_of.items() if row and value != free], np.intp)
        if not 0 < window.window < self._slots:
            self._upper[rows] = np.minimum(self._upper[rows], window.limit)
        self._upper_weight[rows] = np.maximum(self._upper_weight[rows], window.weight)

    def bounds(self, windows: tuple[WindowBound, ...], free: str = "") -> Bounds:
        """All of it; `free` is the value that no window bounds."""
        return Bounds(
            values=tuple(self._row_of),
            lower=self._lower,
            upper=self._upper,
            lower_weight=self._lower_weight,
            upper_weight=self._upper_weight,
            named_upper=self._named,
            windows=windows,
            free_row=self._row_of.get(free, 0) if free else 0,
            due=self._due,
        )

    def _rows(self, values: Sequence[str]) -> list[int]:
        """The values' rows, made where there is none yet; from here on the arrays are this object's own."""
        rows = [self._row_of.setdefault(value, len(self._row_of)) for value in values]
        fresh = len(self._row_of) - len(self._lower)
        if fresh or not self._owned:
            self._owned = True
            self._lower = _grown(self._lower, fresh, 0)
            self._upper, self._named = _grown(self._upper, fresh, NO_CAP), _grown(self._named, fresh, NO_CAP)
            self._lower_weight = _grown(self._lower_weight, fresh, 0)
            self._upper_weight = _grown(self._upper_weight, fresh, 0)
            self._due = _grown(self._due, fresh, 0)
        return rows


def _grown(array: NDArray[Any], fresh: int, fill: int) -> NDArray[Any]:
    """A copy with so many rows more."""
    grown = np.full((len(array) + fresh, *array.shape[1:]), fill, array.dtype)
    grown[: len(array)] = array
    return grown


def _carried(column: AttributeColumn, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    """Values that a chosen candidate carries, as they first occur."""
    owners = chosen if column.offsets is None else np.repeat(chosen, np.diff(column.offsets))
    present = np.bincount(column.codes[owners], minlength=len(column.values) + 1)[1:]
    return _as_they_occur(column, present > 0)


def _more_than(column: AttributeColumn, limit: int, used: NDArray[np.int64] | None) -> tuple[str, ...]:
    """Values that more than `limit` candidates carry, as they first occur: rarer ones cannot break a window.

    `used` by code counts along what was shown before.
    """
    counts = np.bincount(column.codes, minlength=len(column.values) + 1)[1:]
    together = counts if used is None else counts + used[1:]
    return _as_they_occur(column, (together > limit) & (counts > 0))


def _as_they_occur(column: AttributeColumn, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    """The chosen values by their first item upstream, whatever their names and the order in which they came in."""
    count = len(column.codes)
    first = np.full(len(column.values) + 1, count)
    first[column.codes[::-1]] = np.arange(count - 1, -1, -1)
    picked = np.flatnonzero(chosen)
    return tuple(column.values[i] for i in picked[np.argsort(first[picked + 1], kind="stable")].tolist())
