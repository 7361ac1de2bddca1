"""Explanations: one a slot, true of the slate that is served, and free of side effects on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Policy, Slate, rerank
from reranker.slate import BoundKind, Explanation, QuotaInfluence

STRATEGIES = ("relevance", "mmr", "msd", "dpp", "ssd", "cover", "mmr 4", "dpp 4", "ssd 4")  # 4: the window
QUOTAS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "shares": [{"attribute": "tone", "min_share": {"a": 0.3, "b": 0.25}}],
    "each": [{"attribute": "tone", "at_least_one_of_each": True, "within": 6}],
    "caps": [{"attribute": "tone", "max_share": {"a": 0.4}, "min_count": {"c": 2}}],
    "crowded": [{"attribute": "tone", "min_count": {"a": 4, "b": 5, "c": 5}, "within": 9}],
    "whole slate": [{"attribute": "maker", "max_per_value": 2}],
    "window": [{"attribute": "maker", "max_per_value": 1, "window": 4}],
    "several values": [{"attribute": "genre", "min_share": {"x": 0.3}, "max_count": {"y": 4}}],
    "several attributes": [
        {"attribute": "tone", "min_share": {"a": 0.3}},
        {"attribute": "genre", "min_count": {"x": 3}},
        {"attribute": "maker", "max_per_value": 2, "window": 5},
    ],
}
RAILS: list[dict[str, Any]] = [{}, {"guard": {"min_score": 0.1}, "placement": {"keep_top": 2}}]


def policy(strategy: str, quotas: list[dict[str, Any]], diversity: float = 0.5, **words: Any) -> Policy:
    name, _, window = strategy.partition(" ")
    objective = {"strategy": name, "diversity": diversity, "window": int(window or 0)}
    return Policy.from_dict({"name": "x", "objective": objective, "quotas": quotas, **words})


def drawn(seed: int, count: int = 80, width: int = 16) -> Candidates:
    """Random candidates; in every third list most embeddings and many scores occur several times."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, width)).astype(np.float32)
    if seed % 3 == 0:
        rows = rows[rng.integers(0, count // 3, count)]
    rows[rng.random(count) < 0.05] = 0.0
    scores = rng.normal(size=count) if seed % 2 else rng.random(count).round(1)
    tones = [None if rng.random() < 0.1 else "abcd"[min(3, int(rng.exponential()))] for _ in range(count)]
    genres = [[genre for genre in "xyz" if rng.random() < 0.3] for _ in range(count)]
    makers = [f"m{int(rng.integers(12))}" for _ in range(count)]
    return Candidates(range(count), scores, rows, {"tone": tones, "genre": genres, "maker": makers})


def explained(strategy: str, quotas: str) -> Iterator[tuple[Candidates, Slate, Slate]]:
    """Candidates, and their slate without and with explanations."""
    for seed, diversity, rails in itertools.product(range(6), (0.3, 1.0), RAILS):
        candidates, rules = drawn(seed), policy(strategy, QUOTAS[quotas], diversity, **rails)
        yield candidates, rerank(candidates, rules, 20), rerank(candidates, rules, 20, explain=True)


@pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python
@pytest.mark.parametrize("quotas", QUOTAS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_asking_for_explanations_changes_nothing_else(strategy: str, quotas: str) -> None:
    for _, plain, told in explained(strategy, quotas):
        assert told.positions.tolist() == plain.positions.tolist()
        assert told.gains.tolist() == plain.gains.tolist()
        assert (told.report.status, told.report.tier) == (plain.report.status, plain.report.tier)
        assert told.report.quotas == plain.report.quotas
        assert plain.explanations == ()


@pytest.mark.parametrize("quotas", ["none", "caps", "several attributes"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_slot_has_an_explanation_that_adds_up(strategy: str, quotas: str) -> None:
    for candidates, _, slate in explained(strategy, quotas):
        order = np.argsort(-candidates.scores, kind="stable").tolist()
        assert [told.slot for told in slate.explanations] == list(range(1, 21))
        for told, position, gain in zip(slate.explanations, slate.positions, slate.gains, strict=True):
            assert told.gain == gain
            assert told.relevance_part + told.diversity_part == pytest.approx(gain, abs=1e-8)
            assert told.diversity_part >= 0.0 if strategy[:3] in ("msd", "ssd", "cov") else told.diversity_part <= 0.0
            assert told.upstream_rank == order.index(position) + 1
            assert told.displacement == told.upstream_rank - told.slot
            assert told.text.startswith(f"upstream rank {told.upstream_rank}, slot {told.slot}: ")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_nearest_earlier_pick_is_the_nearest(strategy: str) -> None:
    for candidates, _, slate in explained(strategy, "shares"):
        rows = candidates.embeddings[""].matrix.astype(np.float64)[slate.positions]
        norms = np.linalg.norm(rows, axis=1)
        unit = rows / np.where(norms > 0, norms, 1.0)[:, None]
        for told in slate.explanations:
            slot = told.slot - 1
            first = max(0, slot - 3) if strategy in ("mmr 4", "dpp 4") else 0
            with_rows = first + np.flatnonzero(norms[first:slot] > 0)
            if norms[slot] == 0 or len(with_rows) == 0:
                assert (told.nearest_slot, told.nearest_similarity) == (0, None)
                continue
            cosines = unit[:slot] @ unit[slot]
            assert told.nearest_slot - 1 in with_rows
            assert told.nearest_similarity == pytest.approx(cosines[with_rows].max(), abs=1e-6)
            assert cosines[told.nearest_slot - 1] == pytest.approx(cosines[with_rows].max(), abs=1e-6)


def named(tones: str, *quotas: dict[str, Any], k: int = 4, **words: Any) -> tuple[Explanation, ...]:
    """Explanations of the relevance slate of candidates in upstream order."""
    count = len(tones)
    candidates = Candidates(range(count), np.arange(count, 0, -1.0), None, {"tone": list(tones)})
    rules = policy("relevance", [{"attribute": "tone", **quota} for quota in quotas], **words)
    return rerank(candidates, rules, k, explain=True).explanations


def test_a_floor_that_forces_a_slot_is_named_with_what_it_kept_back() -> None:
    *free, last = named("aaaaab", {"min_count": {"b": 1}})
    assert all(told.forced_by == () and told.instead_of_rank == 0 for told in free)
    assert last.forced_by == (QuotaInfluence("tone", "b", BoundKind.LOWER, 2),)
    assert last.instead_of_rank == 4
    assert last.displacement == 2
    assert "which kept 2 better candidates back, first of them upstream rank 4" in last.text


def test_a_cap_that_closes_a_value_is_named() -> None:
    told = named("aaaabb", {"max_count": {"a": 2}})[2]
    assert told.forced_by == (QuotaInfluence("tone", "a", BoundKind.UPPER, 2),)
    assert told.instead_of_rank == 3
    assert "tone a had reached its most" in told.text


@pytest.mark.parametrize("window", [0, 2])
def test_a_window_that_is_full_is_named(window: int) -> None:
    told = named("aaabbb", {"max_per_value": 1, "window": window}, k=2)[1]
    assert told.forced_by == (QuotaInfluence("tone", "a", BoundKind.WINDOW, 2),)
    assert told.instead_of_rank == 2
    assert "tone a had filled its window" in told.text


def test_who_was_closed_out_is_not_lost_when_the_next_slot_opens() -> None:
    """Quotas on several attributes: accepting a pick already opens the kinds that may follow it."""
    quotas = [{"attribute": "tone", "max_per_value": 1, "window": 2}, {"attribute": "maker", "max_per_value": 2}]
    columns = {"tone": list("aaabb"), "maker": list("mnopq")}
    candidates = Candidates(range(5), [5.0, 4.0, 3.0, 2.0, 1.0], None, columns)
    slate = rerank(candidates, policy("relevance", quotas), 3, explain=True)
    assert slate.report.tier == "HEURISTIC"
    assert slate.positions.tolist() == [0, 3, 1]
    told = slate.explanations[1]
    assert told.forced_by == (QuotaInfluence("tone", "a", BoundKind.WINDOW, 2),)
    assert told.instead_of_rank == 2


def test_only_the_floor_that_the_pick_pays_is_named() -> None:
    last = named("aaaabc", {"min_count": {"b": 1, "c": 1}}, k=3)[-1]
    assert [(found.value, found.bound) for found in last.forced_by] == [("c", BoundKind.LOWER)]


def test_a_kept_item_says_so_and_blames_no_quota() -> None:
    first, *_ = named("aaab", {"min_count": {"b": 1}, "within": 1}, placement={"keep_top": 1})
    assert first.pinned
    assert first.forced_by == ()
    assert first.text == "upstream rank 1, slot 1: kept in its place by the policy"


def test_who_waits_for_the_guard_is_not_blamed_on_a_quota() -> None:
    told = named("abab", {"min_count": {"b": 1}}, guard={"min_score": 10})
    assert [explanation.forced_by for explanation in told] == [()] * 4


def test_an_item_that_a_quota_pushed_down_is_not_called_alike() -> None:
    told = named("aab", {"min_count": {"b": 1}, "within": 1}, k=3)
    assert told[0].forced_by
    for explanation in told[1:]:
        assert explanation.displacement == -1
        assert "alike" not in explanation.text
        assert "worth more" not in explanation.text


def test_a_copy_is_rank_exhausted() -> None:
    candidates = Candidates(range(4), [4, 3, 2, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    told = rerank(candidates, policy("dpp", [], 0.9), 4, explain=True).explanations
    assert [explanation.upstream_rank for explanation in told][:2] == [1, 3]
    copy = next(explanation for explanation in told if explanation.upstream_rank == 2)
    assert copy.rank_exhausted
    assert copy.nearest_slot == 1
    assert copy.nearest_similarity == pytest.approx(1.0)
    assert "nothing new was left to add" in copy.text
    assert not told[0].rank_exhausted


def test_without_quotas_nothing_is_forced() -> None:
    for strategy in STRATEGIES:
        slate = rerank(drawn(1), policy(strategy, []), 30, explain=True)
        assert not any(told.forced_by or told.instead_of_rank or told.pinned for told in slate.explanations)
