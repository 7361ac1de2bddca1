"""Schedules against the arithmetic of their shapes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtest.arrivals import KINDS, Arrivals, trace
from loadtest.arrivals.shapes import Stretch, times
from loadtest.arrivals.trace import gaps
from loadtest.errors import LoadtestError

SECOND = 1_000_000_000


def schedule(kind: str, rate: float = 200, seconds: float = 10, warm_up: float = 0, **words: Any) -> NDArray[np.int64]:
    return Arrivals(kind, words).schedule(rate, seconds, warm_up, seed=3)


def by_second(due: NDArray[np.int64], seconds: int) -> NDArray[np.int64]:
    return np.bincount(due // SECOND, minlength=seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_ascends_keeps_its_mean_rate_and_is_the_same_for_the_same_seed(kind: str) -> None:
    due = schedule(kind, rate=500, seconds=20)
    assert (np.diff(due) >= 0).all()
    assert due[0] >= 0
    assert due[-1] < 20 * SECOND
    assert len(due) == pytest.approx(10_000, rel=0.03)
    assert (due == schedule(kind, rate=500, seconds=20)).all()


def test_constant_is_even_to_the_nanosecond() -> None:
    due = schedule("constant", rate=250, seconds=4)
    assert len(due) == 1000
    assert set(np.diff(due).tolist()) == {4_000_000}


def test_poisson_gaps_are_exponential_and_its_counts_have_the_variance_of_their_mean() -> None:
    due = schedule("poisson", rate=1000, seconds=60)
    between = np.diff(due) / SECOND
    assert between.std() == pytest.approx(between.mean(), rel=0.03)
    assert (between > 2e-3).mean() == pytest.approx(np.exp(-2), rel=0.05)
    counts = np.bincount(due // (SECOND // 10))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.2)


def test_steps_hold_their_levels() -> None:
    due = schedule("step", rate=100, seconds=9, levels=[1, 2, 3], spacing="even")
    assert by_second(due, 9).tolist() == [50, 50, 50, 100, 100, 100, 150, 150, 150]


def test_a_ramp_is_the_inverse_of_its_integral() -> None:
    due = schedule("ramp", rate=100, seconds=10, first=0, last=2, spacing="even") / SECOND
    # The rate is 20·t, so k + ½ requests are due when 10·t² = k + ½.
    np.testing.assert_allclose(due, np.sqrt((np.arange(1000) + 0.5) / 10), atol=1e-8)


def test_a_ramp_down_ends_at_nothing() -> None:
    due = schedule("ramp", rate=100, seconds=10, first=2, last=0, spacing="even") / SECOND
    np.testing.assert_allclose(due, 10 - np.sqrt((1000 - np.arange(1000) - 0.5) / 10), atol=1e-6)


def test_bursts_stand_at_the_end_of_each_period() -> None:
    due = schedule("burst", rate=140, seconds=10, times=5, every=5, lasts=1, spacing="even")
    # Four calm seconds and one of five times as much: 9 parts in 5 seconds.
    calm = 140 * 5 / 9
    counts = by_second(due, 10)
    np.testing.assert_allclose(counts, [*[calm] * 4, 5 * calm] * 2, atol=1)


def test_a_nearly_flat_ramp_keeps_its_digits() -> None:
    due = times([Stretch(1e4, 100.0, 100.0 + 1e-9)], None)
    np.testing.assert_allclose(np.diff(due), 0.01, rtol=1e-6)


def test_a_replay_is_the_trace_drawn_together() -> None:
    due = schedule("replay", rate=100, seconds=20, trace="code", first=10) / SECOND
    assert len(due) == 2000
    recorded = gaps("code")[11:2010]
    np.testing.assert_allclose(np.diff(due) / np.diff(due).sum(), recorded / recorded.sum(), atol=1e-7)


def test_a_replayed_trace_has_bursts_that_poisson_misses() -> None:
    def dispersion(due: NDArray[np.int64]) -> float:
        counts = by_second(due, 40)
        return float(counts.var() / counts.mean())

    assert dispersion(schedule("replay", rate=200, seconds=40, trace="code")) > 20
    assert dispersion(schedule("poisson", rate=200, seconds=40)) < 3


def test_a_replay_longer_than_the_trace_starts_anew() -> None:
    due = schedule("replay", rate=2000, seconds=10, trace="code")
    assert len(due) == 20_000 > 2 * len(gaps("code"))
    assert (np.diff(due) >= 0).all()


def test_the_warm_up_is_even_and_comes_before_the_shape() -> None:
    due = schedule("ramp", rate=100, seconds=10, warm_up=2, first=0, last=2, spacing="even")
    assert by_second(due, 12)[:2].tolist() == [100, 100]
    assert len(due) == 1200


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        ("sawtooth", {}, "must be one of constant, poisson"),
        ("poisson", {"levels": [1]}, "unknown: levels"),
        ("step", {"levels": []}, "above 0"),
        ("step", {"levels": [-1, 2]}, "0 or more"),
        ("ramp", {"first": 0, "last": 0}, "above 0"),
        ("burst", {"lasts": 6}, "less than arrivals.every"),
        ("replay", {"trace": "nowhere"}, "there are code, conversation"),
        ("step", {"spacing": "random"}, "spacing"),
        ("step", {"levels": 3}, "arrivals.levels must be a list"),
        ("step", {"levels": [float("inf"), 1]}, "at most 1,000,000"),
        ("step", {"levels": [float("nan"), 1]}, "at most 1,000,000"),
        ("ramp", {"first": float("inf")}, "at most 1,000,000"),
        ("replay", {"first": 0.5}, "arrivals.first must be of type int"),
        ("replay", {"first": 10**21}, "at most 1,000,000"),
        ("replay", {"trace": [1]}, "arrivals.trace must be of type str"),
        ("burst", {"every": 1e-7, "lasts": 1e-8}, "arrivals.lasts must be 0.01 or more"),
        ("burst", {"every": 0.05, "lasts": 0.02}, "arrivals.every must be 0.1 or more"),
        ("burst", {"every": float("inf")}, "at most 1,000,000"),
    ],
)
def test_words_that_make_no_sense_are_named(kind: str, words: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadtestError, match=says):
        Arrivals(kind, words)


def test_traces_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gaps.cache_clear()
    monkeypatch.setattr(trace, "FILE", tmp_path / "none.npz")
    with pytest.raises(LoadtestError, match=r"cannot be read from .*none\.npz"):
        Arrivals("replay")
    gaps.cache_clear()


def test_many_short_bursts_are_worked_out_at_once() -> None:
    began = time.monotonic()
    due = schedule("burst", rate=100, seconds=3600, every=0.1, lasts=0.01)
    assert len(due) == pytest.approx(360_000, rel=0.02)
    assert time.monotonic() - began < 20
