"""A deadline that comes near makes searches give up; the answer is a full slate and says what is not known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from reranker.candidates import Candidates
from reranker.engine import Schedule, rerank_traced
from reranker.errors import DeadlinePassed
from reranker.policy import Policy
from reranker.quotas.budget import Budget
from reranker.slate import QuotaTier, SlateStatus


def test_a_distant_deadline_leaves_the_whole_budget() -> None:
    assert Budget.until(None) == Budget.until(time.perf_counter() + 10.0) == Budget()


def test_less_time_left_means_less_to_spend() -> None:
    near, nearer = (Budget.until(time.perf_counter() + left) for left in (0.02, 0.005))
    assert 0 < nearer.additions < near.additions < Budget().additions
    assert Budget.until(time.perf_counter() - 1.0) == Budget(0)


def hard_request() -> tuple[Candidates, Policy]:
    """Ten slots of which two attributes ask for more than fits, in a way that no single one shows."""
    numbers = np.random.default_rng(5)
    tones = numbers.choice(list("abcd"), 40).tolist()
    bodies = ["x" if tone in "ab" else "y" for tone in tones]
    policy = Policy.from_dict(
        {
            "objective": {"strategy": "relevance"},
            "quotas": [
                {"attribute": "tone", "min_share": {"a": 0.3, "b": 0.3}, "max_per_value": 2, "window": 4},
                {"attribute": "body", "min_share": {"y": 0.5}},
            ],
        }
    )
    return Candidates(list(range(40)), numbers.random(40), attributes={"tone": tones, "body": bodies}), policy


def test_what_is_proven_with_time_is_unknown_without() -> None:
    candidates, policy = hard_request()
    slate = rerank_traced(candidates, policy, 10)[0]
    assert slate.report.tier is QuotaTier.HEURISTIC
    assert slate.report.status is SlateStatus.RELAXED_MINIMAL, "of so few slots all slates can be tried"
    assert "no slate of these candidates keeps every bound: proven" in slate.report.notes


def test_a_near_deadline_is_kept_or_said_to_have_passed() -> None:
    candidates, policy = hard_request()
    rerank_traced(candidates, policy, 10)
    for left in (0.0005, 0.002, 0.01):
        try:
            slate = rerank_traced(candidates, policy, 10, schedule=Schedule(time.perf_counter() + left))[0]
        except DeadlinePassed:
            continue
        assert sorted(set(slate.positions.tolist())) == sorted(slate.positions.tolist())
        assert len(slate.positions) == 10
        assert any(note.startswith("no slate") for note in slate.report.notes)


@pytest.mark.parametrize("seed", range(20))
def test_the_whole_budget_gives_one_answer(seed: int) -> None:
    candidates, policy = hard_request()
    first = rerank_traced(candidates, policy, 6 + seed % 5)[0]
    again = rerank_traced(candidates, policy, 6 + seed % 5, schedule=Schedule(time.perf_counter() + 60.0))[0]
    assert first.positions.tolist() == again.positions.tolist()
    assert first.report == again.report


def many_bounds(slots: int, blocks: int) -> tuple[Candidates, Policy]:
    """So many floors on nine attributes, overlapping and together impossible."""
    numbers = np.random.default_rng(7)
    values = 1.0 / np.arange(1, 41)
    columns = {
        f"a{attribute}": [f"v{value}" for value in numbers.choice(40, 1000, p=values / values.sum())]
        for attribute in range(9)
    }
    quotas = [
        {"attribute": f"a{at % 9}", "min_count": {f"v{at // 9}": 1}, "within": 10 + at * 7 % (slots - 10)}
        for at in range(blocks)
    ]
    policy = Policy.from_dict({"objective": {"strategy": "relevance"}, "quotas": quotas})
    return Candidates(list(range(1000)), numbers.random(1000), attributes=columns), policy


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "blocks"), [(50, 45), (200, 45), (200, 300)])
def test_a_request_with_little_time_left_is_answered_all_the_same(slots: int, blocks: int) -> None:
    """Searching ends half-way to the deadline; from then on slots are filled from what is known."""
    candidates, policy = many_bounds(slots, blocks)
    rerank_traced(candidates, policy, slots)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        slate = rerank_traced(candidates, policy, slots, schedule=Schedule(start + 0.25))[0]
        taken.append(time.perf_counter() - start)
        assert len(set(slate.positions.tolist())) == slots
    assert min(taken) < 0.25


def test_when_time_is_up_the_witness_fills_the_slate() -> None:
    """Every bound that the witness keeps is kept, though no pick was tried."""
    candidates, policy = many_bounds(60, 20)
    patient = rerank_traced(candidates, policy, 60)[0]
    assert patient.report.status is SlateStatus.SATISFIED
    for hurry in (0.0, float("inf")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Budget, "until", classmethod(lambda cls, deadline, at=hurry: cls(hurry=at)))
            slate = rerank_traced(candidates, policy, 60)[0]
        assert slate.report.status is SlateStatus.SATISFIED
        assert hurry == 0.0 or slate.positions.tolist() == patient.positions.tolist()
        said = "the deadline was near: the search for the best picks under the quotas was cut short"
        assert (said in slate.report.notes) == (hurry == 0.0)
