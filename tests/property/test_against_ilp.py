"""Overlapping quotas beside an integer programme: as feasible as it says, and nearly as relevant as can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from reranker.slate import SlateStatus
from tests.property.test_against_referees import NOTHING
from tests.reference import overlapping
from tests.reference.ilp import dcg, solve
from tests.reference.judge import Case
from tests.reference.naive_quotas import Completions

pytestmark = pytest.mark.slow  # under coverage: hundreds of lists with kernels as plain Python


def by_relevance(case: Case) -> Case:
    return replace(case, policy={**case.policy, "objective": {"strategy": "relevance"}})


def drawn(make: Callable[[np.random.Generator], Case], seeds: range) -> list[Case]:
    """Cases that a linear programme can state: no prefixes that count labelled items only."""
    cases = (by_relevance(make(np.random.default_rng(seed))) for seed in seeds)
    return [case for case in cases if not case.instance().counted]


def ratios(cases: list[Case]) -> list[float]:
    """DCG beside the best DCG of each feasible case; a case is met exactly when the programme is feasible."""
    found = []
    for case in cases:
        slate, solved = case.run(), solve(case.instance())
        assert solved.feasible is not None
        assert (slate.report.status is SlateStatus.SATISFIED) == solved.feasible, case
        if solved.feasible:
            assert solved.best
            found.append(dcg(case.scores.tolist(), slate.positions.tolist()) / dcg(case.scores.tolist(), solved.slate))
    return found


def test_the_programme_agrees_with_the_search_over_all_slates() -> None:
    cases = drawn(overlapping.tiny, range(300))
    feasible = [bool(solve(case.instance(), optimise=False).feasible) for case in cases]
    assert feasible == [Completions(case.instance()).least([]) == NOTHING for case in cases]
    assert 0 < sum(feasible) < len(feasible)


@pytest.mark.parametrize("batch", range(4))
def test_every_feasible_short_list_is_met_near_the_best_dcg(batch: int) -> None:
    found = ratios(drawn(overlapping.small, range(batch * 150, (batch + 1) * 150)))
    assert len(found) > 50
    assert np.mean(found) > 0.99
    assert min(found) > 0.8


@pytest.mark.parametrize(("count", "slots", "tight"), [(40, 10, 0.8), (60, 12, 1.0)])
def test_tight_bounds_cost_little_more_than_they_must(count: int, slots: int, tight: float) -> None:
    found = ratios(drawn(partial(overlapping.planted, count=count, slots=slots, tight=tight), range(60)))
    assert len(found) == 60
    assert np.mean(found) > 0.97
    assert min(found) > 0.8


def test_a_long_list_too() -> None:
    found = ratios(drawn(partial(overlapping.planted, count=200, slots=24, tight=0.7), range(6)))
    assert np.mean(found) > 0.98
