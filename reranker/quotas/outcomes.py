"""What became of each bound on a finished slate, and why: counted afresh, whatever the look-ahead promised (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.policy.blocks import NO_CAP, WindowBound
from reranker.quotas.pool import Pool
from reranker.quotas.reasons import Reasons
from reranker.quotas.tables import AttributeTable
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


def _fixed_counts(table: AttributeTable, pool: Pool) -> NDArray[np.int32]:
    """How many fixed items of each row stand in the first t slots; they never meet a minimum (rule 2)."""
    counts = np.zeros((len(table.values), pool.slots + 1), np.int32)
    for slot, candidate in pool.fixed.items():
        counts[table.rows_of(candidate), slot + 1] = 1
    return np.cumsum(counts, axis=1, dtype=np.int32)


def outcomes_of(
    tables: Sequence[AttributeTable], pool: Pool, picks: NDArray[np.int32], asked: int, max_fall: int
) -> tuple[QuotaOutcome, ...]:
    """One outcome for each bounded value and each bound on every value; `asked` is the request's slate size."""
    return tuple(
        outcome for table in tables for outcome in _table_outcomes(table, Reasons(table, pool, asked, max_fall), picks)
    )


def status_of(outcomes: Sequence[QuotaOutcome], tier: QuotaTier) -> SlateStatus:
    """The slate's status from its outcomes (design, section 3)."""
    broken = [outcome for outcome in outcomes if outcome.status == OutcomeStatus.BROKEN]
    if not broken:
        return SlateStatus.SATISFIED
    if all(outcome.reason in _FOR_WANT_OF_CANDIDATES for outcome in broken):
        return SlateStatus.SUPPLY_LIMITED
    return SlateStatus.RELAXED_BEST_EFFORT if tier == QuotaTier.HEURISTIC else SlateStatus.RELAXED_MINIMAL


def _table_outcomes(table: AttributeTable, reasons: Reasons, picks: NDArray[np.int32]) -> list[QuotaOutcome]:
    found = []
    counts = slate_counts(table, picks)
    earned = counts - _fixed_counts(table, reasons.pool) if reasons.pool.fixed else counts
    lower, upper = _as_they_bind(table, picks)
    slots = len(picks)
    for row in range(1, len(table.values)):
        if table.bounds.lower_weight[row] > 0:
            lacking = _worst(lower[row] - earned[row])
            reason = reasons.lower(row, lacking.units) if lacking.units else None
            outcome = _outcome(table, row, BoundKind.LOWER, lower[row], earned[row], lacking, slots, reason)
            if reason == OutcomeReason.CROWDING:
                outcome = replace(outcome, crowded_slots=reasons.crowded_slots(lacking.first))
            found.append(outcome)
        cap = upper[row]
        if cap.min() < NO_CAP:
            over = _worst(counts[row] - cap)
            reason = reasons.upper(row, over.units) if over.units else None
            found.append(_outcome(table, row, BoundKind.UPPER, cap, counts[row], over, slots, reason))
    found += [_window_outcome(table, reasons, window, picks) for window in table.windows]
    return found


def _as_they_bind(table: AttributeTable, picks: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Floors and named caps by prefix of this slate; where prefixes count labelled items, by how many it has."""
    if not table.relative:
        return table.lower, table.bounds.named_upper
    labelled = np.concatenate([[0], np.cumsum(table.labelled[picks])])
    lower = table.lower[:, labelled]
    lower[:, -1] = np.maximum(lower[:, -1], table.bounds.due)
    return lower, table.bounds.named_upper[:, labelled]


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
    value = "" if table.is_intersection else table.values[row]
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


def _window_outcome(
    table: AttributeTable, reasons: Reasons, window: WindowBound, picks: NDArray[np.int32]
) -> QuotaOutcome:
    values, counts = _value_counts(table.column, picks)
    slots = len(picks)
    length = window.window or slots
    inside = counts.copy()
    inside[:, length:] -= counts[:, : slots + 1 - length] if length <= slots else 0
    most = inside.max(axis=0, initial=0)
    failing = np.flatnonzero(most > window.limit)
    at = int(failing[0]) if len(failing) else int(most.argmax())
    culprit = values[int(inside[:, at].argmax())] if len(failing) else ""
    excess = max(0, int(most.max()) - window.limit)
    reason = reasons.window(window, excess) if excess else None
    return QuotaOutcome(
        attribute=table.attribute,
        value=culprit,
        bound=BoundKind.WINDOW,
        required=window.limit,
        achieved=int(most[at]),
        share=int(counts[:, -1].max(initial=0)) / slots if slots else 0.0,
        first_failing_prefix=at if excess else 0,
        status=OutcomeStatus.BROKEN if excess else OutcomeStatus.MET,
        reason=reason,
        over_fetch=excess if reason in _FOR_WANT_OF_CANDIDATES else 0,
    )


def _value_counts(column: AttributeColumn, picks: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """The values on the slate, bounded or not, and their counts in the first t slots: int32 (values, slots + 1)."""
    if column.offsets is None:
        codes = [[code] if code else [] for code in column.codes[picks].tolist()]
    else:
        codes = [column.codes[slice(*column.offsets[pick : pick + 2])].tolist() for pick in picks.tolist()]
    row_of: dict[int, int] = {}
    counts = np.zeros((len({code for item in codes for code in item}), len(picks) + 1), np.int32)
    for slot, item in enumerate(codes, start=1):
        for code in item:
            counts[row_of.setdefault(code, len(row_of)), slot] = 1
    return [column.values[code - 1] for code in row_of], np.cumsum(counts, axis=1, dtype=np.int32)
