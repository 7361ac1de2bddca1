"""What became of each bound on a finished slate, and why: counted afresh, whatever the look-ahead promised (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.policy.compile import NO_CAP, WindowBound
from reranker.quotas.reasons import lower_reason, upper_reason, window_reason
from reranker.quotas.tables import AttributeTable, Pool
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome, QuotaTier, SlateStatus

_FOR_WANT_OF_CANDIDATES = {OutcomeReason.SUPPLY, OutcomeReason.GUARD, OutcomeReason.UNKNOWN_LABELS}


@dataclass(frozen=True, slots=True)
class Broken:
    """A bound that fails: by how much at the worst prefix, and at which prefix first."""

    units: int
    first: int


def slate_counts(table: AttributeTable, picks: NDArray[np.int32]) -> NDArray[np.int32]:
    """How many of each row stand in the first t slots: int32 (rows, slots + 1); row 0 counts the unbounded."""
    counts = np.zeros((len(table.values), len(picks) + 1), np.int32)
    if table.is_partition:
        counts[table.kinds[picks], np.arange(1, len(picks) + 1)] = 1
    else:
        for slot, pick in enumerate(picks.tolist()):
            counts[table.rows_of(pick), slot + 1] = 1
    return np.cumsum(counts, axis=1, dtype=np.int32)


def outcomes_of(
    tables: Sequence[AttributeTable], pool: Pool, picks: NDArray[np.int32], asked: int
) -> tuple[QuotaOutcome, ...]:
    """One outcome for each bounded value and each bound on every value; `asked` is the request's slate size."""
    return tuple(
        outcome
        for table in tables
        for outcome in _table_outcomes(table, pool, slate_counts(table, picks), picks, asked)
    )


def status_of(outcomes: Sequence[QuotaOutcome], tier: QuotaTier) -> SlateStatus:
    """The slate's status from its outcomes (design, section 3)."""
    broken = [outcome for outcome in outcomes if outcome.status == OutcomeStatus.BROKEN]
    if not broken:
        return SlateStatus.SATISFIED
    if all(outcome.reason in _FOR_WANT_OF_CANDIDATES for outcome in broken):
        return SlateStatus.SUPPLY_LIMITED
    return SlateStatus.RELAXED_BEST_EFFORT if tier == QuotaTier.HEURISTIC else SlateStatus.RELAXED_MINIMAL


def _table_outcomes(
    table: AttributeTable, pool: Pool, counts: NDArray[np.int32], picks: NDArray[np.int32], asked: int
) -> list[QuotaOutcome]:
    found = []
    slots = len(picks)
    for row in range(1, len(table.values)):
        if table.lower[row].any():
            lacking = _worst(table.lower[row] - counts[row])
            reason = lower_reason(table, pool, row, lacking.units, asked) if lacking.units else None
            found.append(_outcome(table, row, BoundKind.LOWER, table.lower[row], counts[row], lacking, slots, reason))
        if table.bounds.capped[row]:
            over = _worst(counts[row] - table.upper[row])
            reason = upper_reason(table, pool, row, over.units) if over.units else None
            found.append(_outcome(table, row, BoundKind.UPPER, table.upper[row], counts[row], over, slots, reason))
    found += [_window_outcome(table, pool, window, counts) for window in table.windows]
    return found


def _worst(deficit: NDArray[np.int32]) -> Broken:
    failing = np.flatnonzero(deficit > 0)
    return Broken(int(deficit.max()), int(failing[0])) if len(failing) else Broken(0, 0)


def _outcome(
    table: AttributeTable,
    row: int,
    bound: BoundKind,
    limits: NDArray[np.int32],
    counts: NDArray[np.int32],
    broken: Broken,
    slots: int,
    reason: OutcomeReason | None,
) -> QuotaOutcome:
    last = int(np.flatnonzero(limits < NO_CAP)[-1])
    at = broken.first or last
    required, achieved = int(limits[at]), int(counts[at])
    value = table.values[row]
    return QuotaOutcome(
        attribute=table.attribute,
        value=value,
        bound=bound,
        required=required,
        achieved=achieved,
        share=int(counts[slots]) / slots if slots else 0.0,
        first_failing_prefix=broken.first,
        status=OutcomeStatus.BROKEN if broken.units else OutcomeStatus.MET,
        reason=reason,
        over_fetch=broken.units if reason in _FOR_WANT_OF_CANDIDATES else 0,
    )


def window_excess(counts: NDArray[np.int32], limit: int, window: int) -> NDArray[np.int32]:
    """How far each row exceeds `limit` in the window that ends at each prefix: int32, the shape of `counts`."""
    before = np.zeros_like(counts)
    length = window or counts.shape[1]
    if length < counts.shape[1]:
        before[:, length:] = counts[:, :-length]
    return counts - before - limit


def _window_outcome(table: AttributeTable, pool: Pool, window: WindowBound, counts: NDArray[np.int32]) -> QuotaOutcome:
    over = window_excess(counts[1:], window.limit, window.window)
    slots = counts.shape[1] - 1
    worst = int(over.max(initial=-window.limit))
    broken = worst > 0
    first = int(np.flatnonzero((over > 0).any(axis=0))[0]) if broken else 0
    reason = window_reason(table, pool, window) if broken else None
    most = max(worst + window.limit, 0)
    return QuotaOutcome(
        attribute=table.attribute,
        value="",
        bound=BoundKind.WINDOW,
        required=window.limit,
        achieved=most,
        share=int(counts[1:, -1].max(initial=0)) / slots if slots else 0.0,
        first_failing_prefix=first,
        status=OutcomeStatus.BROKEN if broken else OutcomeStatus.MET,
        reason=reason,
        over_fetch=worst if reason in _FOR_WANT_OF_CANDIDATES else 0,
    )
