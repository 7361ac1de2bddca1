"""Merged bounds on one attribute or intersection, and who among the candidates they count (rule 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.policy.blocks import NO_CAP, WindowBound


@dataclass(eq=False)
class Bounds:
    """Merged bounds on one attribute. Row 0 stands for every candidate without a bounded value and has no bounds.

    `lower`, `upper` int32 (1 + values, slots + 1) over prefixes 0..slots, `upper` NO_CAP where there is none; weights
    float64 by row. `named_upper` holds the caps that name their value; `upper` also those that `windows`, the bounds on
    every value, put on the whole slate. Unknown labels as a group (`free_row`, else 0) are in no window. `due` int32 by
    row is what the end of the slate asks for however many items are labelled. `edge`, where prefixes count labelled
    items, holds the caps that windows reaching back to earlier items put on the first t slots.
    """

    values: tuple[str, ...]
    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    lower_weight: NDArray[np.float64]
    upper_weight: NDArray[np.float64]
    named_upper: NDArray[np.int32]
    windows: tuple[WindowBound, ...]
    free_row: int
    due: NDArray[np.int32]
    edge: NDArray[np.int32] | None = None

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each value; row 0 has none."""
        return {value: row for row, value in enumerate(self.values) if row}

    @cached_property
    def floors(self) -> int:
        """How many rows have a lower bound that asks for something by the end of the slate."""
        return int(np.count_nonzero(self.lower[:, -1]))

    @cached_property
    def has_caps(self) -> bool:
        """Whether anything bounds a row from above."""
        return bool((self.upper < NO_CAP).any())

    @cached_property
    def floored(self) -> list[bool]:
        """Which rows have a lower bound."""
        return [weight > 0 for weight in self.lower_weight.tolist()]

    @cached_property
    def capped(self) -> list[bool]:
        """Which rows have a cap that names their value."""
        return [bool((cap < NO_CAP).any()) for cap in self.named_upper]


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What was shown before the slate, as far as one table's bounds know it.

    `items` were shown, of which the bounds' prefixes count `shown`; `counts` and `earned` int32 by row are what they
    hold, fixed items left out of the latter. `lower` and `named_upper` are the bounds on all pages together, for
    prefixes that end in this slate's slots 0..slots, `due` those at the end of the slate. `trail` are the values of the
    items shown last, as codes, oldest first; `everything` are those of all earlier pages in any order.
    """

    items: int
    shown: int
    counts: NDArray[np.int32]
    earned: NDArray[np.int32]
    lower: NDArray[np.int32]
    named_upper: NDArray[np.int32]
    due: NDArray[np.int32]
    trail: list[list[int]]
    everything: list[int]


@dataclass(eq=False)
class AttributeTable:
    """The bounds on one attribute and who carries its bounded values.

    `codes` int32 are rows of `bounds`, 0 for unknown and unbounded: one a candidate, or with `code_offsets` (N + 1)
    candidate i's are `codes[code_offsets[i]:code_offsets[i + 1]]`. `column` has every value, bounded or not; `known`
    bool (N,) is who counts as labelled where that is not whoever has a value in it. Prefixes of a `relative` table
    count labelled items only. Of an intersection `attribute` is its conditions in words. `past` is what was shown
    before, None when this slate is the first; `bounds` are then what it leaves to this one.
    """

    attribute: str
    bounds: Bounds
    codes: NDArray[np.int32]
    code_offsets: NDArray[np.int32] | None
    column: AttributeColumn
    known: NDArray[np.bool_] | None
    is_partition: bool
    relative: bool
    is_intersection: bool
    past: Past | None = None

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Who has a known label: bool (N,)."""
        return self.column.is_known if self.known is None else self.known

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

    @property
    def kinds(self) -> NDArray[np.int32]:
        """Row of each candidate when the attribute is a partition."""
        return self.codes if self.code_offsets is None else self._kinds_of_lists

    @cached_property
    def _kinds_of_lists(self) -> NDArray[np.int32]:
        kinds = np.zeros(len(self.labelled), np.int32)
        kinds[self._sizes > 0] = self.codes
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
