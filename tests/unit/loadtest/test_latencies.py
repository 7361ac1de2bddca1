"""Percentiles against plain ranks; requests without an answer are slower than any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from loadtest.errors import LoadtestError
from loadtest.results import latencies
from loadtest.results.latencies import Latencies

MS = 1_000_000


def holding(milliseconds: object, unanswered: int = 0) -> Latencies:
    made = Latencies()
    made.add((np.asarray(milliseconds, np.float64) * MS).astype(np.int64))
    made.add_unanswered(unanswered)
    return made


@pytest.mark.parametrize("count", [1, 2, 7, 99, 100, 101, 1000, 4321])
@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.9, 100])
def test_a_percentile_is_the_value_of_its_rank(count: int, percent: float) -> None:
    values = np.sort(np.random.default_rng(count).lognormal(1, 1, count))
    rank = max(1, math.ceil(percent * count / 100 - 1e-9))
    assert holding(values).percentile(percent) == pytest.approx(values[rank - 1], rel=2e-3, abs=1e-3)


def test_requests_without_an_answer_are_the_slowest() -> None:
    found = holding(np.arange(1, 91), unanswered=10)
    assert (found.answered, found.count) == (90, 100)
    assert found.percentile(50) == pytest.approx(50, rel=2e-3)
    assert found.percentile(90) == pytest.approx(90, rel=2e-3)
    assert found.percentile(90.5) == math.inf
    assert found.longest == math.inf
    assert found.mean == pytest.approx(45.5, rel=2e-3)


def test_nothing_at_all_is_not_a_number() -> None:
    assert math.isnan(Latencies().percentile(50))
    assert math.isnan(Latencies().longest)
    assert holding([], unanswered=1).percentile(1) == math.inf


def test_a_percentile_wants_a_request_beyond_it() -> None:
    for percent, wanted in ((50, 2), (95, 20), (99, 100), (99.9, 1000)):
        assert holding(np.ones(wanted)).knows(percent)
        assert not holding(np.ones(wanted - 1)).knows(percent)
    known, unknown = holding(np.ones(20)).known([95, 99])
    assert known == pytest.approx(1, rel=2e-3)
    assert math.isnan(unknown)


def test_other_tools_can_read_it() -> None:
    decoded = HdrHistogram.decode(holding([1, 2, 3]).encoded())
    assert decoded.get_total_count() == 3
    assert decoded.get_max_value() == pytest.approx(3000, rel=1e-3)


def test_what_is_beyond_the_range_is_recorded_at_its_end() -> None:
    assert holding([1e9]).longest == pytest.approx(600_000, rel=1e-3)
    assert holding([0]).percentile(50) == pytest.approx(0.001)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "HdrHistogram", None)
    with pytest.raises(LoadtestError, match=r"pip install 'diversity-reranker\[loadtest\]'"):
        latencies.check_installed()
