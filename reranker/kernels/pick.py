"""What every strategy's loop shares: who may stand in a slot, and when two utilities are equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.jit import inner

GRID = 2.0**30
EXACT_FROM = 2.0**22


@inner
def may_stand(slot: int, taken: bool, kind_is_open: bool, release: int) -> bool:
    """The candidate is free, its kind is open and its first permitted slot (from 1) has come.

    Scalars, not arrays: an array handed to a helper costs two atomic reference counts a call, more than the test
    itself.
    """
    return not taken and kind_is_open and release <= slot + 1


@inner
def resolve(utility: float) -> float:
    """A utility on a grid of 2^-30, so that equal utilities stay equal whatever order their sums were taken in."""
    if abs(utility) < EXACT_FROM:
        rounded: float = np.rint(utility * GRID) / GRID
        return rounded
    return utility


def resolved(utility: NDArray[np.float64]) -> NDArray[np.float64]:
    """`resolve` for an array, outside kernels."""
    fine = np.abs(utility) < EXACT_FROM
    return np.where(fine, np.rint(np.where(fine, utility, 0.0) * GRID) / GRID, utility)
