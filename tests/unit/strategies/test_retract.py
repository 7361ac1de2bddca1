"""A pick that is undone leaves nothing behind: the slot is filled as if for the first time."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.kernels.gate import Gate
from reranker.strategies import Strategy
from tests.reference.bare_strategies import MODES, SAMPLED, bare, falling, hard_rows, open_gate

KINDS, SLOTS = 4, 8
EVERY = [*MODES, (SAMPLED, 0)]


def pair(name: str, window: int, rng: np.random.Generator, bounded: bool = False) -> tuple[Strategy, Strategy]:
    """The same strategy twice, each under a gate of its own."""
    count = int(rng.integers(SLOTS, 31))
    kind = rng.integers(KINDS, size=count).astype(np.int32)
    relevance, rows = falling(rng, count), hard_rows(rng, count)
    diversity, shifted = float(rng.choice([1e-6, 0.3, 0.7, 1.0])), bool(rng.random() < 0.5)
    made = []
    for _ in range(2):
        gate = open_gate(kind, KINDS, SLOTS)
        if bounded:
            gate.bounded = True
            gate.upper = np.tile(np.minimum(np.arange(SLOTS + 1), 5).astype(np.int32), (KINDS, 1))
        made.append(bare(name, relevance, rows, diversity, shifted, gate, window))
    return made[0], made[1]


def drawn_kinds(rng: np.random.Generator, gate: Gate) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Some kinds of which a candidate is left."""
    left = np.unique(gate.kind[~gate.taken])
    is_open = rng.random(KINDS) < 0.5
    is_open[rng.choice(left)] = True
    return is_open


def same(left: Strategy, right: Strategy, slots: int) -> None:
    for name in ("picks", "gains", "taken", "counts"):
        np.testing.assert_array_equal(getattr(left.gate, name), getattr(right.gate, name), name)
    for mine, other in zip(left.parts(slots), right.parts(slots), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize(("name", "window"), EVERY)
def test_detours_leave_no_trace(name: str, window: int, adjusted: bool) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tried, fresh = pair(name, window, rng)
        for slot in range(SLOTS):
            if adjusted:
                bonus = rng.normal(size=len(fresh.gate.kind)) * float(rng.choice([0.0, 1.0, 1e6]))
                tried.adjust(bonus)
                fresh.adjust(bonus)
            for _ in range(int(rng.integers(5))):
                tried.gate.is_open[:] = drawn_kinds(rng, tried.gate)
                tried.select(slot, slot + 1)
                tried.retract(slot)
            is_open = drawn_kinds(rng, fresh.gate)
            for strategy in (tried, fresh):
                strategy.gate.is_open[:] = is_open
                strategy.select(slot, slot + 1)
            assert tried.gate.picks[slot] >= 0
            same(tried, fresh, slot + 1)


@pytest.mark.parametrize(("name", "window"), EVERY)
def test_counts_of_a_bounded_gate_go_back_too(name: str, window: int) -> None:
    for seed in range(8):
        tried, fresh = pair(name, window, np.random.default_rng(seed), bounded=True)
        fresh.select(0, SLOTS)
        for slot in range(SLOTS):
            for _ in range(3):
                tried.select(slot, slot + 1)
                tried.retract(slot)
            tried.select(slot, slot + 1)
        same(tried, fresh, SLOTS)


@pytest.mark.parametrize(("name", "window"), EVERY)
def test_the_last_of_several_slots_can_be_undone(name: str, window: int) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        tried, fresh = pair(name, window, rng)
        tried.select(0, SLOTS - 1)
        tried.retract(SLOTS - 2)
        fresh.select(0, SLOTS - 2)
        is_open = drawn_kinds(rng, fresh.gate)
        for strategy in (tried, fresh):
            strategy.gate.is_open[:] = is_open
            strategy.select(SLOTS - 2, SLOTS - 1)
            strategy.gate.is_open[:] = True
            strategy.select(SLOTS - 1, SLOTS)
        same(tried, fresh, SLOTS)


@pytest.mark.parametrize(("name", "window"), EVERY)
def test_a_bonus_may_change_before_the_pick_is_undone(name: str, window: int) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tried, fresh = pair(name, window, rng)
        for slot in range(SLOTS):
            count = len(fresh.gate.kind)
            tried.adjust(rng.normal(size=count) * 1e6)
            tried.select(slot, slot + 1)
            bonus = rng.normal(size=count) * float(rng.choice([1e-3, 1.0, 1e6]))
            bonus[tried.gate.picks[slot]] += float(rng.choice([-10.0, 10.0, 1e6]))
            tried.adjust(bonus)
            tried.retract(slot)
            fresh.adjust(bonus)
            for strategy in (tried, fresh):
                strategy.select(slot, slot + 1)
            same(tried, fresh, slot + 1)


@pytest.mark.parametrize(("name", "window"), EVERY)
def test_a_slot_without_a_candidate_has_nothing_to_undo(name: str, window: int) -> None:
    tried, _ = pair(name, window, np.random.default_rng(0))
    tried.gate.is_open[:] = False
    tried.select(0, 1)
    assert tried.gate.picks[0] == -1
    with pytest.raises(AssertionError, match="only a pick"):
        tried.retract(0)
    tried.gate.is_open[:] = True
    tried.select(0, 1)
    assert tried.gate.picks[0] >= 0
