"""A rise is called one when it is there, and only then."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.results.slopes import slope_of


def noisy(change: float, seed: int, noise: float = 0.2, seconds: int = 200) -> list[float]:
    """About ten, and so much more at the end as a share of that."""
    drawn = np.random.default_rng(seed).normal(0, noise, seconds)
    return list(10 * (1 + change * np.linspace(-0.5, 0.5, seconds) + drawn))


def test_a_straight_line_has_its_own_slope() -> None:
    found = slope_of([float(value) for value in range(100, 200)])
    assert found.change == pytest.approx(99 / 149.5, rel=0.06)  # from the first block's middle to the last one's
    assert found.low == pytest.approx(found.high)
    assert found.verdict == "RISES"


def test_the_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    found = [slope_of(noisy(0.3, seed)) for seed in range(200)]
    held = sum(one.low <= 0.3 * 19 / 20 * 1.05 and one.high >= 0.3 * 0.95 for one in found)
    assert 175 <= held <= 200
    assert all(one.verdict == "RISES" for one in found if one.low > 0.05)


def test_noise_without_a_rise_is_flat() -> None:
    verdicts = [slope_of(noisy(0.0, seed, noise=0.02)).verdict for seed in range(100)]
    assert verdicts.count("flat") >= 95


def test_a_fall_is_no_rise_and_too_little_is_not_known() -> None:
    assert slope_of([float(value) for value in range(200, 100, -1)]).verdict == "flat"
    assert slope_of([1.0, 2.0, float("nan")]).verdict == "not known"
    assert slope_of([]).is_flat is None
