"""What was shown before this slate: the pages that its cursor continues, and what the user saw recently (rule 13).

A slate that continues others is planned as if it were the first: what earlier pages hold is taken off its bounds, and a
window that reaches back over the page's edge is a cap on its first slots. Every tier carries that as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.policy.blocks import NO_CAP
from reranker.quotas.tables import Bounds, Past

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What `shown` items of earlier pages hold of one attribute or intersection: by key of a value, and labelled ones.

    `fixed` are those of `counts` that were fixed items, which never count for a minimum.
    """

    shown: int
    counts: Mapping[int, int]
    fixed: Mapping[int, int]
    labelled: int


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """What quotas know of the past; values are named by `key`, so that a cursor need not spell them out.

    `shown` items stand on earlier pages, counted in `tallies` by attribute or intersection; one that is not there is
    counted from this page on. `trail` holds the values of the items shown last, by attribute, oldest first: of earlier
    pages, and before them what the user saw recently.
    """

    shown: int
    key: Callable[[str], int]
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    trail: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)

    def used(self, subject: str, column: AttributeColumn) -> NDArray[np.int64]:
        """How often the trail or earlier pages show each value of the column, whichever is more: by code, 0 unknown."""
        used = np.zeros(len(column.values) + 1, np.int64)
        for item in self.trail_codes(subject, column):
            used[item] += 1
        tally = self.tallies.get(subject)
        if tally is not None and tally.counts:
            counts = [tally.counts.get(self.key(value), 0) for value in column.values]
            used[1:] = np.maximum(used[1:], counts)
        return used

    def trail_codes(self, subject: str, column: AttributeColumn) -> list[list[int]]:
        """The trail in the column's codes, oldest first; values that no candidate has are left out."""
        trail = self.trail.get(subject, ())
        if not any(trail):
            return [[] for _ in trail]
        code_of = {self.key(value): code for code, value in enumerate(column.values, start=1)}
        return [[code_of[key] for key in item if key in code_of] for item in trail]

    def past(self, subject: str, bounds: Bounds, relative: bool, column: AttributeColumn, slots: int) -> Past:
        """What the past means for these bounds, which are laid out for earlier pages and this one together."""
        counts, earned = np.zeros((2, len(bounds.values)), np.int32)
        tally = self.tallies.get(subject)
        begin = items = 0
        if tally is not None:
            items = tally.shown
            begin = tally.labelled if relative else tally.shown
            for row, value in enumerate(bounds.values[1:], start=1):
                key = self.key(value)
                counts[row] = tally.counts.get(key, 0)
                earned[row] = counts[row] - tally.fixed.get(key, 0)
        span = slice(begin, begin + slots + 1)
        return Past(
            items=items,
            shown=begin,
            counts=counts,
            earned=earned,
            lower=bounds.lower[:, span],
            named_upper=bounds.named_upper[:, span],
            due=bounds.due,
            trail=self.trail_codes(subject, column),
            everything=[] if tally is None else self._codes_of(tally, bounds, column),
        )

    def _codes_of(self, tally: Tally, bounds: Bounds, column: AttributeColumn) -> list[int]:
        """What earlier pages hold in the column's codes, where a bound speaks of all pages together."""
        if not any(window.window == 0 for window in bounds.windows):
            return []
        counts = ((code, tally.counts.get(self.key(value), 0)) for code, value in enumerate(column.values, start=1))
        return [code for code, count in counts for _ in range(count)]


def continued(bounds: Bounds, past: Past, relative: bool, column: AttributeColumn) -> Bounds:
    """The bounds of this page alone: less what earlier pages hold, and with caps where windows reach back to them."""
    span = slice(past.shown, past.shown + past.lower.shape[1])
    lower = np.maximum(past.lower - past.earned[:, None], 0)
    lower[:, 0] = 0
    upper = _less(bounds.upper[:, span], past.counts)
    edge = np.full_like(upper, NO_CAP) if relative and past.trail else None
    _close_windows(upper if edge is None else edge, bounds, past, column)
    return replace(
        bounds,
        lower=np.ascontiguousarray(lower, np.int32),
        upper=np.ascontiguousarray(upper, np.int32),
        named_upper=np.ascontiguousarray(_less(past.named_upper, past.counts), np.int32),
        due=np.maximum(bounds.due - past.earned, 0).astype(np.int32),
        edge=edge,
    )


def _less(upper: Ints, counts: Ints) -> Ints:
    """Caps less what is there already: a cap that earlier pages have used up lets nobody in."""
    left: Ints = np.where(upper < NO_CAP, np.maximum(upper - counts[:, None], 0), NO_CAP).astype(np.int32)
    return left


def _close_windows(upper: Ints, bounds: Bounds, past: Past, column: AttributeColumn) -> None:
    """A window of w slots that ends in slot j holds the last w - j items of the trail: a cap on the first j slots."""
    row_of = {value: row for row, value in enumerate(bounds.values) if row}
    slots = upper.shape[1] - 1
    bound = np.array([row for row in row_of.values() if row != bounds.free_row], np.intp)
    for window in bounds.windows:
        if not window.window:
            continue
        if window.window >= slots:  # no window slides within this page
            upper[bound, 1:] = np.minimum(upper[bound, 1:], window.limit)
        for j in range(1, min(window.window - 1, slots) + 1):
            seen: dict[int, int] = {}
            for item in past.trail[len(past.trail) - min(window.window - j, len(past.trail)) :]:
                for code in item:
                    seen[code] = seen.get(code, 0) + 1
            for code, count in seen.items():
                row = row_of.get(column.values[code - 1], 0)
                if row and row != bounds.free_row:
                    upper[row, j] = min(upper[row, j], max(0, window.limit - count))
