"""The arithmetic of overload: what refusals leave of a peak, and what is promised of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loadtest.modes.overload import _gates, allowed, attainable

GOOD: dict[str, Any] = {
    "multiple": 1.5,
    "offered_times": 1.5,
    "of_peak": 0.9,
    "allowed": 1.0,
    "late_share": 0.0,
    "health_failed": 0,
    "health_longest": 12.0,
    "saturated": [],
}
TEN = {**GOOD, "multiple": 10.0, "offered_times": 10.0, "of_peak": 0.45, "allowed": 0.5}


def test_what_refusals_leave() -> None:
    assert allowed(10.0, 100.0, 900.0) == pytest.approx(0.5)
    assert allowed(1.0, 100.0, 900.0) == 1.0
    assert allowed(10.0, 0.0, 900.0) == 1.0


def test_what_is_attainable_when_they_come_all_the_same() -> None:
    assert attainable(10.0, 0.0, 900.0) == 1.0
    # What a core does in the time of one answer: a share of an answer, and a refusal for each of the others.
    left = attainable(10.0, 60.0, 1_000.0)
    assert left * 1_000.0 + (10.0 - left) * 60.0 == pytest.approx(1_000.0)
    assert left < allowed(10.0, 60.0, 1_000.0)
    assert attainable(10.0, 100.0, 1_000.0) == attainable(10.0, 2_000.0, 1_000.0) == 0.0
    assert attainable(1.0, 60.0, 1_000.0) == pytest.approx(1.0)


def test_goodput_is_judged_by_what_refusals_leave() -> None:
    assert all(gate.met for gate in _gates([GOOD, TEN]))
    lost = {gate.name: gate for gate in _gates([GOOD, {**TEN, "of_peak": 0.3}])}
    assert lost["goodput_lost_10x"].missed
    assert lost["goodput_lost_10x"].measured == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"health_longest": 51.0}, "health_max_ms"),
        ({"health_failed": 1}, "health_max_ms"),
        ({"late_share": 0.02}, "admitted_late"),
    ],
)
def test_one_bad_row_is_enough(change: dict[str, Any], name: str) -> None:
    assert [gate.name for gate in _gates([GOOD, {**TEN, **change}]) if gate.missed] == [name]


def test_a_generator_that_cannot_ask_for_as_much_proves_nothing() -> None:
    short = {gate.name: gate for gate in _gates([GOOD, {**TEN, "offered_times": 4.0}])}
    assert not short["goodput_lost_10x"].met
    assert not short["goodput_lost_10x"].missed


def test_a_cost_that_is_not_known_proves_nothing() -> None:
    unknown = {gate.name: gate for gate in _gates([GOOD, {**TEN, "allowed": math.nan}])}
    assert not unknown["goodput_lost_10x"].met
    assert not unknown["goodput_lost_10x"].missed
