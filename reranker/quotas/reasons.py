"""Why a bound is broken: what it would lack were it the only one, with and without guard and kept slots (rule 6)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.alone import CARRIES, LABELLED, least_alone
from reranker.policy.blocks import WindowBound
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable
from reranker.slate import OutcomeReason

Counts = NDArray[np.int32]


class Reasons:
    """The reasons for one attribute; `asked` is the request's slate size. What rows share is worked out once."""

    def __init__(self, table: AttributeTable, pool: Pool, asked: int, max_fall: int) -> None:
        self._table, self.pool, self._asked, self._max_fall = table, pool, asked, max_fall

    @cached_property
    def _prefixes(self) -> NDArray[np.int64]:
        return np.arange(self.pool.slots + 1)

    def lower(self, row: int, units: int) -> OutcomeReason:
        """Why a lower bound lacks `units` at its worst prefix."""
        if self._table.relative:
            return self._lower_of_labelled(row, units)
        lower, standing = self._table.lower[row], self._standing[0][row]
        carried = int(self._standing[1][row, -1])
        if units <= _peak(lower - carried):
            return self._supply_or_labels(lower, carried)
        if units <= _peak(lower - standing):
            return OutcomeReason.GUARD
        if units <= _peak(lower - np.minimum(self._prefixes, standing)):
            return self._more_than_slots
        return self._lower_beside_others(row, units, lower)

    def _lower_of_labelled(self, row: int, units: int) -> OutcomeReason:
        """The same where prefixes count labelled items: an item without a label makes nothing due."""
        if units <= self._alone(row, True, guarded=False):
            if units <= self._alone(row, True, guarded=False, plenty=True):
                return self._more_than_slots
            return self._supply_or_labels(self._lower_alone(row), self._carried(row))
        if units <= self._alone(row, True, guarded=True):
            return OutcomeReason.GUARD
        return self._lower_beside_others(row, units, self._lower_alone(row))

    def _lower_beside_others(self, row: int, units: int, lower: Counts) -> OutcomeReason:
        """Why a lower bound lacks more than it would were it the only one."""
        standing = self._standing[0][row]
        if self._is_pinned and units <= _peak(lower - self._around_settled(row)):
            return OutcomeReason.PINNED
        if units <= _peak(lower - np.minimum(np.minimum(self._prefixes, standing), self._table.upper[row])):
            return OutcomeReason.CONFLICT
        return OutcomeReason.CROWDING if self._crowds.any() else OutcomeReason.CONFLICT

    @property
    def _more_than_slots(self) -> OutcomeReason:
        """The bound alone asks for more than there are slots: on a list shorter than the slate, for want of items."""
        return OutcomeReason.SUPPLY if len(self.pool) < self._asked else OutcomeReason.CROWDING

    def lacks_candidates(self, row: int, units: int) -> bool:
        """Whether the floor lacks `units` because fewer candidates than it asks for carry its value."""
        return units <= _peak(self._lower_alone(row) - self._carried(row))

    def crowded_slots(self, prefix: int) -> tuple[int, int]:
        """The slots 1..b, b nearest to the prefix, of which the attribute's floors ask for more than there are."""
        ends = np.flatnonzero(self._crowds)
        return (1, int(ends[np.abs(ends - prefix).argmin()])) if len(ends) else (0, 0)

    def upper(self, row: int, units: int) -> OutcomeReason:
        """Why an upper bound that names its value is exceeded by `units` at its worst prefix."""
        upper = self._table.bounds.named_upper[row]
        if self._table.relative:
            for guarded, reason in ((False, OutcomeReason.SUPPLY), (True, OutcomeReason.GUARD)):
                if units <= self._alone(row, False, guarded):
                    return reason
            return OutcomeReason.PINNED if self._pinned_above(upper, row, units) else self._caps_together
        without = np.ones(len(self.pool), bool)
        without[self._table.members(row)] = False
        if units <= _peak(self._prefixes - int(without.sum()) - upper):
            return OutcomeReason.SUPPLY
        if units <= _peak(self._prefixes - _standing(self.pool.release[without], self.pool.slots) - upper):
            return OutcomeReason.GUARD
        return OutcomeReason.PINNED if self._pinned_above(upper, row, units) else self._caps_together

    def _pinned_above(self, upper: Counts, row: int, units: int) -> bool:
        return self._is_pinned and units <= _peak(self._settled[row] - upper)

    def _carried(self, row: int) -> int:
        """How many candidates carry the row's value."""
        return int(self._standing[1][row, -1])

    def _alone(self, row: int, is_floor: bool, guarded: bool, plenty: bool = False) -> int:
        """What a bound over labelled items must be broken by were it the only one; `plenty`: of any number of items."""
        table, slots = self._table, self.pool.slots
        release = self.pool.release if guarded else np.ones_like(self.pool.release)
        classes = LABELLED * table.labelled.astype(np.int64)
        classes[table.members(row)] += CARRIES
        supply = np.zeros((4, slots + 1), np.int32)
        for of in range(4):
            supply[of] = _standing(release[classes == of], slots)
        if plenty:
            supply[CARRIES | LABELLED] = slots
        bound = table.lower[row] if is_floor else table.bounds.named_upper[row]
        due = int(table.bounds.due[row]) if is_floor else 0
        free = np.full(slots, -1, np.int32)
        return int(least_alone(np.ascontiguousarray(bound), due, is_floor, supply, free))

    def window(self, window: WindowBound, units: int) -> OutcomeReason:
        """Why a bound on every value is exceeded by `units` at its worst."""
        length = min(window.window or self.pool.slots, self.pool.slots)
        if self._is_pinned and (self._settled[1:, length:] - self._settled[1:, :-length] > window.limit).any():
            return OutcomeReason.PINNED
        for standing, reason in zip(reversed(self._standing), (OutcomeReason.SUPPLY, OutcomeReason.GUARD), strict=True):
            room = np.minimum(standing, self._room)
            if units <= _least_window_excess(standing, window.limit, length):
                return reason
            if _least_window_excess(room, window.limit, length):  # caps that jointly cannot be filled
                return reason
        return OutcomeReason.CONFLICT

    def unfilled(self, window: WindowBound) -> int:
        """Slots of the slate that was asked for which a bound over the whole of it leaves without an item."""
        if window.window and window.window < self.pool.slots:
            return 0
        fill = np.minimum(self._room, self._standing[0]).sum(axis=0)
        return _peak(self._prefixes - fill) + max(0, self._asked - len(self.pool))

    @cached_property
    def _room(self) -> Counts:
        """What caps on prefixes leave of each row, as later ones bind earlier ones too."""
        room: Counts = np.minimum.accumulate(self._table.upper[:, ::-1], axis=1)[:, ::-1]
        return room

    @cached_property
    def _standing(self) -> tuple[Counts, Counts]:
        """Who of each row may stand in the first t slots, with the guard and without: int32 (rows, slots + 1) each."""
        everyone = np.ones_like(self.pool.release)
        unguarded = self._table.supply(everyone)
        return (unguarded if self.pool.passes.all() else self._table.supply(self.pool.release)), unguarded

    def _lower_alone(self, row: int) -> Counts:
        """The floor by prefix; where prefixes count labelled items, what no choice of unlabelled ones can avoid."""
        table = self._table
        if not table.relative:
            bound: Counts = table.lower[row]
            return bound
        least = max(0, self.pool.slots - int((~table.labelled).sum()))  # labelled items on any slate
        floor: Counts = np.zeros_like(table.lower[row])
        floor[-1] = max(int(table.lower[row, least]), int(table.bounds.due[row]))
        return floor

    @cached_property
    def _is_pinned(self) -> bool:
        """Whether items stand where they stand for a reason that comes before quotas."""
        return bool((self.pool.forced >= 0).any()) or self._max_fall > 0

    @cached_property
    def _settled(self) -> Counts:
        """Counts of each row over settled items, and those that may not fall further: int32 (rows, slots + 1)."""
        counts = np.zeros((len(self._table.values), self.pool.slots + 1), np.int32)
        for slot, candidate in enumerate(self.pool.forced.tolist()):
            if candidate >= 0:
                counts[self._table.rows_of(candidate), slot + 1] += 1
        for candidate in self._falling:
            counts[self._table.rows_of(candidate), candidate + 1 + self._max_fall] += 1
        return np.cumsum(counts, axis=1, dtype=np.int32)

    @cached_property
    def _falling(self) -> list[int]:
        """Free items that must be on the slate, in upstream order; candidate r by slot r + 1 + max_fall."""
        if not self._max_fall:
            return []
        settled = set(self.pool.forced.tolist())
        return [i for i in range(max(0, self.pool.slots - self._max_fall)) if i not in settled]

    def _around_settled(self, row: int) -> NDArray[np.int64]:
        """The most of a row that counts for a floor in the first t slots, with every settled item in its place."""
        free = np.concatenate([[0], np.cumsum(self.pool.forced < 0)])
        for candidate in self._falling:  # whoever has to stand by then takes a slot, unless the row is his
            if row not in self._table.rows_of(candidate):
                free[candidate + 1 + self._max_fall :] -= 1
        kept = np.zeros(self.pool.slots + 1, np.int64)
        for slot, candidate in enumerate(self.pool.forced.tolist()):
            if candidate >= 0 and slot not in self.pool.fixed and row in self._table.rows_of(candidate):
                kept[slot + 1 :] += 1
        fixed = sum(row in self._table.rows_of(candidate) for candidate in self.pool.fixed.values())
        most: NDArray[np.int64] = np.minimum(kept + np.maximum(free, 0), self._standing[0][row] - fixed)
        return most

    def _supply_or_labels(self, lower: Counts, supply: int) -> OutcomeReason:
        could = bool((lower <= np.minimum(supply + self._unlabelled, self._prefixes)).all())
        return OutcomeReason.UNKNOWN_LABELS if could and self._unlabelled[-1] else OutcomeReason.SUPPLY

    @cached_property
    def _unlabelled(self) -> NDArray[np.int64]:
        return _standing(self.pool.release[~self._table.labelled], self.pool.slots)

    @cached_property
    def _crowds(self) -> NDArray[np.bool_]:
        """At which prefixes the attribute's floors, as far as supply goes, owe more than there are slots."""
        owed = np.minimum(self._table.lower, self._standing[0])[1:]
        together = owed.sum(axis=0) if self._table.is_partition else owed.max(axis=0, initial=0)
        crowds: NDArray[np.bool_] = together > self._prefixes
        return crowds

    @cached_property
    def _caps_together(self) -> OutcomeReason:
        """SUPPLY or GUARD when the caps of the attribute cannot be filled together, else CONFLICT."""
        for standing, reason in zip(reversed(self._standing), (OutcomeReason.SUPPLY, OutcomeReason.GUARD), strict=True):
            fill = np.minimum(self._room, standing)
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
