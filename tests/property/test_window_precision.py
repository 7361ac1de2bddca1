"""Windowed DPP and SSD against float64 twins on embeddings that are hard on arithmetic, over slates of many windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker.kernels import ssd
from reranker.kernels.bases import REFRESH
from reranker.kernels.dpp import CLAMP
from reranker.kernels.pick import BLOCK
from reranker.kernels.spectrum import SCAN_ERROR
from reranker.strategies.dpp_window import WindowedDppStrategy
from reranker.strategies.spectrum import SpectrumStrategy
from reranker.strategies.ssd import SsdStrategy
from tests.property.test_dpp_precision import FAMILIES, Residuals, families
from tests.reference.bare_strategies import bare, falling, open_gate
from tests.reference.naive_strategies import directions, sliding_residuals

pytestmark = pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python

Floats = NDArray[np.float64]
COUNT, SLOTS = 160, 150  # more than twice what is absorbed before live candidates are swept clean
MARGIN = 1e-7  # what the strategies owe: gains to this, and picks wherever the best leads by more


def rows_of(name: str, seed: int) -> NDArray[np.float32]:
    return dict(families(np.random.default_rng(seed)))[name][:COUNT].astype(np.float32)


def conditioned(rows: NDArray[np.float32], shifted: bool, window: int, earlier: list[int]) -> Floats:
    """The gain by brute force: the variance that the last picks leave, all of them taken in anew."""
    residuals = Residuals.of(rows, shifted)
    for pick in earlier[max(0, len(earlier) - window + 1) :]:
        residuals.condition_on(pick)
    return np.log(np.maximum(residuals.variances(), CLAMP))


def spectral(rows: NDArray[np.float32], shifted: bool, window: int, earlier: list[int]) -> Floats:
    """The gain by explicit residual vectors and a ring of bases."""
    vectors = directions(rows, len(rows), "cosine_shifted" if shifted else "cosine")
    return np.asarray(np.linalg.norm(sliding_residuals(vectors, earlier, window), axis=1))


GAINS: dict[str, Callable[[NDArray[np.float32], bool, int, list[int]], Floats]] = {"dpp": conditioned, "ssd": spectral}


def made(
    name: str, rows: NDArray[np.float32], relevance: Floats, diversity: float, shifted: bool, window: int
) -> SpectrumStrategy:
    gate = open_gate(np.zeros(len(rows), np.int32), 1, SLOTS)
    strategy = bare(name, relevance, rows, diversity, shifted, gate, window)
    assert isinstance(strategy, SpectrumStrategy)
    return strategy


def check(name: str, rows: NDArray[np.float32], diversity: float, shifted: bool, window: int) -> int:
    """Compare every slot given the strategy's own earlier picks; how many had a clear winner."""
    relevance, clear = falling(np.random.default_rng(window), len(rows)), 0
    strategy = made(name, rows, relevance, diversity, shifted, window)
    strategy.select(0, SLOTS)
    free = np.ones(len(rows), bool)
    picks = strategy.gate.picks.tolist()
    for slot, pick in enumerate(picks):
        free[pick] = False
        if slot > 20 and slot % 5:
            continue  # the twins begin anew for every slot
        utility = (1.0 - diversity) * relevance + diversity * GAINS[name](rows, shifted, window, picks[:slot])
        others = np.sort(utility[free])
        where = (diversity, shifted, slot)
        assert strategy.gate.gains[slot] == pytest.approx(utility[pick], abs=MARGIN), where
        assert utility[pick] >= others[-1] - MARGIN, where
        clear += utility[pick] > others[-1] + MARGIN
    return clear


@pytest.mark.parametrize("strategy", ["dpp", "ssd"])
@pytest.mark.parametrize("window", [2, 3, 8, 40])
@pytest.mark.parametrize("name", FAMILIES)
def test_gains_and_picks_equal_the_twin(name: str, window: int, strategy: str) -> None:
    rows = rows_of(name, window)
    clear = check(strategy, rows, 0.1, True, window) + check(strategy, rows, 0.9, False, window)
    assert clear > 10


