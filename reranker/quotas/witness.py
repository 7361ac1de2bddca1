"""Quotas beyond one partition: a witness, one slate that keeps every bound, must be found anew for every pick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reranker.kernels.exhaustive import FOUND, NONE, search_everything, search_least
from reranker.kernels.gate import Gate
from reranker.kernels.openings import open_for_witness
from reranker.kernels.witness import accept_pick, find_witness
from reranker.policy.blocks import NO_CAP
from reranker.quotas.budget import Budget
from reranker.quotas.easing import Eased, ease
from reranker.quotas.least import in_millionths
from reranker.quotas.likeness import Likeness
from reranker.quotas.packed import Packed
from reranker.quotas.pool import Pool
from reranker.quotas.rows import Rows
from reranker.quotas.series import series_of
from reranker.quotas.tables import AttributeTable

_STEPS_AT_START = 2_000  # of the search for a first witness
_RESTARTS = 4  # of that search, on slates so short that steps are cheap
_STEPS_A_PICK = 60  # nine in ten picks need none, and 99 in 100 fewer than 50
_STEPS_IN_ALL = 4_000
_FEWEST = 20  # steps that even a list too long for the budget is given
_TRIED_TO_THE_END = 16  # slots: on longer slates, too many slates are left to be tried one by one
_LOOKAHEADS = 4  # times the budget of one search: what trying picks may cost in all
_LEAST_LOOKS = 100_000  # what looking costs on short lists, which is not worth being spared
_PATIENCE = 8  # steps without progress until a pick is refused; a search that succeeds rarely waits that long
_SHORT, _SHORT_PATIENCE = 12, 60  # on short slates steps are cheap, and refusing a legal pick is not


class WitnessGate:
    """Opens the kinds that no single attribute forbids, and accepts a pick when the witness can take it in."""

    def __init__(
        self,
        tables: Sequence[AttributeTable],
        pool: Pool,
        budget: Budget,
        likeness: Likeness | None,
        max_fall: int,
    ) -> None:
        alike, alike_span = likeness.pairs(budget) if likeness is not None else (np.zeros((0, 0), bool), 0)
        self._series = series_of(tables, pool, max_fall)
        self.rows = Rows(self._series, tables, pool, alike_span > 0)
        eased = ease(self._series, self.rows, pool)
        self._packed = Packed(self._series, self.rows, eased, alike, alike_span)
        self._opened = -1  # the slot for which the last accepted pick has opened kinds already
        self._budget = budget
        self._slots = pool.slots
        self._patience = _SHORT_PATIENCE if pool.slots <= _SHORT else _PATIENCE
        affordable = max(_FEWEST, 3 * budget.additions // (1_000 + 3 * len(self.rows) * pool.slots))
        self._at_start, self._in_all = min(_STEPS_AT_START, affordable // 2), min(_STEPS_IN_ALL, affordable)
        a_try = (
            3 * (self._patience + 2) * max(1, pool.slots) * (1 + len(self.rows.kind_series) // max(1, len(self.rows)))
        )
        self._tries = max(_FEWEST, _LOOKAHEADS * budget.additions // a_try)
        looks = len(self._series.row) * pool.slots * pool.slots  # for kinds to shut in every slot
        self._hurried = looks > _LOOKAHEADS * max(budget.additions, _LEAST_LOOKS)
        left = self._find(self._at_start)
        self.proven_infeasible = eased.changed
        if left and not eased.changed and pool.slots <= _TRIED_TO_THE_END:
            left = self._try_everything(budget, left)
            if left and not self.proven_infeasible:
                left = self._find_again(left)
        if left and alike_span:
            left = self._without_likeness()
        self.minimal = not left
        if left and pool.slots <= _TRIED_TO_THE_END and not len(self._series.falling):
            if eased.changed:  # one way to make room among several, and where other caps give way perhaps not the best
                eased = ease(self._series, self.rows, pool, together=False)
                self._packed.rebind(eased)
            self.minimal = self._least(budget)
        self.minimal = self.minimal and likeness is None
        if left:
            self._relax(eased)

    def _find(self, steps: int) -> int:
        """What the best slate that was found costs; 0 when it keeps every bound."""
        return int(find_witness(0, steps, steps, *self._packed.arrays))

    def _find_again(self, left: int) -> int:
        """What is left after searches from the first slate on, each with other random numbers; at most `left`."""
        for _ in range(_RESTARTS):
            if not left:
                break
            self._packed.start_over()
            left = self._find(self._at_start)
        return left

    def attach(self, gate: Gate) -> None:
        """The gate that this one opens."""
        self._gate = gate

    def open(self, slot: int) -> None:
        """Write which kinds may stand in the slot, as far as one attribute by itself can say.

        Once there is no time or no budget to try picks, only the witness's own.
        """
        if self._hurry(slot):
            return
        if slot != self._opened:
            open_for_witness(slot + 1, self._gate.is_open, *self._packed.arrays)
        self._opened = -1  # from here on the slot's proposals may close kinds

    def accept(self, slot: int, pick: int) -> bool:
        """Whether the rest of the slate can keep every bound after this pick."""
        kind = int(self.rows.kind[pick])
        if kind != self._packed.kind_at(slot + 1) and self._hurry(slot):
            return False
        if self._hurried:
            return True
        steps = min(_STEPS_A_PICK, max(0, self._in_all - self._packed.steps))
        self._tries -= kind != self._packed.kind_at(slot + 1)
        accepted = accept_pick(slot + 1, kind, steps, self._patience, self._gate.is_open, *self._packed.arrays)
        if accepted:
            self._opened = slot + 1
        return bool(accepted)

    def _hurry(self, slot: int) -> bool:
        """Whether it is time to take what the witness has; then nothing else is open."""
        self._hurried = self._hurried or self._tries <= 0 or self._budget.is_over
        if self._hurried:
            self._gate.is_open[:] = False
            self._gate.is_open[self._packed.kind_at(slot + 1)] = True
        return self._hurried

    @property
    def cut_short(self) -> bool:
        """Whether picks were left untried for want of time: a request that has more of it may get another slate."""
        return self._hurried and (self._budget.is_short or self._budget.is_over)

    def commit(self, slot: int, pick: int) -> None:
        """The witness holds the pick already."""

    def _try_everything(self, budget: Budget, left: int) -> int:
        """`left`, or 0 when a slate that keeps every bound is found after all; notes when there is proof of none."""
        a_node = 600 + 4 * len(self._series.row) * self._slots + 16 * len(self.rows)
        verdict = search_everything(budget.additions // a_node, *self._packed.arrays)
        self.proven_infeasible = verdict == NONE
        return 0 if verdict == FOUND else left

    def _least(self, budget: Budget) -> bool:
        """Look for the slate of least deficit where none keeps every bound; whether it is proven to be."""
        costs = in_millionths(np.stack([self._series.high_weight, self._series.low_weight]))
        a_node = 100 + 12 * len(self._series.row) + 8 * len(self.rows)
        row = np.ascontiguousarray(self._series.row)
        return bool(search_least(budget.additions // (2 * a_node), row, costs, *self._packed.arrays) == FOUND)

    def _without_likeness(self) -> int:
        """Too many items are alike for every bound to hold: quotas keep theirs, likeness gives way slot by slot."""
        self._packed.without_likeness()
        return self._find(self._at_start)

    def _relax(self, eased: Eased) -> None:
        """No slate was found that keeps the bounds: ease them to what the best one found keeps."""
        low, high, count = self._packed.low, self._packed.high, self._packed.count
        excess = self._series.peaks(np.maximum(count - high, 0)[:, 1:].max(axis=1, initial=0))
        lacking = self._series.peaks(np.maximum(low - count, 0)[:, 1:].max(axis=1, initial=0))
        self._packed.rebind(
            Eased(
                low=np.maximum(eased.low - lacking[:, None], 0),
                high=np.where(eased.high < NO_CAP, eased.high + excess[:, None], eased.high),
                due=np.maximum(eased.due - lacking, 0),
                changed=True,
            )
        )
        self._find(0)
