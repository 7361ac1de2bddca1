"""Drawn slates: exact k-DPPs where no bound binds, by enumeration; what bounds, rank and quality leave of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from reranker.candidates import Candidates
from reranker.kernels.gate import Gate
from reranker.strategies import Problem
from reranker.strategies.k_dpp import Spectrum
from reranker.strategies.sampled_dpp import SampledDppStrategy
from tests.reference.bare_strategies import Floats, falling, hard_rows, open_gate
from tests.reference.naive_strategies import similarities

pytestmark = pytest.mark.slow  # thousands of draws

DRAWS = 4000
UNLIKELY = 1e-4  # seeds are fixed: a test that fails has found something, or was written on the one day in ten thousand


def sampler(
    relevance: Floats, rows: NDArray[np.float32], diversity: float, gate: Gate, seed: int
) -> SampledDppStrategy:
    embedding = Candidates(range(len(rows)), np.zeros(len(rows)), rows).embeddings[""]
    order = np.arange(len(rows), dtype=np.int32)
    problem = Problem(relevance, diversity, embedding, order, True, len(gate.picks), sample=True, seed=seed)
    return SampledDppStrategy(problem, gate)


def draw(
    relevance: Floats, rows: NDArray[np.float32], diversity: float, slots: int, seed: int, forced: Sequence[int] = ()
) -> list[int]:
    gate = open_gate(np.zeros(len(rows), np.int32), 1, slots)
    gate.forced[: len(forced)] = forced
    sampler(relevance, rows, diversity, gate, seed).select(0, slots)
    return [int(pick) for pick in gate.picks]


def likelihoods(
    relevance: Floats, rows: NDArray[np.float32], diversity: float, slots: int, forced: Sequence[int] = ()
) -> dict[frozenset[int], float]:
    """P(S) of every slate that has the settled items, from determinants alone."""
    quality = np.exp((1 - diversity) / (2 * diversity) * relevance)
    kernel = quality[:, None] * similarities(rows, len(rows), "cosine_shifted") * quality
    weights = {
        frozenset(some): max(0.0, float(np.linalg.det(kernel[np.ix_(some, some)])))
        for some in itertools.combinations(range(len(rows)), slots)
        if set(forced) <= set(some)
    }
    total = sum(weights.values())
    return {some: weight / total for some, weight in weights.items()}


def chance(found: Counter[frozenset[int]], expected: dict[frozenset[int], float]) -> float:
    """The chance of frequencies as far from the expected ones as these; rare slates are counted together."""
    draws = sum(found.values())
    assert all(expected[some] > 0 for some in found)
    common = [some for some, p in expected.items() if p * draws >= 5]
    observed = [found[some] for some in common]
    wanted = [expected[some] * draws for some in common]
    if draws - sum(wanted) > 1:
        observed.append(draws - sum(observed))
        wanted.append(draws - sum(wanted))
    statistic = sum((o - w) ** 2 / w for o, w in zip(observed, wanted, strict=True))
    return float(stats.chi2.sf(statistic, len(wanted) - 1))


# Candidates, dimensions, slots, diversity, items without an embedding, settled items.
EXAMPLES = [
    (7, 3, 3, 0.5, (), ()),  # dual: 4 x 4
    (7, 3, 3, 0.9, (5,), ()),  # one direction of its own
    (6, 12, 3, 0.5, (), ()),  # primal: 6 x 6
    (6, 12, 3, 0.3, (0, 4), ()),
    (8, 4, 4, 0.6, (), (2,)),  # given an item
    (8, 12, 4, 1.0, (1, 7), (7, 3)),  # given items, one of them without an embedding
    (5, 3, 4, 0.7, (), ()),  # as many as there are directions
    (5, 2, 1, 0.4, (), ()),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_frequencies_are_those_of_the_k_dpp(
    example: tuple[int, int, int, float, tuple[int, ...], tuple[int, ...]],
) -> None:
    count, width, slots, diversity, missing, forced = example
    rng = np.random.default_rng(count * 100 + width)
    rows = rng.normal(size=(count, width)).astype(np.float32)
    rows[list(missing)] = 0.0
    relevance = np.sort(rng.normal(size=count))[::-1].copy()
    expected = likelihoods(relevance, rows, diversity, slots, forced)
    found = Counter(frozenset(draw(relevance, rows, diversity, slots, seed, forced)) for seed in range(DRAWS))
    assert chance(found, expected) > UNLIKELY
    for item in range(count):  # inclusion probabilities, within five standard deviations
        p = min(1.0, sum(weight for some, weight in expected.items() if item in some))
        times = sum(number for some, number in found.items() if item in some)
        assert abs(times / DRAWS - p) <= 5 * np.sqrt(p * (1 - p) / DRAWS) + 1e-12


def test_the_referee_of_frequencies_can_say_no() -> None:
    rng = np.random.default_rng(1)
    rows, relevance = rng.normal(size=(7, 3)).astype(np.float32), np.sort(rng.normal(size=7))[::-1].copy()
    found = Counter(frozenset(draw(relevance, rows, 0.5, 3, seed)) for seed in range(DRAWS))
    assert chance(found, likelihoods(relevance, rows, 0.6, 3)) < UNLIKELY


def test_drawn_items_come_in_an_order_that_favours_none() -> None:
    """Two items of a slate drawn by an elementary DPP come in either order equally often, over all slates."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(6, 8)).astype(np.float32)
    first = Counter(draw(np.zeros(6), rows, 1.0, 2, seed)[0] for seed in range(DRAWS))
    second = Counter(draw(np.zeros(6), rows, 1.0, 2, seed)[1] for seed in range(DRAWS))
    table = np.array([[first[i] for i in range(6)], [second[i] for i in range(6)]])
    assert stats.chi2_contingency(table).pvalue > UNLIKELY


