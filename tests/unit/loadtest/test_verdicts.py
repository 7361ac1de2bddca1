"""Gates, the search for the knee, comparisons: what is concluded from figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from loadtest.modes.knee import PRECISION, search
from loadtest.modes.rate import lasting
from loadtest.modes.sweep import judged, sentence
from loadtest.modes.verdict import Verdict, verdict_of
from loadtest.results.confidence import ratio_of
from loadtest.results.gates import judge, missed
from loadtest.workload.scenario import Slo
from tests.unit.loadtest.figures import SECOND, outcome, records

DUE = np.arange(1000, dtype=np.int64) * (SECOND // 100)


def test_every_promise_is_judged_and_no_other() -> None:
    found = outcome(records(DUE, np.linspace(1, 100, 1000), degraded=(np.arange(1000) < 3).tolist()), 10)
    gates = judge(Slo(p50_ms=60, p99_ms=90, degraded=0.003, errors=0.0), found)
    assert [(gate.name, gate.met) for gate in gates] == [
        ("p50_ms", True),
        ("p99_ms", False),
        ("errors", True),
        ("degraded", True),
    ]
    assert [gate.name for gate in missed(gates)] == ["p99_ms"]
    assert judge(Slo(), found) == []


def test_a_percentile_that_was_never_answered_misses_any_promise() -> None:
    codes = np.where(np.arange(1000) < 20, 14, 0)
    found = outcome(records(DUE, 1.0, codes=codes.tolist()), 10)
    (gate,) = judge(Slo(p99_ms=1e9), found)
    assert gate.measured == math.inf
    assert not gate.met


def test_a_saturated_generator_has_no_verdict_on_the_server() -> None:
    good, late = records(DUE, 2.0), records(DUE, 80.0, late_ms=70.0)
    assert verdict_of(Slo(p99_ms=5), outcome(good, 10)) is Verdict.MET
    assert verdict_of(Slo(p99_ms=1), outcome(good, 10)) is Verdict.MISSED
    assert verdict_of(Slo(p99_ms=5), outcome(late, 10)) is Verdict.SATURATED
    assert [int(verdict) for verdict in Verdict] == [0, 1, 3]


def knee_at(limit: float, then: Verdict = Verdict.MISSED) -> Callable[[float], Verdict]:
    return lambda rate: Verdict.MET if rate <= limit else then


@pytest.mark.parametrize("limit", [3.0, 55.0, 100.0, 437.0, 2900.0])
def test_the_knee_is_found_from_below_and_from_above(limit: float) -> None:
    knee = search(knee_at(limit), 100.0, most_steps=40)
    assert knee.met <= limit < knee.beyond
    assert knee.beyond / knee.met <= 1 + PRECISION
    assert knee.why is Verdict.MISSED


def test_one_stumble_is_no_knee() -> None:
    stumbled: set[float] = set()

    def measure(rate: float) -> Verdict:
        if rate < 400 and rate not in stumbled:
            stumbled.add(rate)
            return Verdict.MISSED
        return knee_at(400)(rate)

    assert search(measure, 100.0, most_steps=40).met == pytest.approx(400, rel=0.07)


def test_a_generator_that_gives_out_first_leaves_the_knee_open() -> None:
    knee = search(knee_at(300, Verdict.SATURATED), 100.0)
    assert knee.why is Verdict.SATURATED
    assert "the generator itself was saturated" in sentence(knee)
    assert judged(knee, 100) is Verdict.MET
    assert judged(knee, 500) is Verdict.SATURATED


def test_the_search_ends_when_nothing_is_met_and_when_time_is_up() -> None:
    nothing = search(lambda _: Verdict.MISSED, 100.0)
    assert nothing.met == 0
    assert "No rate met the promise" in sentence(nothing)
    assert judged(nothing, 100) is Verdict.MISSED
    answers = iter([Verdict.MET, Verdict.MET, None])
    early = search(lambda _: next(answers), 100.0)
    assert (early.met, early.beyond) == (200, math.inf)
    assert "time ran out" in sentence(early)


def test_an_interval_is_students_on_the_logarithms() -> None:
    rng = np.random.default_rng(4)
    for pairs in (3, 8, 30):
        first, second = rng.lognormal(0, 0.1, (2, pairs))
        logs = np.log(second / first)
        low, high = scipy.stats.t.interval(0.95, pairs - 1, logs.mean(), scipy.stats.sem(logs))
        found = ratio_of(first.tolist(), second.tolist())
        assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-3)
        assert found.ratio == pytest.approx(math.exp(logs.mean()))


def test_a_comparison_says_when_it_knows_nothing() -> None:
    assert ratio_of([1, 2], [1, 2]).verdict == "no difference shown"
    assert math.isnan(ratio_of([1, 2, math.inf], [1, 2, 3]).ratio)
    assert ratio_of([1, 1, 1], [2, 2.1, 1.9]).verdict == "more"
    assert ratio_of([2, 2, 2], [1, 1.1, 0.9]).verdict == "less"


def test_a_server_does_not_look_like_itself_when_it_is_slower() -> None:
    rng = np.random.default_rng(7)
    drift = rng.lognormal(0, 0.3, 12)  # the machine's, on both of a pair
    noise = rng.lognormal(0, 0.02, (2, 12))
    same, slower = drift * noise[0], drift * noise[1] * 1.1
    assert ratio_of(same.tolist(), slower.tolist()).verdict == "more"


def test_a_soak_sees_a_server_that_slows_down() -> None:
    steady, slowing = (outcome(records(DUE, latency), 10) for latency in (np.full(1000, 2.0), np.linspace(1, 9, 1000)))
    assert all(gate.met for gate in lasting(steady))
    assert [gate.name for gate in lasting(slowing) if not gate.met] == ["p99_drift"]
