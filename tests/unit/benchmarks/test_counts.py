"""The counts of what an algorithm needs, and the model of a lazy scan, held against what the product answers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import ours
from benchmarks.inputs import SHAPES, synthetic
from benchmarks.lazy import least, scanned, utility_table
from benchmarks.operations import eager
from benchmarks.ours import Setting
from reranker import rerank

LAZY = ("dpp", "ssd", "mmr", "cover")


@pytest.mark.parametrize(
    ("setting", "multiply_adds"),
    [
        (Setting("mmr", 0.5), 10 * 4 * 2),
        (Setting("msd", 0.5), 10 * 4 * 2),
        (Setting("dpp", 0.5), 10 * (5 + 6)),
        (Setting("ssd", 0.5), 10 * (5 + 6)),
        (Setting("ssd", 0.5, window=1), 10 * (5 + 6)),
        (Setting("cover", 0.5), 10 * 10 * 4 / 2 + 3 * 10 * 10),
    ],
)
def test_three_slots_of_ten_by_four(setting: Setting, multiply_adds: float) -> None:
    assert eager(setting, 10, 4, 3).multiply_adds == multiply_adds


def test_a_window_bounds_the_width_and_no_slot_needs_nothing() -> None:
    assert eager(Setting("ssd", 0.5, window=2), 10, 4, 6).multiply_adds == 10 * (5 + 6 + 7 + 7 + 7)
    assert eager(Setting("dpp", 0.5), 10, 4, 1).multiply_adds == 0
    assert eager(Setting("dpp", 0.5), 2, 4, 100) == eager(Setting("dpp", 0.5), 2, 4, 2)


@pytest.mark.parametrize("strategy", LAZY)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("diversity", [0.3, 0.5, 1.0])
def test_the_models_utilities_are_the_gains_that_the_product_reports(
    strategy: str, shape: str, diversity: float
) -> None:
    work, setting = synthetic(shape, 60, 12, 6), Setting(strategy, diversity)
    slate = rerank(ours.candidates_of(work), setting.policy(), 6)
    utilities, _ = utility_table(setting, work, slate.positions)
    np.testing.assert_allclose(utilities[np.arange(6), slate.positions], slate.gains, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", LAZY)
def test_a_lazy_scan_does_no_more_than_an_eager_loop_and_less_where_relevance_decides(strategy: str) -> None:
    work = synthetic("uniform", 80, 16, 10)
    counts = []
    for diversity in (0.05, 1.0):
        setting = Setting(strategy, diversity)
        needed = least(setting, work, ours.positions(work, setting.policy()))
        assert needed is not None
        assert needed <= eager(setting, 80, 16, 10).multiply_adds
        counts.append(needed)
    assert counts[0] <= counts[1]


def test_where_utilities_may_rise_no_lazy_count_is_claimed() -> None:
    work = synthetic("uniform", 20, 4, 3)
    for setting in (Setting("ssd", 0.5, window=2), Setting("msd", 0.5)):
        assert least(setting, work, ours.positions(work, setting.policy())) is None


def test_only_bounds_above_the_winner_are_brought_up_to_date() -> None:
    picks = np.array([0, 1], np.int32)
    utilities = np.array([[9.0, 5.0, 4.0, 1.0], [9.0, 3.0, 2.0, 0.0]])
    # Of candidates 1, 2 and 3 the last one's stale 1 is below the 3 that wins.
    assert scanned(utilities, np.array([7.0, 7.0]), picks) == 2 * 7.0
