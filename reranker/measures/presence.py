"""DIV@k: is every group present, and could it be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.measures.groups import Membership

_MOST_WORK = 20_000_000  # entries that the search for a cover may look at, whatever their number: some 100 ms
_STEP = 20_000  # what each of its steps costs beside that
_DEEPEST = 400  # picks in a row, well within Python's limit of recursion


def div(members: Membership) -> float | None:
    """DIV@k of one list: 1 if each value is carried by at least one item, else 0; None when there are no values.

    `members` is the list's membership in the values that are asked for. Unknown items take up slots. The mean over
    requests is Pinterest's DIV@k with every request in the denominator.
    """
    return float(members.counts.all()) if members.width else None


def div_ceiling(members: Membership, eligible: NDArray[np.bool_] | None, slots: int) -> float | None:
    """The best DIV@k that the candidates allow: 1 if some `slots` of them carry every value, else 0.

    `members` is the candidates' membership; `eligible` bool (N,) leaves out who may not be lifted into the slate: pass
    "guarded, or upstream rank <= slots" (such an item can always stand at its own rank). None when there are no
    values, or when items carry several of more values than slots and the search for a cover gave up.
    """
    supply = members if eligible is None else members.of(np.flatnonzero(eligible))
    values = members.width
    if values == 0:
        return None
    if not supply.counts.all():
        return 0.0
    if values <= slots:
        return 1.0
    if int(supply.lengths.max()) * slots < values:
        return 0.0
    return _covers(supply, slots)


def _covers(supply: Membership, slots: int) -> float | None:
    """1 if `slots` items together carry every value, 0 if not, None if unknown: depth first on the rarest value."""
    rows, carried, counts = supply.rows, supply.carried, supply.counts
    carriers = rows[np.argsort(carried, kind="stable")]
    begins = np.append(0, np.cumsum(counts))
    work = _MOST_WORK

    def search(missing: NDArray[np.bool_], left: int) -> bool | None:
        nonlocal work
        needed = np.count_nonzero(missing)
        if needed == 0:
            return True
        work -= _STEP + len(rows)
        if work < 0 or slots - left >= _DEEPEST:
            return None
        most = np.bincount(rows, weights=missing[carried]).max()
        if int(most) * left < needed:
            return False
        rarest = np.where(missing, counts, len(rows) + 1).argmin()
        able = supply.of(carriers[begins[rarest] : begins[rarest + 1]])
        work -= len(able.labelled) * able.width
        if work < 0:
            return None
        useful = able.carries & missing
        gains = useful.sum(axis=1)
        distinct = {useful[row].tobytes(): row for row in np.argsort(gains, kind="stable").tolist()}
        for row in reversed(distinct.values()):
            choice = useful[row]
            found = search(missing & ~choice, left - 1)
            if found is not False:
                return found
        return False

    found = search(np.ones(supply.width, bool), slots)
    return None if found is None else float(found)
