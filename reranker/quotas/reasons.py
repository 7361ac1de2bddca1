"""Why a bound is broken: what it would lack were it the only one, with and without guard and kept slots (rule 6)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.policy.compile import WindowBound
from reranker.quotas.tables import AttributeTable, Pool
from reranker.slate import OutcomeReason

Counts = NDArray[np.int32]


class Reasons:
    """The reasons for one attribute; `asked` is the request's slate size. What rows share is worked out once."""

    def __init__(self, table: AttributeTable, pool: Pool, asked: int) -> None:
        self._table, self._pool, self._asked = table, pool, asked
        self._prefixes = np.arange(pool.slots + 1)

    def lower(self, row: int, units: int) -> OutcomeReason:
        """Why a lower bound lacks `units` at its worst prefix."""
        lower = self._table.lower[row]
        carried = int(self._standing[1][row, -1])
        standing = self._standing[0][row]
        if units <= _peak(lower - carried):
            return self._supply_or_labels(lower, carried)
        if units <= _peak(lower - standing):
            return OutcomeReason.GUARD
        if units <= _peak(lower - np.minimum(self._prefixes, standing)):
            return OutcomeReason.SUPPLY if len(self._pool) < self._asked else OutcomeReason.CROWDING
        if self._pool.keep_top and units <= _peak(lower - self._with_kept(row)):
            return OutcomeReason.PINNED
        if units <= _peak(lower - np.minimum(np.minimum(self._prefixes, standing), self._table.upper[row])):
            return OutcomeReason.CONFLICT
        return OutcomeReason.CROWDING if self._rows_crowd else OutcomeReason.CONFLICT

    def upper(self, row: int, units: int) -> OutcomeReason:
        """Why an upper bound that names its value is exceeded by `units` at its worst prefix."""
        upper = self._table.bounds.named_upper[row]
        without = np.ones(len(self._pool), bool)
        without[self._table.members(row)] = False
        if units <= _peak(self._prefixes - int(without.sum()) - upper):
            return OutcomeReason.SUPPLY
        if units <= _peak(self._prefixes - _standing(self._pool.release[without], self._pool.slots) - upper):
            return OutcomeReason.GUARD
        kept = self._kept[row]
        if self._pool.keep_top and units <= _peak(kept - upper[: len(kept)]):
            return OutcomeReason.PINNED
        return self._caps_together

    def window(self, window: WindowBound, units: int) -> OutcomeReason:
        """Why a bound on every value is exceeded by `units` at its worst."""
        length = min(window.window or self._pool.slots, self._pool.slots)
        if self._pool.keep_top and (np.diff(self._kept)[1:, -length:].sum(axis=1) > window.limit).any():
            return OutcomeReason.PINNED
        for standing, reason in zip(reversed(self._standing), (OutcomeReason.SUPPLY, OutcomeReason.GUARD), strict=True):
            if units <= _least_window_excess(standing, window.limit, length):
                return reason
        return OutcomeReason.CONFLICT

    @cached_property
    def _standing(self) -> tuple[Counts, Counts]:
        """Who of each row may stand in the first t slots, with the guard and without: int32 (rows, slots + 1) each."""
        everyone = np.ones_like(self._pool.release)
        unguarded = self._table.supply(everyone)
        return (unguarded if self._pool.passes.all() else self._table.supply(self._pool.release)), unguarded

    @cached_property
    def _kept(self) -> Counts:
        """Counts of each row over the kept slots, several values an item included: int32 (rows, keep_top + 1)."""
        counts = np.zeros((len(self._table.values), self._pool.keep_top + 1), np.int32)
        for slot in range(self._pool.keep_top):
            counts[self._table.rows_of(slot), slot + 1] = 1
        return np.cumsum(counts, axis=1, dtype=np.int32)

    def _with_kept(self, row: int) -> NDArray[np.int64]:
        """The most of a row in the first t slots when the first `keep_top` are settled."""
        kept, keep_top = self._kept[row], self._pool.keep_top
        free = np.arange(1, self._pool.slots - keep_top + 1)
        return np.concatenate([kept, np.minimum(kept[-1] + free, self._standing[0][row, keep_top + 1 :])])

    def _supply_or_labels(self, lower: Counts, supply: int) -> OutcomeReason:
        could = bool((lower <= np.minimum(supply + self._unlabelled, self._prefixes)).all())
        return OutcomeReason.UNKNOWN_LABELS if could and self._unlabelled[-1] else OutcomeReason.SUPPLY

    @cached_property
    def _unlabelled(self) -> NDArray[np.int64]:
        return _standing(self._pool.release[~self._table.labelled], self._pool.slots)

    @cached_property
    def _rows_crowd(self) -> bool:
        """True when the lower bounds of the attribute, as far as supply goes, owe more than there are slots."""
        owed = np.minimum(self._table.lower, self._standing[0])[1:].sum(axis=0)
        return bool((owed > self._prefixes).any())

    @cached_property
    def _caps_together(self) -> OutcomeReason:
        """SUPPLY or GUARD when the caps of the attribute cannot be filled together, else CONFLICT."""
        for standing, reason in zip(reversed(self._standing), (OutcomeReason.SUPPLY, OutcomeReason.GUARD), strict=True):
            fill = np.minimum(self._table.upper, standing)
            fill = np.minimum.accumulate(fill[:, ::-1], axis=1)[:, ::-1]
            if (fill.sum(axis=0) < self._prefixes).any():
                return reason
        return OutcomeReason.CONFLICT


def _least_window_excess(supply: Counts, limit: int, length: int) -> int:
    """The least by which some value must exceed `limit` in `length` consecutive slots for every slot to be filled.

    A value fills at most limit of each full window of a prefix and of what is left of it; `supply` (rows, slots + 1)
    counts who may stand there, row 0 everyone whom the bound cannot touch.
    """
    prefixes = np.arange(supply.shape[1])
    for excess in range(max(1, length - limit)):
        most = limit + excess
        room = most * (prefixes // length) + np.minimum(most, prefixes % length)
        if (supply[0] + np.minimum(supply[1:], room).sum(axis=0) >= prefixes).all():
            return excess
    return max(0, length - limit)


def _peak(deficit: NDArray[np.signedinteger]) -> int:
    return max(0, int(deficit.max()))


def _standing(release: NDArray[np.int32], slots: int) -> NDArray[np.int64]:
    """How many of these candidates may stand in the first t slots, t = 0..slots; none in the first 0."""
    by_slot = np.bincount(np.maximum(release[release <= slots], 1), minlength=slots + 1)
    return np.cumsum(by_slot)
