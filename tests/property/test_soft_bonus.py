"""A bonus on top of every utility: equal to the float64 twins, however large or small, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.strategies import Strategy
from tests.reference import naive_aspects
from tests.reference.bare_strategies import MODES, Floats, bare, falling, hard_rows, open_gate, twin_of
from tests.reference.naive_strategies import Twin

pytestmark = pytest.mark.slow  # under coverage: hundreds of lists with kernels as plain Python

KINDS, SLOTS = 3, 10
DIVERSITIES = (1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0)
SIZES = (1e-12, 1e-9, 1e-3, 1.0, 30.0, 1e3, 1e6)
# What two arithmetics agree to: on residuals next to the clamp, and on sums over a list of float32 similarities.
NEAR = {"cover": 2e-5}
NEAR_ALL = 1e-6


def drawn_bonus(rng: np.random.Generator, count: int) -> Floats:
    """Like that of soft quotas (few values), or arbitrary; many candidates get none."""
    size = float(rng.choice(SIZES))
    bonus = rng.normal(size=count) if rng.random() < 0.5 else rng.integers(-2, 3, count).astype(np.float64)
    bonus[rng.random(count) < float(rng.choice([0.0, 0.6, 1.0]))] = 0.0
    return size * bonus


def drive(
    strategy: Strategy, rng: np.random.Generator, slot: int, bonus: Floats | None
) -> tuple[Floats | None, set[int]]:
    """Fill one slot under a random gate and perhaps a new bonus; the bonus in force and who might have stood there."""
    gate = strategy.gate
    if rng.random() < (0.9 if bonus is None else 0.6):
        bonus = drawn_bonus(rng, len(gate.kind))
        strategy.adjust(bonus)
    gate.is_open[:] = rng.random(KINDS) < 0.7
    free = np.flatnonzero(~gate.taken)
    gate.is_open[gate.kind[rng.choice(free)]] = True
    allowed = {int(i) for i in free if gate.is_open[gate.kind[i]] and gate.release[i] <= slot + 1}
    if gate.forced[slot] >= 0:
        allowed = {int(gate.forced[slot])}
    strategy.select(slot, slot + 1)
    return bonus, allowed


def utilities(twin: Twin, earlier: list[int], allowed: set[int], bonus: Floats | None) -> dict[int, float]:
    extra = np.zeros(len(twin.scores)) if bonus is None else bonus
    return {item: utility + float(extra[item]) for item, utility in twin.utilities(earlier, allowed).items()}


def prepared(
    name: str, window: int, rng: np.random.Generator, relevance: Floats, rows: NDArray[np.float32]
) -> tuple[Strategy, Twin]:
    count = len(rows)
    gate = open_gate(rng.integers(KINDS, size=count).astype(np.int32), KINDS, SLOTS)
    gate.release[:] = np.where(rng.random(count) < 0.1, np.arange(count) + 1, 1)
    if rng.random() < 0.3:
        gate.forced[0] = int(rng.integers(count))  # nobody can have been picked before
    diversity, shifted = float(rng.choice(DIVERSITIES)), bool(rng.random() < 0.5)
    return (
        bare(name, relevance, rows, diversity, shifted, gate, window),
        twin_of(name, relevance, rows, diversity, shifted, window, gate=gate),
    )


@pytest.mark.parametrize(("name", "window"), MODES)
@pytest.mark.parametrize("batch", range(4))
def test_picks_and_gains_equal_the_twin(name: str, window: int, batch: int) -> None:
    clear, near = 0, NEAR.get(name, NEAR_ALL)
    for seed in range(batch * 60, batch * 60 + 60):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(SLOTS, 41))
        strategy, twin = prepared(name, window, rng, falling(rng, count), hard_rows(rng, count))
        if name == "relevance":
            twin = twin_of(name, strategy.problem.weighted_relevance(), np.zeros((count, 1), np.float32), 0.0, False)
        earlier: list[int] = []
        bonus: Floats | None = None
        for slot in range(SLOTS):
            bonus, allowed = drive(strategy, rng, slot, bonus)
            pick = int(strategy.gate.picks[slot])
            if not allowed:
                assert pick == -1
                break
            found = utilities(twin, earlier, allowed, bonus)
            ranked = sorted(found.values(), reverse=True)
            where = (seed, slot, twin.diversity)
            assert pick in allowed, where
            assert strategy.gate.gains[slot] == pytest.approx(found[pick], abs=near, rel=1e-12), where
            assert found[pick] >= ranked[0] - near, where
            if len(ranked) == 1 or ranked[0] - ranked[1] > near:
                clear += 1
                assert found[pick] == ranked[0], where
            earlier.append(pick)
    assert clear > 200


@pytest.mark.parametrize(("name", "window"), MODES)
@pytest.mark.parametrize("size", [2.0**-10, 1.0, 2.0**20, 2.0**30])
def test_equal_utilities_go_to_the_first_upstream(name: str, window: int, size: float) -> None:
    """One-hot embeddings, relevance and bonus in quarters: sums are exact, so ties are too."""
    tied = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(SLOTS, 31))
        relevance = np.sort(rng.integers(-4, 5, count) / 4.0)[::-1].copy()
        rows = np.eye(6, dtype=np.float32)[rng.integers(6, size=count)]
        gate = open_gate(np.zeros(count, np.int32), 1, SLOTS)
        strategy = bare(name, relevance, rows, 0.5, False, gate, window)
        twin = twin_of(name, relevance, rows, 0.5, False, window, gate=gate)
        if name == "relevance":
            twin = twin_of(name, relevance / 2, rows, 0.0, False)
        earlier: list[int] = []
        for slot in range(SLOTS):
            bonus = size / 4.0 * rng.integers(-2, 3, count).astype(np.float64)
            strategy.adjust(bonus)
            strategy.select(slot, slot + 1)
            found = utilities(twin, earlier, set(range(count)), bonus)
            near = [item for item, utility in found.items() if utility >= max(found.values()) - 1e-9]
            tied += len(near) > 1
            assert gate.picks[slot] == min(near), (seed, slot)
            earlier.append(int(gate.picks[slot]))
    assert tied > (10 if name in naive_aspects.NAMES else 20)


@pytest.mark.parametrize(("name", "window"), MODES)
def test_a_bonus_of_nothing_changes_nothing(name: str, window: int) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(SLOTS, 61))
        relevance, rows, diversity = falling(rng, count), hard_rows(rng, count), float(rng.choice(DIVERSITIES))
        plain, zero = (
            bare(name, relevance, rows, diversity, True, open_gate(np.zeros(count, np.int32), 1, SLOTS), window)
            for _ in range(2)
        )
        plain.select(0, SLOTS)
        for slot in range(SLOTS):
            zero.adjust(np.zeros(count))
            zero.select(slot, slot + 1)
        np.testing.assert_array_equal(plain.gate.picks, zero.gate.picks)
        np.testing.assert_array_equal(plain.gate.gains, zero.gate.gains)


@pytest.mark.parametrize(("name", "window"), MODES)
def test_parts_leave_the_bonus_out(name: str, window: int) -> None:
    rng = np.random.default_rng(7)
    relevance, rows, bonus = falling(rng, 20), hard_rows(rng, 20), 5.0 * rng.normal(size=20)
    strategy = bare(name, relevance, rows, 0.5, True, open_gate(np.zeros(20, np.int32), 1, SLOTS), window)
    assert strategy.bonus is None
    for slot in range(SLOTS):
        before = [part.copy() for part in strategy.parts(slot)]
        strategy.adjust(bonus)
        after = strategy.parts(slot)
        np.testing.assert_array_equal(before, after)
        assert strategy.bonus is bonus
        strategy.select(slot, slot + 1)
        pick = strategy.gate.picks[slot]
        assert strategy.gate.gains[slot] == pytest.approx(after[0][pick] + after[1][pick] + bonus[pick], abs=1e-9)
