"""Overlapping attributes, every word on bounds: nothing false is said, and what can be met is met."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from reranker.slate import QuotaTier, Slate, SlateStatus
from tests.property.test_against_referees import NOTHING, check_status
from tests.reference import overlapping
from tests.reference.judge import Case, check_outcomes, check_picks, check_shape
from tests.reference.naive_quotas import Completions, deficit

BATCHES = 8
TINY, SMALL, SEARCHED, PLANTED = 3200, 7200, 400, 640
EXACT = (QuotaTier.LOWER_EXACT, QuotaTier.PARTITION_EXACT, QuotaTier.FLOW_EXACT)


def sound(case: Case) -> Slate:
    """A full slate without duplicates, nobody where rules forbid, and a report that agrees with a count by hand."""
    slate = case.run()
    check_shape(case, slate)
    check_status(slate, check_outcomes(case, slate))
    return slate


def searched(case: Case) -> bool:
    """Against all completions: met whenever it can be met, exact where the tier says so; True when it can be met."""
    slate = sound(case)
    picks = slate.positions.tolist()
    instance = case.instance()
    least, found = Completions(instance).least([]), deficit(instance, picks)
    assert found >= least
    if least == NOTHING or slate.report.tier in EXACT or slate.report.status is SlateStatus.RELAXED_MINIMAL:
        assert found == least
    if slate.report.tier in EXACT:
        check_picks(case, picks, least)
    claims = [note for note in slate.report.notes if note.startswith("no slate")]
    assert bool(claims) == (slate.report.tier is QuotaTier.HEURISTIC and least != NOTHING)
    assert all(note.endswith(": proven") for note in claims), "lists as short as these are tried to the end"
    return least == NOTHING


def each(check: Callable[[Case], Any], make: Callable[[np.random.Generator], Case], seeds: range) -> list[Any]:
    """The check on every drawn case; a failure names its seed."""
    results = []
    for seed in seeds:
        try:
            results.append(check(make(np.random.default_rng(seed))))
        except Exception as problem:
            problem.add_note(f"{make}, seed {seed}")
            raise
    return results


def batch(index: int, cases: int, start: int = 0) -> range:
    return range(start + index * cases // BATCHES, start + (index + 1) * cases // BATCHES)


@pytest.mark.parametrize("index", range(BATCHES))
def test_nothing_false_is_said(index: int) -> None:
    each(sound, overlapping.tiny, batch(index, TINY, 10_000))
    slates = each(sound, overlapping.small, batch(index, SMALL))
    heuristic = sum(slate.report.tier is QuotaTier.HEURISTIC for slate in slates)
    satisfied = sum(slate.report.status is SlateStatus.SATISFIED for slate in slates)
    assert heuristic > len(slates) / 2
    assert len(slates) / 5 < satisfied < len(slates) * 4 / 5, "a fair mixture of what can be met and what cannot"


@pytest.mark.parametrize("index", range(BATCHES))
def test_what_an_exhaustive_search_can_meet_is_met(index: int) -> None:
    feasible = each(searched, overlapping.tiny, batch(index, SEARCHED))
    assert sum(feasible) > len(feasible) / 5


@pytest.mark.parametrize(("count", "slots"), [(20, 12), (40, 10), (60, 12)])
def test_bounds_that_one_slate_just_meets_are_met(count: int, slots: int) -> None:
    for tight in (0.5, 0.8, 1.0):
        make = partial(overlapping.planted, count=count, slots=slots, tight=tight)
        slates = each(sound, make, range(PLANTED // 8))
        assert all(slate.report.status is SlateStatus.SATISFIED for slate in slates)


def test_long_lists_with_many_tight_bounds_are_met_too() -> None:
    slates = each(sound, partial(overlapping.planted, count=200, slots=24, tight=1.0), range(80))
    met = sum(slate.report.status is SlateStatus.SATISFIED for slate in slates)
    assert met >= 0.97 * len(slates)
