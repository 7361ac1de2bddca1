"""The look-ahead on one partition against brute force: every order of kinds of small random instances is tried."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels.gate import least_shortfall, open_kinds_now, plan_bounds
from reranker.policy.blocks import NO_CAP

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Small:
    """Candidates of a few kinds, bounds on the kinds, and what the planner makes of them."""

    kind: Ints
    release: Ints
    keep_top: int
    lower: Ints
    cap: Ints
    weight: NDArray[np.float64]

    @property
    def slots(self) -> int:
        return int(self.lower.shape[1]) - 1

    @cached_property
    def plan(self) -> tuple[list[int], Ints, Ints, Ints, Ints]:
        """What `plan_bounds` returns, and the excess, supply, upper and shortfall that it writes."""
        shape = self.lower.shape
        excess = np.zeros(shape[0], np.int32)
        supply, upper, shortfall = np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape[0], np.int32)
        found = plan_bounds(
            self.kind, self.release, self.keep_top, self.lower, self.cap, excess, supply, upper, shortfall
        )
        return found.tolist(), excess, supply, upper, shortfall

    @cached_property
    def orders(self) -> Ints:
        """Counts by kind and prefix of every order of kinds that the candidates and the kept items allow."""
        kinds = len(self.lower)
        pins = [[int(k)] for k in self.kind[: self.keep_top]]
        free = [range(kinds)] * (self.slots - self.keep_top)
        orders = np.array(list(itertools.product(*pins, *free)), np.int32)
        one_hot = orders[:, None, :] == np.arange(kinds)[:, None]
        counts = np.cumsum(np.pad(one_hot, ((0, 0), (0, 0), (1, 0))), axis=2, dtype=np.int32)
        there = np.array(
            [[np.sum((self.kind == k) & (self.release <= t)) for t in range(self.slots + 1)] for k in range(kinds)]
        )
        return np.asarray(counts[(counts <= there).all(axis=(1, 2))])

    @property
    def capped(self) -> Ints:
        """Those orders that keep the caps, eased by the excess that kept items cause."""
        excess = self.plan[1]
        return np.asarray(self.orders[(self.orders <= self.cap + excess[:, None]).all(axis=(1, 2))])

    def lacking(self, counts: Ints) -> Ints:
        """The peak shortfall of each kind in each order."""
        return np.asarray(np.maximum(self.lower - counts, 0).max(axis=2))


def small(seed: int, crowd: float) -> Small:
    """`crowd` is how much lower bounds ask for, in slots."""
    rng = np.random.default_rng(seed)
    kinds, slots = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    count = int(rng.integers(slots, 10))
    kind = rng.integers(int(rng.random() < 0.4), kinds, count).astype(np.int32)  # often everybody has a bounded value
    rank = np.arange(1, count + 1)
    release = np.where(rng.random(count) < rng.choice([0.3, 0.7, 1.0]), 1, rank).astype(np.int32)
    lower, cap = np.zeros((kinds, slots + 1), np.int32), np.full((kinds, slots + 1), NO_CAP, np.int32)
    for k in range(1, kinds):
        share = rng.random() * 2 * crowd / kinds
        lower[k] = np.floor(np.arange(slots + 1) * share)
        if rng.random() < 0.3:
            lower[k, rng.integers(1, slots + 1) :] += rng.integers(1, 3)
        if rng.random() < 0.5:
            within = rng.integers(1, slots + 1)
            cap[k, : within + 1] = np.ceil(np.arange(within + 1) * rng.random() + rng.integers(0, 2))
    weight = rng.choice([0.5, 1.0, 2.0], kinds)
    weight[0] = 0.0
    return Small(kind, release, int(rng.integers(0, min(3, slots + 1))), lower, cap, weight)


def drawn(start: int, stop: int, crowd: float) -> list[tuple[int, Small]]:
    return [(seed, small(seed, crowd)) for seed in range(start, stop)]


def test_supply_counts_who_may_stand_in_each_prefix() -> None:
    for seed, instance in drawn(0, 100, 0.5):
        supply = instance.plan[2]
        for k, t in itertools.product(range(len(instance.lower)), range(instance.slots + 1)):
            assert supply[k, t] == np.sum((instance.kind == k) & (instance.release <= t)), seed


def test_the_first_prefix_that_caps_leave_empty_is_found() -> None:
    unfilled = 0
    for seed, instance in drawn(0, 1000, 0.5):
        assert (instance.plan[0][0] == 0) == (len(instance.capped) > 0), seed
        unfilled += instance.plan[0][0] > 0
    assert 10 < unfilled < 900


def test_kept_items_cause_the_least_excess() -> None:
    for seed, instance in drawn(0, 400, 0.5):
        over = (instance.orders - instance.cap).max(axis=2)[:, : len(instance.lower)]
        assert (instance.plan[1] <= np.maximum(over, 0).min(axis=0, initial=99)).all(), seed


@pytest.mark.parametrize("crowd", [0.3, 0.8, 1.2])
def test_a_conflict_is_found_exactly_when_no_order_keeps_the_eased_bounds(crowd: float) -> None:
    conflicts, checked = 0, 0
    for seed, instance in drawn(0, 500, crowd):
        found, _, _, _, shortfall = instance.plan
        if found[0]:
            continue
        kept = (instance.lacking(instance.capped) <= shortfall).all(axis=1).any()
        assert kept == (found[1] == 0), seed
        checked += 1
        conflicts += found[1] > 0
    assert 0 < conflicts < checked


@pytest.mark.parametrize("crowd", [0.3, 0.8])
def test_a_kind_is_open_exactly_when_some_order_goes_on_from_it(crowd: float) -> None:
    steps = closed = 0
    for seed, instance in drawn(500, 1000, crowd):
        found, _, supply, upper, shortfall = instance.plan
        if found[0] or found[1]:
            continue
        lower = np.maximum(instance.lower - shortfall[:, None], 0).astype(np.int32)
        good = instance.capped[(instance.lacking(instance.capped) <= shortfall).all(axis=1)]
        rng = np.random.default_rng(seed)
        for slot in range(instance.keep_top, instance.slots):
            counts = good[0, :, slot].copy()
            is_open = np.zeros(len(lower), bool)
            open_kinds_now(slot, lower, upper, counts, is_open)
            is_open &= counts < supply[:, slot + 1]  # somebody of the kind is left who may stand here
            goes_on = set((good[:, :, slot + 1] > good[:, :, slot]).argmax(axis=1).tolist())
            assert set(np.flatnonzero(is_open).tolist()) == goes_on, (seed, slot)
            steps, closed = steps + 1, closed + (len(goes_on) < len(lower))
            pick = int(rng.choice(sorted(goes_on)))
            good = good[good[:, pick, slot + 1] > good[:, pick, slot]]
    assert steps > 300
    assert closed > 100


@pytest.mark.parametrize("crowd", [0.8, 1.5])
def test_the_least_shortfall_is_the_least_of_all_orders(crowd: float) -> None:
    crowded = 0
    for seed, instance in drawn(1000, 1400, crowd):
        found, _, _, upper, floor = instance.plan
        if found[0]:
            continue
        crowded += found[1] > 0
        best = (instance.lacking(instance.capped) @ instance.weight).min()
        shortfall = np.empty_like(floor)
        cost = least_shortfall(
            instance.keep_top, instance.capped[0, :, instance.keep_top].copy(), instance.lower, upper, floor,
            instance.weight, by_weight(instance), shortfall,
        )  # fmt: skip
        assert cost == pytest.approx(best), seed
        assert cost == pytest.approx(shortfall @ instance.weight)
    assert crowded > 10


def by_weight(instance: Small) -> Ints:
    return np.argsort(-instance.weight, kind="stable").astype(np.int32)
