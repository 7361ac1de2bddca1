"""What became of each bound on a finished slate, and why: counted afresh, whatever the look-ahead promised (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.tally import tally
from reranker.policy.blocks import NO_CAP, WindowBound
from reranker.quotas.pool import Pool
from reranker.quotas.reasons import Reasons
from reranker.quotas.tables import AttributeTable, Past
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome, SlateStatus

_LOWER, _UPPER, _MET, _BROKEN = BoundKind.LOWER, BoundKind.UPPER, OutcomeStatus.MET, OutcomeStatus.BROKEN
_FOR_WANT_OF_CANDIDATES = {OutcomeReason.SUPPLY, OutcomeReason.GUARD, OutcomeReason.UNKNOWN_LABELS}


def outcomes_of(
    tables: Sequence[AttributeTable], pool: Pool, picks: NDArray[np.int32], asked: int, max_fall: int
) -> tuple[QuotaOutcome, ...]:
    """One outcome for each bounded value and each bound on every value; `asked` is the request's slate size."""
    if not tables:
        return ()
    return tuple(
        outcome for table in tables for outcome in _table_outcomes(table, Reasons(table, pool, asked, max_fall), picks)
    )


def status_of(outcomes: Sequence[QuotaOutcome], minimal: bool) -> SlateStatus:
    """The slate's status from its outcomes (design, section 3); `minimal`: no slate has a lesser deficit, proven."""
    broken = [outcome for outcome in outcomes if outcome.status == _BROKEN]
    if not broken:
        return SlateStatus.SATISFIED
    if all(wants_candidates(outcome) for outcome in broken):
        return SlateStatus.SUPPLY_LIMITED
    return SlateStatus.RELAXED_MINIMAL if minimal else SlateStatus.RELAXED_BEST_EFFORT


def wants_candidates(outcome: QuotaOutcome) -> bool:
    """Whether a bound is broken only because no candidates came, or passed, that would keep it."""
    return outcome.reason in _FOR_WANT_OF_CANDIDATES


def _table_outcomes(table: AttributeTable, reasons: Reasons, picks: NDArray[np.int32]) -> list[QuotaOutcome]:
    found: list[QuotaOutcome] = []
    if table.past is not None and table.relative:
        table = replace(table, past=_past_as_it_binds(table, table.past, picks))
    if len(table.values) > 1:
        floors, caps = _tallied(table, picks, reasons.pool)
        floored, capped = table.bounds.floored, table.bounds.capped
        for row in range(1, len(floors)):
            if floored[row]:
                found.append(_lower_outcome(table, reasons, row, floors[row]))
            if capped[row]:
                found.append(_upper_outcome(table, reasons, row, caps[row]))
    if not table.windows:
        return found
    return found + [_window_outcome(table, reasons, window, picks) for window in table.windows]


def _tallied(table: AttributeTable, picks: NDArray[np.int32], pool: Pool) -> tuple[list[list[int]], list[list[int]]]:
    """What `tally` writes of floors and caps, by row."""
    if table.is_partition:
        start, rows = np.arange(len(picks) + 1, dtype=np.int32), table.kinds.take(picks)
    else:
        by_slot = [table.rows_of(pick) for pick in picks.tolist()]
        start = np.cumsum([0, *map(len, by_slot)], dtype=np.int32)
        rows = np.concatenate([*by_slot, np.zeros(0, np.int32)])
    is_fixed = np.zeros(len(picks), bool)
    if pool.fixed:
        is_fixed[list(pool.fixed)] = True
    lower, upper = _as_they_bind(table, picks)
    floors, caps = np.empty((len(table.values), 5), np.int32), np.empty((len(table.values), 5), np.int32)
    tally(start, rows, is_fixed, lower, upper, NO_CAP, floors, caps)
    return floors.tolist(), caps.tolist()


def _lower_outcome(table: AttributeTable, reasons: Reasons, row: int, tallied: list[int]) -> QuotaOutcome:
    units, first = tallied[0], tallied[1]
    if not units:
        return _outcome(table, _LOWER, row, tallied, None)
    reason = reasons.lower(row, units)
    outcome = _outcome(table, _LOWER, row, tallied, reason)
    if reason == OutcomeReason.SUPPLY and not reasons.lacks_candidates(row, units):
        return replace(outcome, over_fetch=0)  # a list shorter than the slate: more of them would crowd all the same
    if reason == OutcomeReason.CROWDING:
        return replace(outcome, crowded_slots=reasons.crowded_slots(first))
    return outcome


def _upper_outcome(table: AttributeTable, reasons: Reasons, row: int, tallied: list[int]) -> QuotaOutcome:
    return _outcome(table, _UPPER, row, tallied, reasons.upper(row, tallied[0]) if tallied[0] else None)


