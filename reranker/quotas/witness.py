"""Quotas beyond one partition: a witness, one slate that keeps every bound, must be found anew for every pick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reranker.kernels.gate import Gate
from reranker.kernels.openings import open_for_witness
from reranker.kernels.witness import accept_pick, find_witness
from reranker.policy.blocks import NO_CAP
from reranker.quotas.easing import Eased, ease
from reranker.quotas.likeness import Likeness
from reranker.quotas.pool import Pool
from reranker.quotas.rows import Rows
from reranker.quotas.tables import AttributeTable

_STEPS_AT_START = 2_000  # of the search for a first witness; each costs some ten microseconds
_STEPS_A_PICK = 60  # nine in ten picks need none, and 99 in 100 fewer than 50
_STEPS_IN_ALL = 4_000
_PATIENCE = 8  # steps without progress until a pick is refused; a search that succeeds rarely waits that long
_SHORT, _SHORT_PATIENCE = 12, 60  # on short slates steps are cheap, and refusing a legal pick is not
_SEED = 88172645463325252


class WitnessGate:
    """Opens the kinds that no single attribute forbids, and accepts a pick when the witness can take it in."""

    def __init__(self, tables: Sequence[AttributeTable], pool: Pool, likeness: Likeness | None, max_fall: int) -> None:
        alike, alike_span = likeness.pairs() if likeness is not None else (np.zeros((0, 0), bool), 0)
        self.rows = Rows(tables, pool, alike_span > 0, max_fall)
        eased = ease(self.rows, pool)
        slots, kinds = pool.slots, len(self.rows)
        series = len(self.rows.row)
        self._bounds: list[Any] = [
            *(self.rows.kind_start, self.rows.kind_series, self.rows.series_start, self.rows.series_kinds),
            *(self.rows.avail, self.rows.settled, self.rows.span, eased.low, eased.high),
            *(self.rows.low_cost, self.rows.high_cost, self.rows.relative, eased.due),
            *(alike, alike_span),
        ]
        tables_of_slots = [np.empty((series, slots + 1), np.int32) for _ in range(3)]
        self._state: tuple[Any, ...] = (
            self.rows.first_kinds.copy(),
            *tables_of_slots,
            np.empty((kinds, slots + 1), np.int32),
            *(np.zeros((series, slots + 1), np.int64) for _ in range(2)),
            np.zeros(series, np.int64),
            np.array([0, _SEED, 0, 0]),
            np.zeros((slots + 1, kinds), np.int32),
            np.zeros(series, bool),
        )
        rows, (kind, low, high, count) = self.rows, self._state[:4]
        self._openings = (
            *(rows.group, rows.partition, rows.kind_start, rows.kind_series, rows.settled, rows.span, rows.relative),
            *(kind, low, high, count),
        )
        self._patience = _SHORT_PATIENCE if slots <= _SHORT else _PATIENCE
        left = self._find(_STEPS_AT_START)
        if left and alike_span:
            left = self._without_likeness()
        self.proven_infeasible = eased.changed
        if left:
            self._relax(eased)

    def _find(self, steps: int) -> int:
        """What the best slate that was found costs; 0 when it keeps every bound."""
        return int(find_witness(0, steps, steps, *self._bounds, *self._state))

    def attach(self, gate: Gate) -> None:
        """The gate that this one opens."""
        self._gate = gate

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot, as far as one attribute by itself can say."""
        open_for_witness(slot + 1, *self._openings, self._gate.is_open)

    def accept(self, slot: int, pick: int) -> bool:
        """Whether the rest of the slate can keep every bound after this pick."""
        steps = min(_STEPS_A_PICK, max(0, _STEPS_AT_START + _STEPS_IN_ALL - int(self._state[8][2])))
        return bool(accept_pick(slot + 1, self.rows.kind[pick], steps, self._patience, *self._bounds, *self._state))

    def commit(self, slot: int, pick: int) -> None:
        """The witness holds the pick already."""

    def _without_likeness(self) -> int:
        """Too many items are alike for every bound to hold: quotas keep theirs, likeness gives way slot by slot."""
        self._bounds[-1] = 0
        self._state[8][2] = 0
        self._state[9][:] = 0
        return self._find(_STEPS_AT_START)

    def _relax(self, eased: Eased) -> None:
        """No slate was found that keeps the bounds: ease them to what the best one found keeps."""
        low, high, count = self._state[1], self._state[2], self._state[3]
        excess = self.rows.peaks(np.maximum(count - high, 0)[:, 1:].max(axis=1, initial=0))
        lacking = self.rows.peaks(np.maximum(low - count, 0)[:, 1:].max(axis=1, initial=0))
        np.maximum(eased.low - lacking[:, None], 0, out=eased.low)
        np.maximum(eased.due - lacking, 0, out=eased.due)
        np.add(eased.high, excess[:, None], out=eased.high, where=eased.high < NO_CAP)
        self._state[8][2] = 0
        self._find(0)
