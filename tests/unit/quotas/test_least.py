"""The least deficit on one partition against brute force: every order of kinds of small random instances is tried."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels.gate import Gate
from reranker.quotas.budget import Budget
from reranker.quotas.least import LeastGate
from reranker.quotas.partition import pinned_counts
from reranker.quotas.tables import Bounds
from tests.unit.kernels.test_gate import Ints, Small, drawn


def bounds(instance: Small) -> Bounds:
    rows = len(instance.lower)
    cap_weight = np.concatenate([[0.0], instance.weight[:0:-1]])
    none = np.zeros(rows, np.int32)
    values = tuple(f"v{row}" for row in range(rows))
    return Bounds(values, instance.lower, instance.cap, instance.weight, cap_weight, instance.cap, (), 0, none)


def gate(instance: Small) -> Gate:
    rows, slots = len(instance.lower), instance.slots
    count = len(instance.kind)
    empty = np.zeros((rows, 0), np.int32)
    return Gate(
        instance.kind, instance.release, np.full(slots, -1, np.int32), False, empty, empty, np.zeros(rows, np.int32),
        np.ones(rows, bool), np.zeros(count, bool), np.full(slots, -1, np.int32), np.zeros(slots),
    )  # fmt: skip


def costs(instance: Small, made: Bounds) -> NDArray[np.float64]:
    """Weighted peak excess and peak shortfall of every order, as one number: excess outweighs any shortfall."""
    over = np.maximum(instance.orders - instance.cap, 0).max(axis=2) @ made.upper_weight
    return np.asarray(over * 1000.0 + instance.lacking(instance.orders) @ made.lower_weight)


def opened(driver: LeastGate, behind: Gate, slot: int) -> set[int]:
    """Kinds that the driver lets stand in the slot, asked the way a selection asks."""
    driver.open(slot)
    first = {kind: int(np.flatnonzero(behind.kind == kind)[0]) for kind in set(behind.kind.tolist())}
    return {kind for kind, pick in first.items() if behind.is_open[kind] and driver.accept(slot, pick)}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("crowd", [0.5, 1.5])
def test_a_kind_is_open_exactly_when_the_least_deficit_stays_in_reach(crowd: float, lazy: bool) -> None:
    relaxed = closed = both = 0
    for seed, instance in drawn(2000, 4500, crowd):
        if not (instance.plan[0][0] or instance.plan[0][1]):
            continue
        made, behind, rng = bounds(instance), gate(instance), np.random.default_rng(seed)
        pinned = pinned_counts(instance.kind, len(instance.lower), instance.keep_top)
        driver = LeastGate(made, instance.plan[2], pinned, behind, instance.keep_top, Budget(), lazy)
        cost = costs(instance, made)
        good: Ints = instance.orders[cost <= cost.min() + 1e-9]
        both += 0 < cost.min() % 1000.0 < cost.min()
        for slot in range(instance.keep_top, instance.slots):
            goes_on = set((good[:, :, slot + 1] > good[:, :, slot]).argmax(axis=1).tolist())
            assert opened(driver, behind, slot) == goes_on, (seed, slot)
            closed += len(goes_on) < len(made.values)
            kind = int(rng.choice(sorted(goes_on)))
            pick = int(np.flatnonzero(instance.kind == kind)[0])
            assert driver.accept(slot, pick)
            driver.commit(slot, pick)
            good = good[good[:, kind, slot + 1] > good[:, kind, slot]]
        assert driver.exact
        relaxed += 1
    assert relaxed > 100
    assert closed > 100
    assert both > 3


def test_what_no_search_could_decide_is_not_called_exact() -> None:
    """Without a budget for searches the bounds from both sides decide alone: mostly, and never wrongly."""
    decided = 0
    for seed, instance in drawn(4000, 5000, 1.5):
        if not (instance.plan[0][0] or instance.plan[0][1]):
            continue
        made, behind = bounds(instance), gate(instance)
        pinned = pinned_counts(instance.kind, len(instance.lower), instance.keep_top)
        driver = LeastGate(made, instance.plan[2], pinned, behind, instance.keep_top, Budget(0), False)
        cost = costs(instance, made)
        good = instance.orders[cost <= cost.min() + 1e-9]
        if driver.exact:
            goes_on = set((good[:, :, instance.keep_top + 1] > good[:, :, instance.keep_top]).argmax(axis=1).tolist())
            assert opened(driver, behind, instance.keep_top) <= goes_on, seed
            decided += driver.exact
    assert decided > 50
