"""Quotas as an integer programme, solved by HiGHS: is there a slate that keeps every bound, and which is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, vstack

from tests.reference.naive_quotas import Instance

_OPTIMAL, _LIMIT, _INFEASIBLE = 0, 1, 2  # what SciPy's milp reports


@dataclass(frozen=True)
class Solved:
    """`feasible` is None when the time was up first; `slate` the best one found, and whether it is known to be best."""

    feasible: bool | None
    slate: list[int]
    best: bool


def dcg(scores: Sequence[float], slate: Sequence[int]) -> float:
    """Discounted cumulated gain of the scores themselves."""
    return float(sum(scores[item] / np.log2(slot + 1) for slot, item in enumerate(slate, 1)))


def solve(instance: Instance, *, seconds: float = 30.0, optimise: bool = True) -> Solved:
    """One 0/1 variable for each item and slot. Prefixes that count labelled items only are not linear: not taken."""
    assert not instance.counted
    items, slots = len(instance.scores), instance.bounds.length
    may_stand = np.array([[instance.may_stand(i, slot) for slot in range(1, slots + 1)] for i in range(items)])
    rows, low, high = _constraints(instance)
    discount = 1.0 / np.log2(np.arange(2, slots + 2))
    gains = np.outer(np.array(instance.scores), discount).ravel()
    found = milp(
        -gains if optimise else np.zeros(items * slots),
        integrality=np.ones(items * slots),
        bounds=Bounds(0, may_stand.astype(float).ravel()),
        constraints=LinearConstraint(rows, low, high),
        options={"time_limit": seconds},
    )
    if found.x is None:
        return Solved(False if found.status == _INFEASIBLE else None, [], False)
    placed = np.rint(found.x).reshape(items, slots)
    return Solved(True, placed.argmax(axis=0).tolist(), found.status == _OPTIMAL)


def _constraints(instance: Instance) -> tuple[csr_array, NDArray[np.float64], NDArray[np.float64]]:
    items, slots = len(instance.scores), instance.bounds.length
    rows: list[csr_array] = []
    low: list[float] = []
    high: list[float] = []

    def add(who: NDArray[np.bool_], where: NDArray[np.bool_], least: float, most: float) -> None:
        rows.append(csr_array(np.outer(who, where).astype(float).reshape(1, -1)))
        low.append(least)
        high.append(most)

    everybody, everywhere = np.ones(items, bool), np.ones(slots, bool)
    slot_of = np.arange(1, slots + 1)
    for slot in slot_of:
        add(everybody, slot_of == slot, 1, 1)
    for item in range(items):
        add(np.arange(items) == item, everywhere, 0, 1)
    earning = ~np.isin(slot_of, list(instance.fixed))
    for value, floor in instance.bounds.floors.items():
        carried = np.array([instance.carries(item, value) for item in range(items)])
        for prefix in slot_of:
            if floor.least[prefix] > 0:
                add(carried, earning & (slot_of <= prefix), floor.least[prefix], np.inf)
    for value, cap in instance.bounds.caps.items():
        carried = np.array([instance.carries(item, value) for item in range(items)])
        for prefix in slot_of:
            most = cap.most[prefix]
            if most is not None:
                add(carried, slot_of <= prefix, -np.inf, most)
            for allowed, window in cap.windows:
                add(carried, (slot_of <= prefix) & (slot_of > prefix - window), -np.inf, allowed)
    return vstack(rows), np.array(low, float), np.array(high, float)
