from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fit import power
from benchmarks.growth import fitted, table
from benchmarks.operations import eager
from benchmarks.ours import Setting


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.7, 2.0])
def test_a_known_power_is_found(exponent: float) -> None:
    sizes = [10, 100, 1000, 5000]
    fit = power(sizes, [3.0 * size**exponent for size in sizes])
    assert fit.exponent == pytest.approx(exponent, abs=1e-12)
    assert fit.factor == pytest.approx(3.0)
    assert fit.explained == pytest.approx(1.0)


def test_noise_moves_an_exponent_by_little_and_lowers_what_is_explained() -> None:
    numbers = np.random.default_rng(0)
    sizes = np.geomspace(10, 10_000, 30)
    fit = power(sizes.tolist(), (sizes * numbers.uniform(0.9, 1.1, 30)).tolist())
    assert fit.exponent == pytest.approx(1.0, abs=0.03)
    assert 0.9 < fit.explained < 1.0


@pytest.mark.parametrize(("exponent", "beyond"), [(1.0, 0), (1.04, 0), (1.2, 1)])
def test_a_sweep_is_held_against_the_count_of_its_algorithm(exponent: float, beyond: int) -> None:
    setting = Setting("mmr", 0.5)
    points = [
        {"N": n, "eager_multiply_adds": eager(setting, n, 8, 5).multiply_adds}
        | dict.fromkeys(("ours_ms", "ours_checked_ms", "ours_select_ms", "peer_ms"), n**exponent)
        for n in (100, 300, 1000)
    ]
    sweep = fitted("N", setting, points)
    assert sweep["fits"]["ours_ms"]["exponent"] == pytest.approx(exponent)
    assert sweep["fits"]["eager_multiply_adds"]["exponent"] == pytest.approx(1.0)
    assert len(table([sweep])) == beyond
