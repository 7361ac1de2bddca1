"""The candidates of one request as quotas see them: hard labels, guard and settled slots, in upstream order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.earlier import Earlier
from reranker.quotas.placement import first_slots
from reranker.quotas.same import ALL, MINUS_ONES, ONES


@dataclass(slots=True, eq=False)
class Pool:
    """The candidates in upstream order.

    `columns` hold hard labels; `passes` bool (N,) is the guard; `release` int32 (N,) the first slot (from 1) in which
    each may stand; `forced` int32 (slots,) the candidate that a slot is settled for, -1 when free: the first `keep_top`
    keep their slots, except where one of `fixed`, from slot (from 0) to candidate, stands. `earlier` is what was shown
    before this slate, None when nothing was.
    """

    columns: dict[str, AttributeColumn]
    passes: NDArray[np.bool_]
    release: NDArray[np.int32]
    keep_top: int
    slots: int
    forced: NDArray[np.int32]
    fixed: Mapping[int, int]
    earlier: Earlier | None = None
    kept: frozenset[int] = frozenset()
    """The slots of `fixed` that the policy settled, not the request."""

    def __len__(self) -> int:
        return len(self.passes)


def build_pool(
    rules: CompiledPolicy,
    columns: dict[str, AttributeColumn],
    passes: NDArray[np.bool_],
    fixed: Mapping[int, int],
    earlier: Earlier | None = None,
    kept: frozenset[int] = frozenset(),
) -> Pool:
    """The pool of one request; `passes` and the candidates of `fixed` are in upstream order."""
    before = 0 if earlier is None else earlier.shown
    slots = rules.slots - before
    keep_top = 0 if before else rules.keep_top  # the first items of all pages are on the first
    forced = MINUS_ONES(slots).copy()
    if keep_top:
        forced[:keep_top] = np.arange(keep_top)
    for slot, candidate in fixed.items():
        forced[forced == candidate] = -1
        forced[slot] = candidate
    release = first_slots(passes, forced, rules.max_fall, bool(fixed))
    return Pool(columns, passes, release, keep_top, slots, forced, fixed, earlier, kept)


def unbounded_pool(count: int, slots: int) -> Pool:
    """The pool of a request whose policy binds nobody. O(slots)."""
    return Pool({}, ALL(count), ONES(count), 0, slots, MINUS_ONES(slots).copy(), {})


def grouped(column: AttributeColumn) -> AttributeColumn:
    """The column with unknown labels as the value `unknown` (rule 8)."""
    if UNKNOWN in column.values:
        values, code = column.values, column.values.index(UNKNOWN) + 1
    else:
        values, code = (*column.values, UNKNOWN), len(column.values) + 1
    if column.offsets is None:
        return AttributeColumn(values, np.where(column.codes == 0, code, column.codes).astype(np.int32))
    sizes = np.diff(column.offsets)
    codes = np.insert(column.codes, column.offsets[:-1][sizes == 0], code).astype(np.int32)
    offsets = np.zeros(len(column.offsets), np.int32)
    np.cumsum(np.maximum(sizes, 1), out=offsets[1:])
    return AttributeColumn(values, codes, offsets)


UNKNOWN = "unknown"


def is_labelled(column: AttributeColumn) -> NDArray[np.bool_]:
    """Which candidates have a known value: bool (N,)."""
    return column.is_known


def carries(column: AttributeColumn | None, accepted: frozenset[str], count: int) -> NDArray[np.bool_]:
    """Which of `count` candidates carry one of the accepted values; unknown ones do not."""
    if column is None:
        return np.zeros(count, bool)
    wanted = np.array([False, *(value in accepted for value in column.values)])
    hits = wanted[column.codes]
    if column.offsets is None:
        return hits
    return np.bincount(np.repeat(np.arange(count), np.diff(column.offsets)), weights=hits, minlength=count) > 0


def hard_columns(
    policy: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32]
) -> dict[str, AttributeColumn]:
    """The attributes that the policy names or spaces, as hard labels in upstream order."""
    columns = {}
    for name in policy.counted_attributes:
        column = candidates.attributes.get(name)
        if column is not None:
            columns[name] = column.hard(policy.label_rule(name).threshold).take(order)
    return columns
