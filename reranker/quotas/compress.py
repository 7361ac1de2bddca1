"""One attribute around fixed items: the slots that are left, renumbered, carry the same exact theory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.policy.blocks import NO_CAP
from reranker.quotas.pool import Pool
from reranker.quotas.tables import AttributeTable


@dataclass(frozen=True, slots=True, eq=False)
class Compressed:
    """A table and a pool without fixed items; `slot_of` int32 (slots,) is each slot's new number, -1 when fixed."""

    table: AttributeTable
    pool: Pool
    slot_of: NDArray[np.int32]


def without_fixed(table: AttributeTable, pool: Pool) -> Compressed | None:
    """The problem on the slots that no fixed item takes; None when kept items do not come first among them.

    A floor binds a free prefix as its last slot says, a cap as its strictest slot does, less the fixed items there.
    """
    fixed = np.array(list(pool.fixed), np.intp)
    free = np.setdiff1d(np.arange(pool.slots), fixed)
    kept = pool.forced[free]
    keep_top = int((kept >= 0).sum())
    if (kept[:keep_top] < 0).any():
        return None
    slot_of = np.full(pool.slots, -1, np.int32)
    slot_of[free] = np.arange(len(free))
    upto = np.zeros(pool.slots + 1, np.intp)  # free slots among the first t
    upto[1:] = np.cumsum(slot_of >= 0)
    candidates = np.setdiff1d(np.arange(len(pool)), [*pool.fixed.values(), *kept[:keep_top].tolist()])
    candidates = np.concatenate([kept[:keep_top], candidates])
    release = upto[np.minimum(pool.release[candidates], pool.slots + 1) - 1] + 1
    forced = np.full(len(free), -1, np.int32)
    forced[:keep_top] = np.arange(keep_top)
    slimmer = Pool({}, pool.passes[candidates], release.astype(np.int32), keep_top, len(free), forced, {})
    lower, upper = _bounds(table, pool, upto, len(free))
    bounds = replace(table.bounds, lower=lower, upper=upper, named_upper=upper)
    kinds = table.kinds[candidates]
    column = AttributeColumn(table.column.values, kinds)
    return Compressed(
        replace(table, bounds=bounds, codes=kinds, code_offsets=None, column=column, known=table.labelled[candidates]),
        slimmer,
        slot_of,
    )


def _bounds(
    table: AttributeTable, pool: Pool, upto: NDArray[np.intp], slots: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    used = np.zeros_like(table.upper)
    for slot, candidate in pool.fixed.items():
        used[table.kinds[candidate], slot + 1 :] += 1
    cap = np.where(table.upper < NO_CAP, table.upper - used, NO_CAP)
    lower = np.zeros((len(table.values), slots + 1), np.int32)
    upper = np.full((len(table.values), slots + 1), NO_CAP, np.int32)
    floors = np.maximum.accumulate(table.lower, axis=1)
    for t, u in enumerate(upto.tolist()):
        lower[:, u] = np.maximum(lower[:, u], floors[:, t])
        upper[:, u] = np.minimum(upper[:, u], cap[:, t])
    return lower, upper
