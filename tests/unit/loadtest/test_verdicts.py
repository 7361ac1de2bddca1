"""Gates, the search for the knee, comparisons: what is concluded from figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats

from loadtest.generator.records import OK
from loadtest.modes import picture, sweep
from loadtest.modes.ceiling import usable
from loadtest.modes.compare import compared
from loadtest.modes.knee import PRECISION, Knee, search
from loadtest.modes.rate import lasting
from loadtest.modes.sweep import judged, sentence
from loadtest.modes.verdict import Verdict, gravest, verdict_of
from loadtest.results.confidence import more_by_chance, ratio_of
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
    assert verdict_of(Slo(), found) is Verdict.UNKNOWN  # nothing promised is nothing met


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
    assert [int(verdict) for verdict in Verdict] == [0, 1, 3, 4, 5]


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
    assert "ended before any rate had broken it twice" in sentence(early)


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
    due = np.arange(3000, dtype=np.int64) * (SECOND // 100)
    steady, slowing = (outcome(records(due, latency), 30) for latency in (np.full(3000, 2.0), np.linspace(1, 9, 3000)))
    assert all(gate.met for gate in lasting(steady))
    assert [gate.name for gate in lasting(slowing) if gate.missed] == ["p99_drift"]


def test_a_soak_that_is_too_short_or_asks_too_little_knows_nothing() -> None:
    (short,) = lasting(outcome(records(DUE[:200], 1.0), 2))
    assert (short.met, short.missed) == (False, False)
    assert "30 s" in short.unknown
    rare = np.arange(60, dtype=np.int64) * (SECOND // 2)
    (few,) = lasting(outcome(records(rare, 1.0), 30))
    assert "a hundred requests" in few.unknown


@pytest.mark.parametrize(("slo", "count"), [(Slo(p999_ms=50), 999), (Slo(p99_ms=50), 2), (Slo(p99_ms=50), 99)])
def test_a_percentile_of_too_few_requests_is_neither_met_nor_missed(slo: Slo, count: int) -> None:
    latency = np.ones(count)
    latency[-1] = 90.0  # one slow request among so few says nothing of one in a hundred
    (gate,) = judge(slo, outcome(records(DUE[:count], latency), 10))
    assert (gate.met, gate.missed) == (False, False)
    assert f"{count} requests" in gate.unknown
    assert verdict_of(slo, outcome(records(DUE[:count], latency), 10)) is Verdict.UNKNOWN


def test_few_requests_are_enough_to_miss_a_promise_that_most_of_them_miss() -> None:
    found = outcome(records(DUE[:20], 1.0, codes=[14] * 20), 1)
    assert verdict_of(Slo(p99_ms=50), found) is Verdict.MISSED


def test_nothing_measured_is_nothing_met() -> None:
    found = outcome(records(DUE[:100], 1.0), 1, warm_up=5)
    assert found.counts.due == 0
    gates = judge(Slo(errors=0.1, degraded=0.0), found)
    assert not any(gate.met or gate.missed for gate in gates)
    assert verdict_of(Slo(errors=0.1), found) is Verdict.UNKNOWN


def test_a_pause_of_the_generator_is_not_blamed_on_the_server() -> None:
    """Of 10,000 requests thirty leave 80 ms late: too few for p99 to notice, and all that p99.9 is made of."""
    due = np.arange(10_000, dtype=np.int64) * (SECOND // 1000)
    late = np.where(np.arange(10_000) < 30, 80.0, 0.0)
    found = outcome(records(due, 1.0 + late, late_ms=late), 10)
    assert not found.saturated
    (gate,) = judge(Slo(p999_ms=20), found)
    assert not gate.missed
    assert "ms late" in gate.unknown
    slow = outcome(records(due, 81.0 + late, late_ms=late), 10)  # here the server is too slow without that
    assert verdict_of(Slo(p999_ms=20), slow) is Verdict.MISSED


def test_a_server_that_is_gone_is_said_to_be_before_anything_else() -> None:
    late = outcome(records(DUE, 80.0, late_ms=70.0), 10)
    gone = replace(late, machine=replace(late.machine, server_gone=True))
    assert verdict_of(Slo(p99_ms=5), gone) is Verdict.GONE
    assert gravest([Verdict.MET, Verdict.UNKNOWN, Verdict.SATURATED, Verdict.MISSED]) is Verdict.MISSED
    assert gravest([Verdict.MET, Verdict.UNKNOWN]) is Verdict.UNKNOWN


def test_a_knee_that_was_not_confirmed_is_not_reported() -> None:
    answers = iter([Verdict.MET, Verdict.MISSED, None])
    once = search(lambda _: next(answers), 100.0)
    assert (once.met, once.beyond, once.closed) == (100, math.inf, False)
    assert judged(once, 150) is Verdict.UNKNOWN
    never = search(lambda _: None, 100.0)
    assert "No rate was tried" in sentence(never)
    assert "inf" not in sentence(never) + sentence(once)
    assert judged(never, 100) is Verdict.UNKNOWN
    unconfirmed = iter([Verdict.MISSED, None])
    assert "Nothing is known" in sentence(search(lambda _: next(unconfirmed), 100.0))
    wide = iter([Verdict.MET, Verdict.MISSED, Verdict.MISSED, None])
    assert "between 100 and 200" in sentence(search(lambda _: next(wide), 100.0))
    saturated = search(lambda _: Verdict.SATURATED, 100.0)
    assert "No rate met" not in sentence(saturated)
    assert "generator was saturated at every rate" in sentence(saturated)


def test_steps_at_low_rates_last_until_their_percentiles_are_known() -> None:
    assert sweep.seconds_for(Slo(p99_ms=5), rate=1000, seconds=5) == 5
    assert sweep.seconds_for(Slo(p99_ms=5), rate=10, seconds=5) == 14  # a hundred and four standard deviations
    assert sweep.seconds_for(Slo(p50_ms=5, p999_ms=9), rate=100, seconds=5) == pytest.approx(11.26, abs=0.01)
    assert sweep.seconds_for(Slo(errors=0.0), rate=10, seconds=5) == 5


def test_a_row_of_the_picture_says_what_stands_against_it() -> None:
    closed = Knee(100, 105, Verdict.MISSED, 50)
    cut_short = Knee(100, 200, Verdict.MISSED, 50)
    saturated = Knee(100, 105, Verdict.SATURATED, 50)
    nothing = Knee(0, 25, Verdict.MISSED, 25)
    unknown = Knee(0, math.inf, Verdict.MET)
    shown = [picture.knee_in_words(knee) for knee in (closed, cut_short, saturated, nothing, unknown)]
    assert shown == ["100", "≥ 100", "≥ 100", "< 25.0", "not known"]
    assert picture.doubts(closed, Verdict.MET) == []
    assert "generator was saturated" in picture.doubts(closed, Verdict.SATURATED)[0]
    assert "scenario's own rate" in picture.doubts(nothing, Verdict.MET)[0]


def test_a_comparison_of_servers_that_do_not_answer_is_no_pass() -> None:
    broken = outcome(records(DUE, 1.0, codes=np.where(np.arange(1000) % 10 == 0, OK, 14).tolist()), 10)
    rows, (says,), verdict = compared("second", [broken] * 4, [broken] * 4)
    assert verdict is Verdict.UNKNOWN
    assert "No difference" not in says
    assert "3,600 and 3,600" in says
    assert all(row["verdict"].startswith("not known: unanswered in 4 and 4 of 4") for row in rows[:3])


def test_a_comparison_counts_errors_and_leaves_no_pair_out() -> None:
    good = [outcome(records(DUE, value), 10) for value in (1.0, 1.01, 0.99, 1.0)]
    bad = outcome(records(DUE, 0.9, codes=np.where(np.arange(1000) < 60, 14, OK).tolist()), 10)
    rows, (says,), verdict = compared("second", good, [bad, *good[1:]])
    by_name = {row["name"]: row for row in rows}
    assert verdict is Verdict.MISSED
    assert says.startswith("second is worse: errors.")
    assert by_name["p99"]["ratio"] is None
    assert not by_name["p99"]["known"]
    assert compared("second", good, good)[2] is Verdict.MET
    one_error = outcome(records(DUE, 1.0, codes=[14] + [OK] * 999), 10)
    assert compared("second", good, [one_error, *good[1:]])[2] is Verdict.MET  # one is no more than chance


def test_a_comparison_of_blocks_that_are_too_short_knows_no_p99() -> None:
    short = [outcome(records(DUE[:50], 1.0), 1)] * 3
    rows, _, verdict = compared("second", short, short)
    assert [row["known"] for row in rows[:3]] == [True, True, False]
    assert verdict is Verdict.UNKNOWN


def test_more_than_chance_gives_is_the_binomial_tail() -> None:
    for first, second in ((0, 0), (0, 1), (0, 6), (40, 60), (3000, 3200)):
        exact = scipy.stats.binom.sf(second - 1, first + second, 0.5)
        assert more_by_chance(first, second) == pytest.approx(exact, rel=0.01)


def test_the_usable_ceiling_is_where_the_median_still_holds() -> None:
    steps = [(400, 0.6), (3200, 0.65), (5000, 1.4), (6400, 1.1), (7288, 4.1)]
    runs: list[dict[str, Any]] = [
        {"rate": rate, "verdict": "kept", "latency_ms": {"p50": p50}} for rate, p50 in steps
    ] + [{"rate": 9000, "verdict": "saturated", "latency_ms": {"p50": 0.6}}]
    assert usable(runs) == 3200
    assert usable(runs[5:]) is None