def test_a_refused_draw_is_no_second_chance() -> None:
    """Whoever was drawn first is refused with all its kind: the others are drawn in the proportions they have."""
    kind, worth = np.array([0, 0, 1, 1, 1], np.int32), np.array([3.0, 6.0, 1.0, 2.0, 5.0])
    refused: Counter[int] = Counter()
    for seed in range(DRAWS):
        gate = open_gate(kind, 2, 5)
        strategy = sampler(np.zeros(5), np.eye(5, dtype=np.float32), 0.5, gate, seed)
        strategy.adjust(0.5 * np.log(worth))
        strategy.select(0, 1)
        if kind[gate.picks[0]] == 0:
            strategy.retract(0)
            gate.is_open[0] = False
            strategy.select(0, 1)
            refused[int(gate.picks[0])] += 1
    total = sum(refused.values())
    assert total > DRAWS / 3
    assert stats.chisquare([refused[i] for i in (2, 3, 4)], total * worth[2:] / 8).pvalue > UNLIKELY


def test_a_bonus_weighs_draws_by_its_exponential() -> None:
    rows = np.eye(3, dtype=np.float32)
    bonus = 0.5 * np.log([1.0, 2.0, 5.0])
    found: Counter[int] = Counter()
    for seed in range(DRAWS):
        gate = open_gate(np.zeros(3, np.int32), 1, 3)
        strategy = sampler(np.zeros(3), rows, 0.5, gate, seed)
        strategy.adjust(bonus)
        strategy.select(0, 1)
        found[int(gate.picks[0])] += 1
    assert stats.chisquare([found[i] for i in range(3)], DRAWS * np.array([1, 2, 5]) / 8).pvalue > UNLIKELY


def test_when_all_directions_are_spanned_relevance_fills_the_rest() -> None:
    """A sampler that needs k directions fails here, or hands out duplicates or items in index order."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = np.repeat(rng.normal(size=(3, 5)), 4, axis=0).astype(np.float32)[rng.permutation(12)]
        gate = open_gate(np.zeros(12, np.int32), 1, 9)
        strategy = sampler(np.linspace(1, 0, 12), rows, 0.6, gate, seed)
        exhausted = []
        for slot in range(9):
            strategy.select(slot, slot + 1)
            exhausted.append(strategy.exhausted(0.0))
        picks = gate.picks.tolist()
        assert exhausted == [False] * 3 + [True] * 6
        assert len(set(picks)) == 9
        assert np.linalg.matrix_rank(rows[picks[:3]]) == 3
        assert picks[3:] == [i for i in range(12) if i not in picks[:3]][:6]


@pytest.mark.parametrize("diversity", [1e-9, 1e-3, 0.05, 1.0])
def test_no_quality_overflows_and_next_to_no_diversity_is_the_upstream_order(diversity: float) -> None:
    rng = np.random.default_rng(5)
    rows, relevance = rng.normal(size=(40, 16)).astype(np.float32), np.linspace(1e6, -1e6, 40)
    with np.errstate(all="raise", under="ignore"):
        picks = draw(relevance, rows, diversity, 10, 0)
    if diversity < 1:
        assert picks == list(range(10))
    assert len(set(picks)) == 10


def test_polynomials_of_many_small_eigenvalues_stay_finite() -> None:
    """Products of a hundred eigenvalues leave float64's range (the fate of others' elementary polynomials)."""
    values = np.geomspace(1e-9, 1.0, 300)
    spectrum = Spectrum(values, np.zeros(0, np.intp), np.zeros((300, 0)), np.eye(300), False)
    with np.errstate(all="raise"):
        for seed in range(20):
            chosen = spectrum.choose(100, np.random.default_rng(seed).random(300))
            assert len(set(chosen.tolist())) == 100
    likely = Counter(
        i for seed in range(50) for i in spectrum.choose(100, np.random.default_rng(seed).random(300)).tolist()
    )
    assert sum(likely[i] for i in range(150, 300)) > 45 * 100


def test_draws_obey_any_gate_and_the_same_seed_draws_the_same() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(10, 30))
        relevance, rows = falling(rng, count), hard_rows(rng, count)
        kind = rng.integers(3, size=count).astype(np.int32)
        slates = []
        for _ in range(2):
            gate = open_gate(kind, 3, 8)
            gate.bounded = True
            gate.upper = np.tile(np.minimum(np.arange(9), 4).astype(np.int32), (3, 1))
            gate.release[:] = np.where(np.arange(count) % 5 == 4, np.arange(count) + 1, 1)
            sampler(relevance, rows, 0.6, gate, seed).select(0, 8)
            slates.append((gate.picks.tolist(), gate.gains.tolist()))
        assert slates[0] == slates[1]
        picks = [pick for pick in slates[0][0] if pick >= 0]
        assert len(set(picks)) == len(picks)
        assert np.bincount(kind[picks], minlength=3).max() <= 4
        assert all(gate.release[pick] <= slot + 1 for slot, pick in enumerate(picks))
