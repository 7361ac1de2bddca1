"""Bounds and witness of one request laid end to end in flat arrays, as `reranker.kernels.series.unpack` cuts them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.series import ALIKE_SPAN
from reranker.quotas.easing import Eased
from reranker.quotas.rows import Rows
from reranker.quotas.series import Series

Ints = NDArray[np.int32]

_SEED = 88172645463325252
_STEPS = -2  # of the search so far, in the last four entries of `longs`


class Packed:
    """`arrays` are what the kernels take; `low`, `high` and `count` (series, slots + 1) are those of the witness."""

    def __init__(self, series: Series, rows: Rows, eased: Eased, alike: NDArray[np.bool_], alike_span: int) -> None:
        count, kinds, width = len(series.row), len(rows), len(rows.settled)
        self._sizes = np.array(
            [kinds, count, width - 1, len(rows.kind_series), len(series.partition), alike_span], np.int64
        )
        self._first = rows.first_kinds
        scratch = 3 * count * width + 2 * kinds * width
        self._ints = np.concatenate(
            [
                rows.first_kinds,
                np.zeros(scratch, np.int32),
                *(eased.low.ravel(), eased.high.ravel(), eased.due, rows.avail.ravel()),
                *(rows.kind_start, rows.kind_series, rows.series_start, rows.series_kinds),
                *(series.span, series.relative, series.group),
            ]
        )
        self._longs = np.zeros(2 * count * width + 3 * count + 4, np.int64)
        costs = 2 * count * width + count
        self._longs[costs : costs + count] = series.low_cost
        self._longs[costs + count : costs + 2 * count] = series.high_cost
        self._longs[-3] = _SEED
        flags = np.concatenate([np.zeros(count, bool), rows.settled, series.partition])
        self.arrays = (self._sizes, self._ints, self._longs, flags, alike)
        shape, size = (count, width), count * width
        self.low, self.high, self.count = (
            self._ints[width + at * size : width + (at + 1) * size].reshape(shape) for at in range(3)
        )
        bounds = width + scratch
        self._base_low, self._base_high = (
            self._ints[bounds + at * size : bounds + (at + 1) * size].reshape(shape) for at in range(2)
        )
        self._due = self._ints[bounds + 2 * size :][:count]
        self._barred = self._ints[bounds - kinds * width : bounds]

    def kind_at(self, slot: int) -> int:
        """The kind that the witness has in a slot, from 1."""
        return int(self._ints[slot])

    @property
    def steps(self) -> int:
        """Steps that the search has taken so far."""
        return int(self._longs[_STEPS])

    def start_over(self) -> None:
        """Go back to the first slate: the search may begin anew, and draws other numbers."""
        self._ints[: len(self._first)] = self._first
        self._begin_anew()

    def without_likeness(self) -> None:
        """Give up the bounds on likeness; the search may begin anew."""
        self._sizes[ALIKE_SPAN] = 0
        self._begin_anew()

    def rebind(self, eased: Eased) -> None:
        """Take other bounds; the search may begin anew."""
        self._base_low[:], self._base_high[:], self._due[:] = eased.low, eased.high, eased.due
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._longs[_STEPS] = 0
        self._barred[:] = 0
