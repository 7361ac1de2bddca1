import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reranker.replay import bootstrap
from reranker.replay.bootstrap import Column, halves, intervals
from tests.reference import naive_bootstrap

UNIT = st.floats(0.0, 1.0, width=32)


def one(values: object, low: float = 0.0, high: float = 1.0, level: float = 0.95, **how: int) -> bootstrap.Interval:
    return intervals([Column(np.asarray(values, np.float64), low, high)], [level], **how)[0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(UNIT | st.just(math.nan), min_size=1, max_size=12),
    st.sampled_from([(0.0, 1.0), (-math.inf, math.inf), (0.0, math.inf), (-1.0, 2.0)]),
    st.sampled_from([0.5, 0.9, 0.95]),
    st.integers(0, 5),
)
def test_an_interval_is_what_its_definition_says(
    values: list[float], ends: tuple[float, float], level: float, seed: int
) -> None:
    draws = 41
    found = one(values, *ends, level=level, seed=seed, draws=draws)
    if all(map(math.isnan, values)):
        assert found.requests == 0
        assert math.isnan(found.mean)
        return
    generator = np.random.default_rng(seed)
    weights = generator.standard_exponential((draws, len(values)))
    unseen = generator.standard_exponential((draws, 1))
    low, high = naive_bootstrap.ends(values, *ends, level, weights.tolist(), unseen[:, 0].tolist())
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.mean == pytest.approx(np.nanmean(values), abs=1e-9)
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize(("ones", "requests"), [(0, 30), (30, 30), (29, 30), (15, 30), (3, 200)])
def test_of_zeros_and_ones_it_is_clopper_and_pearsons(ones: int, requests: int) -> None:
    found = one([1.0] * ones + [0.0] * (requests - ones), draws=40_000)
    low = stats.beta.ppf(0.025, ones, requests - ones + 1) if ones else 0.0
    high = stats.beta.ppf(0.975, ones + 1, requests - ones) if ones < requests else 1.0
    assert found.low == pytest.approx(low, abs=0.004)
    assert found.high == pytest.approx(high, abs=0.004)


def synthetic(name: str, requests: int, samples: int) -> tuple[np.ndarray, float, float, float]:
    """Samples (samples, requests) with their range and their true mean."""
    generator = np.random.default_rng(7)
    if name == "rare failures":
        return (generator.random((samples, requests)) < 0.97).astype(float), 0.0, 1.0, 0.97
    if name == "skewed":
        return generator.beta(8.0, 0.5, (samples, requests)), 0.0, 1.0, 8.0 / 8.5
    if name == "rare changes":
        changed = generator.random((samples, requests)) < 0.05
        return np.where(changed, -generator.random((samples, requests)), 0.0), -1.0, 1.0, -0.025
    return generator.normal(0.3, 0.1, (samples, requests)), -math.inf, math.inf, 0.3


@pytest.mark.parametrize("name", ["rare failures", "skewed", "rare changes", "bell"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_cover_the_truth_as_often_as_they_say(name: str, level: float) -> None:
    samples, low, high, truth = synthetic(name, 60, 600)
    found = intervals([Column(sample, low, high) for sample in samples], [level] * len(samples), draws=1_000)
    missed_below = np.mean([interval.high < truth for interval in found])
    missed_above = np.mean([interval.low > truth for interval in found])
    # Three standard errors of 600 samples; measures with no range have a plain bootstrap's small shortfall.
    share = (1.0 - level) / 2.0
    most = share + 3.0 * math.sqrt(share * (1.0 - share) / len(samples)) + (0.01 if name == "bell" else 0.0)
    assert missed_below <= most
    assert missed_above <= most


def test_more_requests_make_it_narrower_and_one_more_of_all_is_never_certain() -> None:
    small, large = one([1.0] * 30), one([1.0] * 3_000)
    assert small.low < 0.93 < large.low < 1.0
    assert small.high == large.high == 1.0


def test_equal_input_gives_equal_intervals_whatever_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    columns = [Column(generator.random(50), 0.0, 1.0) for _ in range(7)]
    together = intervals(columns, [0.9] * 7, draws=300)
    monkeypatch.setattr(bootstrap, "_COLUMNS", 2)
    apart = intervals(columns, [0.9] * 7, draws=300)
    assert [x.low for x in apart] == pytest.approx([x.low for x in together])
    assert [x.high for x in apart] == pytest.approx([x.high for x in together])
    assert one(columns[3].values, level=0.9, draws=300).low == pytest.approx(together[3].low)
    assert intervals(columns, [0.9] * 7, draws=300, seed=1) != together


def test_beyond_the_most_units_the_interval_stays_what_it_was() -> None:
    values = np.random.default_rng(2).beta(2.0, 3.0, 20_000)
    found = one(values)
    spread = 1.96 * values.std() / math.sqrt(len(values))
    assert found.requests == 20_000
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.mean == pytest.approx(spread, rel=0.15)
    assert found.mean - found.low == pytest.approx(spread, rel=0.15)


@given(st.lists(UNIT, min_size=2, max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_noise_of_halves_is_one_of_all_halvings(values: list[float]) -> None:
    (found,) = halves([np.array(values)], draws=200)
    exact = naive_bootstrap.halvings(values)
    assert min(abs(found - each) for each in exact) < 1e-9
    assert found >= np.quantile(exact, 0.5) - 1e-9


def test_the_noise_of_halves_shrinks_with_the_root_of_the_requests() -> None:
    generator = np.random.default_rng(3)
    small, large = halves([generator.normal(size=400)]), halves([generator.normal(size=40_000)])
    assert small[0] == pytest.approx(1.96 * 2.0 / math.sqrt(400), rel=0.25)
    assert large[0] == pytest.approx(small[0] / 10.0, rel=0.35)


def test_nothing_has_no_interval() -> None:
    assert intervals([], []) == []
    assert halves([]) == []
    assert one([math.nan, math.nan]).requests == 0
    assert math.isnan(halves([np.array([math.nan, 1.0])])[0])