def _as_they_bind(table: AttributeTable, picks: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Floors and named caps by prefix of this slate; where prefixes count labelled items, by how many it has."""
    if not table.relative:
        return table.lower, table.bounds.named_upper
    labelled = np.concatenate([[0], np.cumsum(table.labelled[picks])])
    lower = table.lower[:, labelled]
    lower[:, -1] = np.maximum(lower[:, -1], table.bounds.due)
    return np.ascontiguousarray(lower), np.ascontiguousarray(table.bounds.named_upper[:, labelled])


def _past_as_it_binds(table: AttributeTable, past: Past, picks: NDArray[np.int32]) -> Past:
    """The bounds on all pages by prefix of this slate, where prefixes count labelled items."""
    labelled = np.concatenate([[0], np.cumsum(table.labelled[picks])])
    lower = past.lower[:, labelled]
    lower[:, -1] = np.maximum(lower[:, -1], past.due)
    return replace(past, lower=lower, named_upper=past.named_upper[:, labelled])


def _outcome(
    table: AttributeTable, bound: BoundKind, row: int, tallied: list[int], reason: OutcomeReason | None
) -> QuotaOutcome:
    units, first, required, achieved, total = tallied
    slots = table.lower.shape[1] - 1
    if table.past is not None:
        required, achieved = _on_all_pages(table.past, bound, row, first, achieved)
        total, slots = total + int(table.past.counts[row]), slots + table.past.items
        first = first + table.past.items if first else 0
    value = "" if table.is_intersection else table.bounds.values[row]
    status, over_fetch = (_BROKEN, units if reason in _FOR_WANT_OF_CANDIDATES else 0) if units else (_MET, 0)
    return QuotaOutcome(
        table.attribute, value, bound, required, achieved, total / slots, first, status, reason, over_fetch
    )


def _on_all_pages(past: Past, bound: BoundKind, row: int, first: int, achieved: int) -> tuple[int, int]:
    """Required and achieved at the first failing prefix, else at the last bounded one, earlier pages included."""
    whole, counts = (past.lower, past.earned) if bound == BoundKind.LOWER else (past.named_upper, past.counts)
    prefix = first or int(np.flatnonzero(whole[row] < NO_CAP)[-1])
    return int(whole[row, prefix]), achieved + int(counts[row])


def _window_outcome(
    table: AttributeTable, reasons: Reasons, window: WindowBound, picks: NDArray[np.int32]
) -> QuotaOutcome:
    values, counts, before = _value_counts(table, window, picks)
    slots = counts.shape[1] - 1
    length = window.window or slots
    inside = counts.copy()
    inside[:, length:] -= counts[:, : slots + 1 - length] if length <= slots else 0
    inside[:, : before + 1] = 0  # what was shown before is past mending
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
        share=_largest_share(table, window, counts, before),
        first_failing_prefix=at - before + (table.past.items if table.past else 0) if excess else 0,
        status=OutcomeStatus.BROKEN if excess else OutcomeStatus.MET,
        reason=reason,
        over_fetch=max(excess, reasons.unfilled(window)) if reason in _FOR_WANT_OF_CANDIDATES else 0,
    )


def _largest_share(table: AttributeTable, window: WindowBound, counts: NDArray[np.int32], before: int) -> float:
    """Share of the most frequent value: of this slate, or of all pages where the bound speaks of them together."""
    items, shown = counts.shape[1] - 1 - before, 0
    if table.past is not None and not window.window:
        before, shown = 0, table.past.items
    most = int((counts[:, -1] - counts[:, before]).max(initial=0))
    return most / (items + shown) if items + shown else 0.0


def _value_counts(
    table: AttributeTable, window: WindowBound, picks: NDArray[np.int32]
) -> tuple[list[str], NDArray[np.int32], int]:
    """The values on the slate, bounded or not, and their counts in the first t slots: int32 (values, slots + 1).

    Items that were shown before, as many as the last number says, come in front of the slate as far as they count.
    """
    column = table.column
    if column.offsets is None:
        codes = [[code] if code else [] for code in column.codes[picks].tolist()]
    else:
        codes = [column.codes[slice(*column.offsets[pick : pick + 2])].tolist() for pick in picks.tolist()]
    before = _shown_before(table, window)
    row_of: dict[int, int] = {}
    items = [*before, *codes]
    counts = np.zeros((len({code for item in items for code in item}), len(items) + 1), np.int32)
    for slot, item in enumerate(items, start=1):
        for code in item:
            counts[row_of.setdefault(code, len(row_of)), slot] += 1
    return [column.values[code - 1] for code in row_of], np.cumsum(counts, axis=1, dtype=np.int32), len(before)


def _shown_before(table: AttributeTable, window: WindowBound) -> list[list[int]]:
    """The codes of earlier items that a window can still reach; without a length it holds earlier pages whole."""
    if table.past is None:
        return []
    if window.window:
        return table.past.trail[len(table.past.trail) - min(window.window - 1, len(table.past.trail)) :]
    return [table.past.everything]