def test_an_ssd_may_hold_one_base() -> None:
    for name in FAMILIES:
        check("ssd", rows_of(name, 0), 0.5, True, 1)


def test_what_a_copy_says_counts_once_its_original_has_left() -> None:
    """Item 1 copies item 0 and adds nothing beside it; alone in the window it repels item 2, their other copy."""
    rows = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    gate = open_gate(np.zeros(5, np.int32), 1, 4)
    gate.forced[:3] = [0, 1, 3]
    strategy = bare("dpp", np.zeros(5), rows, 1.0, False, gate, window=3)
    strategy.select(0, 4)
    assert gate.picks.tolist() == [0, 1, 3, 4]
    assert strategy.parts(3)[1][2] == pytest.approx(np.log(CLAMP))


def test_a_window_forgets_what_left_it_and_an_ssd_does_not_quite() -> None:
    """Items 0 and 1 are 60 degrees apart. SSD's second base is item 1 beside item 0, and stays so."""
    half = np.sqrt(0.75)
    rows = np.array([[1, 0, 0], [0.5, half, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    gates = [open_gate(np.zeros(4, np.int32), 1, 4) for _ in range(2)]
    for gate in gates:
        gate.forced[:3] = [0, 1, 2]
    dpp = bare("dpp", np.zeros(4), rows, 1.0, False, gates[0], window=3)
    ssd = bare("ssd", np.zeros(4), rows, 1.0, False, gates[1], window=2)
    for strategy in (dpp, ssd):
        strategy.select(0, 3)
    assert np.exp(dpp.parts(3)[1][3]) == pytest.approx(0.75)  # cosine 0.5 to item 1
    assert ssd.parts(3)[1][3] == pytest.approx(1.0)  # orthogonal to what item 1 added to item 0


def known(strategy: SpectrumStrategy, slot: int) -> tuple[NDArray[np.int64], Floats]:
    """Candidates of which the scan knows what all bases leave, and that; checks that it is a bound for the others."""
    if isinstance(strategy, SsdStrategy):
        *_, left, seen, _ = strategy._ring
        begun = np.flatnonzero(seen >= 0)
        exact = strategy.left_over(slot)
        assert (left[begun] >= exact[begun] - ssd.SCAN_ERROR / 10).all()
        some = np.flatnonzero(seen >= slot)
        return some, left[some]
    assert isinstance(strategy, WindowedDppStrategy)
    *_, residual, _, _, where, _ = strategy._window
    candidates = np.arange(len(strategy._worth))
    some = candidates[where[candidates // BLOCK] >= 0]
    return some, residual[where[some // BLOCK] * BLOCK + some % BLOCK]


@pytest.mark.parametrize("strategy", ["dpp", "ssd"])
@pytest.mark.parametrize("shifted", [False, True])
def test_the_scan_is_ten_times_better_than_its_bound(strategy: str, shifted: bool) -> None:
    worst, measured = 0.0, 0
    for name in FAMILIES:
        for window, diversity in ((4, 0.02), (4, 1.0), (30, 0.3), (100, 1.0)):
            rows = rows_of(name, window)
            made_of = made(strategy, rows, np.linspace(2.0, -2.0, COUNT), diversity, shifted, window)
            for slot in range(SLOTS):
                made_of.select(slot, slot + 1)
                some, left = known(made_of, slot)
                measured += len(some)
                worst = max(worst, float(np.abs(left - made_of.left_over(slot)[some]).max(initial=0.0)))
            basis = made_of._bases
            drift = np.abs(basis @ basis.T - np.diag(basis.any(axis=1).astype(np.float64))).max()
            assert drift < 1e-12, (name, window)
    assert worst < min(SCAN_ERROR, ssd.SCAN_ERROR) / 10
    assert measured > 10_000


def test_slates_here_outlast_a_sweep() -> None:
    assert SLOTS > 2 * REFRESH
