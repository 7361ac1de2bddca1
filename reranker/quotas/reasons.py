"""Why a bound is broken: what it would lack were it the only one, with and without guard and kept slots (rule 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.policy.compile import WindowBound
from reranker.quotas.partition import pinned_counts
from reranker.quotas.tables import AttributeTable, Pool
from reranker.slate import OutcomeReason


def lower_reason(table: AttributeTable, pool: Pool, row: int, units: int, asked: int) -> OutcomeReason:
    """Why a lower bound of row `row` lacks `units` at its worst prefix; `asked` is the request's slate size."""
    lower = table.lower[row]
    members = table.members(row)
    prefixes = np.arange(len(lower))
    if units <= _peak(lower - len(members)):
        return _supply_or_labels(table, pool, lower, len(members))
    standing = _standing(pool.release[members], pool.slots)
    if units <= _peak(lower - standing):
        return OutcomeReason.GUARD
    if units <= _peak(lower - np.minimum(prefixes, standing)):
        return OutcomeReason.SUPPLY if len(pool) < asked else OutcomeReason.CROWDING
    if pool.keep_top and units <= _peak(lower - _with_pins(members, standing, pool)):
        return OutcomeReason.PINNED
    if units <= _peak(lower - np.minimum(np.minimum(prefixes, standing), table.upper[row])):
        return OutcomeReason.CONFLICT
    return OutcomeReason.CROWDING if _rows_crowd(table, pool) else OutcomeReason.CONFLICT


def upper_reason(table: AttributeTable, pool: Pool, row: int, units: int) -> OutcomeReason:
    """Why an upper bound of row `row` is exceeded by `units` at its worst prefix."""
    upper = table.upper[row]
    prefixes = np.arange(len(upper))
    members = table.members(row)
    others = np.ones(len(pool), bool)
    others[members] = False
    if units <= _peak(prefixes - int(others.sum()) - upper):
        return OutcomeReason.SUPPLY
    if units <= _peak(prefixes - _standing(pool.release[others], pool.slots) - upper):
        return OutcomeReason.GUARD
    pinned = np.cumsum(np.isin(np.arange(pool.keep_top), members))
    if pool.keep_top and units <= _peak(pinned - upper[1 : pool.keep_top + 1]):
        return OutcomeReason.PINNED
    return _caps_reason(table, pool)


def window_reason(table: AttributeTable, pool: Pool, window: WindowBound) -> OutcomeReason:
    """Why a bound on every value of an attribute is exceeded somewhere."""
    slots = pool.slots
    length = window.window or slots
    pinned = pinned_counts_by_row(table, pool.keep_top)
    if pool.keep_top and (np.diff(pinned, axis=1)[1:, -length:].sum(axis=1) > window.limit).any():
        return OutcomeReason.PINNED
    room = window.limit * (slots // length) + min(window.limit, slots % length)
    supply = np.bincount(table.rows, minlength=len(table.values))[1:]
    bare = len(pool) - len(np.unique(table.owners))
    if int(np.minimum(supply, room).sum()) + bare < slots:
        return OutcomeReason.SUPPLY
    return OutcomeReason.CONFLICT


def pinned_counts_by_row(table: AttributeTable, keep_top: int) -> NDArray[np.int32]:
    """Counts of each row over the settled slots, several values an item included: int32 (rows, keep_top + 1)."""
    if table.is_partition:
        return pinned_counts(table.kinds, len(table.values), keep_top)
    counts = np.zeros((len(table.values), keep_top + 1), np.int32)
    for slot in range(keep_top):
        counts[table.rows_of(slot), slot + 1] = 1
    return np.cumsum(counts, axis=1, dtype=np.int32)


def _peak(deficit: NDArray[np.signedinteger]) -> int:
    return max(0, int(deficit.max()))


def _standing(release: NDArray[np.int32], slots: int) -> NDArray[np.int64]:
    """How many of these candidates may stand in the first t slots, t = 0..slots; none in the first 0."""
    by_slot = np.bincount(np.maximum(release[release <= slots], 1), minlength=slots + 1)
    return np.cumsum(by_slot)


def _with_pins(members: NDArray[np.intp], standing: NDArray[np.int64], pool: Pool) -> NDArray[np.int64]:
    """The most of these candidates in the first t slots when the first `keep_top` are settled."""
    settled = np.concatenate([[0], np.cumsum(np.isin(np.arange(pool.keep_top), members))])
    free = np.arange(1, pool.slots - pool.keep_top + 1)
    return np.concatenate([settled, np.minimum(settled[-1] + free, standing[pool.keep_top + 1 :])])


def _supply_or_labels(table: AttributeTable, pool: Pool, lower: NDArray[np.int32], supply: int) -> OutcomeReason:
    unlabelled = _standing(pool.release[~table.labelled], pool.slots)
    could = bool((lower <= supply + unlabelled).all()) and bool(unlabelled[-1])
    return OutcomeReason.UNKNOWN_LABELS if could else OutcomeReason.SUPPLY


def _rows_crowd(table: AttributeTable, pool: Pool) -> bool:
    """True when the lower bounds of one attribute, as far as supply goes, owe more than there are slots."""
    supply = table.supply(pool.release)
    owed = np.minimum(table.lower, supply)[1:].sum(axis=0)
    return bool((owed > np.arange(owed.shape[0])).any())


def _caps_reason(table: AttributeTable, pool: Pool) -> OutcomeReason:
    """SUPPLY or GUARD when the caps of one attribute cannot be filled together, else CONFLICT."""
    if not table.is_partition:
        return OutcomeReason.CONFLICT
    prefixes = np.arange(pool.slots + 1)
    for release, reason in (
        (np.ones_like(pool.release), OutcomeReason.SUPPLY),
        (pool.release, OutcomeReason.GUARD),
    ):
        fill = np.minimum(table.upper, table.supply(release))
        fill = np.minimum.accumulate(fill[:, ::-1], axis=1)[:, ::-1]
        if (fill.sum(axis=0) < prefixes).any():
            return reason
    return OutcomeReason.CONFLICT
