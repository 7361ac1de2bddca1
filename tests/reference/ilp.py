"""Quotas as an integer programme, solved by HiGHS: which slate is best, and where none keeps every bound, what the
least deficit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, vstack

from tests.reference.naive_quotas import Completions, Instance, Pair

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


def least_deficit(instance: Instance) -> Pair:
    """Rule 5's least pair, found over kinds of items and slots: excess first, then shortfall beside that excess.

    No fixed items, and no prefixes that count labelled items only.
    """
    assert not instance.counted
    assert not instance.fixed
    programme = _Peaks(Completions(instance))
    weights = [cap.weight for _, cap in programme.search.caps]
    weights += [floor.weight for _, floor in programme.search.floors]
    unit = int(np.lcm.reduce([weight.denominator for weight in weights] or [1]))
    costs = np.array([float(weight * unit) for weight in weights])
    is_excess = np.arange(len(weights)) < len(programme.search.caps)
    over = programme.least(np.where(is_excess, costs, 0.0))
    under = programme.least(np.where(is_excess, 0.0, costs))
    return Fraction(over, unit), Fraction(under, unit)


class _Peaks:
    """Kinds of items by slot, and one variable for the peak of each cap and each floor.

    Items that carry the same bounded values are one kind, of which so many may stand in each prefix.
    """

    def __init__(self, search: Completions) -> None:
        self.search, self._slots = search, search.instance.bounds.length
        self._cells = len(search.kinds) * self._slots
        self._peaks = len(search.caps) + len(search.floors)
        self._rows: list[NDArray[np.float64]] = []
        self._low: list[float] = []
        self._high: list[float] = []
        self._placed()
        for column, (_, cap) in enumerate(search.caps):
            for prefix in range(1, self._slots + 1):
                most = cap.most[prefix]
                windows = [(allowed, max(0, prefix - window)) for allowed, window in cap.windows]
                for allowed, start in [*windows, *([] if most is None else [(most, 0)])]:
                    self._add(self._carry(column), slice(start, prefix), -np.inf, allowed, column, -1.0)
        for column, (_, floor) in enumerate(search.floors, len(search.caps)):
            for prefix in range(1, self._slots + 1):
                self._add(self._carry(column), slice(0, prefix), floor.least[prefix], np.inf, column, 1.0)

    def least(self, costs: NDArray[np.float64]) -> int:
        """The least that the peaks cost; from then on they may cost no more than that."""
        objective = np.concatenate([np.zeros(self._cells), costs])
        upper = np.concatenate([np.ones(self._cells), np.full(self._peaks, float(self._slots))])
        constraint = LinearConstraint(csr_array(np.array(self._rows)), self._low, self._high)
        solved = milp(objective, integrality=np.ones(len(upper)), bounds=Bounds(0, upper), constraints=constraint)
        assert solved.status == _OPTIMAL
        self._rows.append(objective)
        self._low.append(-np.inf)
        self._high.append(float(np.rint(solved.fun)) + 0.1)
        return int(np.rint(solved.fun))

    def _placed(self) -> None:
        """One item a slot, no more of a kind than may stand there, kept items in their places."""
        kinds = range(len(self.search.kinds))
        for slot in range(self._slots):
            self._add(list(kinds), slice(slot, slot + 1), 1, 1)
            for kind in kinds:
                self._add([kind], slice(0, slot + 1), -np.inf, self.search.available[slot + 1][kind])
            kept = self.search.instance.kept(slot + 1)
            if kept is not None:
                self._add([self.search.kind_of[kept]], slice(slot, slot + 1), 1, 1)

    def _carry(self, column: int) -> list[int]:
        return [number for number, kind in enumerate(self.search.kinds) if kind[column]]

    def _add(
        self, kinds: list[int], slots: slice, least: float, most: float, peak: int = -1, sign: float = 0.0
    ) -> None:
        row = np.zeros(self._cells + self._peaks)
        row[: self._cells].reshape(-1, self._slots)[kinds, slots] = 1.0
        if peak >= 0:
            row[self._cells + peak] = sign
        self._rows.append(row)
        self._low.append(least)
        self._high.append(most)
