"""DIV@k: is every group present, and could it be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS = 1_000  # of the search for a cover of more values than slots: some 20 ms


def div(carries: NDArray[np.bool_]) -> float | None:
    """DIV@k of one list: 1 if each value is carried by at least one item, else 0; None when there are no values.

    `carries` bool (k, V) is the list's membership. Unknown items take up slots. The mean over requests is Pinterest's
    DIV@k with every request in the denominator.
    """
    if carries.shape[1] == 0:
        return None
    return float(carries.any(axis=0).all())


def div_ceiling(carries: NDArray[np.bool_], eligible: NDArray[np.bool_] | None, slots: int) -> float | None:
    """The best DIV@k that the candidates allow: 1 if some `slots` of them carry every value, else 0.

    `carries` bool (N, V) is the candidates' membership; `eligible` bool (N,) leaves out who may not be lifted into the
    slate: pass "guarded, or upstream rank <= slots" (such an item can always stand at its own rank). None when there
    are no values, or when items carry several of more values than slots and the search for a cover gave up.
    """
    supply = carries if eligible is None else carries[eligible]
    values = carries.shape[1]
    if values == 0:
        return None
    if not supply.any(axis=0).all():
        return 0.0
    if values <= slots:
        return 1.0
    if supply.sum(axis=1).max() * slots < values:
        return 0.0
    return _covers(supply, slots)


def _covers(supply: NDArray[np.bool_], slots: int) -> float | None:
    """1 if `slots` rows together carry every value, 0 if not, None if unknown: depth first on the rarest value."""
    sets = np.unique(supply, axis=0)
    steps = _MOST_STEPS

    def search(missing: NDArray[np.bool_], left: int) -> bool | None:
        nonlocal steps
        needed = np.count_nonzero(missing)
        if needed == 0:
            return True
        steps -= 1
        if steps < 0:
            return None
        useful = sets & missing
        if int(useful.sum(axis=1).max()) * left < needed:
            return False
        rarest = np.where(missing, useful.sum(axis=0), len(sets) + 1).argmin()
        choices = np.unique(useful[useful[:, rarest]], axis=0)
        for choice in choices[np.argsort(-choices.sum(axis=1), kind="stable")]:
            found = search(missing & ~choice, left - 1)
            if found is not False:
                return found
        return False

    found = search(np.ones(supply.shape[1], bool), slots)
    return None if found is None else float(found)
