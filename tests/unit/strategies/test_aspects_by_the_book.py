"""Strategies over explicit aspects against published examples, other implementations and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from reranker.kernels.gate import Gate
from reranker.strategies import STRATEGIES, Problem, Strategy
from reranker.strategies.by_aspect import owned_slots
from tests.reference.bare_strategies import Floats, made_aspects, open_gate

# Scores in hundredths, amounts of three aspects in twentieths, then what FairDiverse 1.0.0 answers: its xQuAD at lambda
# 0.3, 0.5 and 0.8, its PM2 at lambda 0.5 with one vote for each aspect.
FAIRDIVERSE = [
    (
        [86, 45, 45, 36, 29, 24, 11, 8],
        [[1, 11, 8], [15, 2, 3], [10, 1, 9], [6, 5, 9], [3, 14, 3], [0, 18, 2], [0, 8, 12], [1, 14, 5]],
        {
            0.3: [0, 1, 2, 3, 4, 5, 6, 7],
            0.5: [0, 1, 2, 4, 3, 5, 6, 7],
            0.8: [0, 1, 6, 2, 5, 3, 4, 7],
        },
        [0, 1, 6, 2, 5, 3, 4, 7],
    ),
    (
        [98, 81, 64, 58, 58, 40, 36, 4],
        [[4, 10, 6], [6, 2, 12], [6, 3, 11], [7, 8, 5], [15, 1, 4], [1, 1, 18], [4, 4, 12], [6, 5, 9]],
        {
            0.3: [0, 1, 2, 4, 3, 5, 6, 7],
            0.5: [0, 1, 4, 2, 3, 5, 6, 7],
            0.8: [0, 1, 4, 3, 2, 6, 5, 7],
        },
        [0, 4, 5, 3, 7, 6, 2, 1],
    ),
    (
        [92, 84, 83, 81, 75, 39, 20, 19],
        [[5, 2, 13], [0, 19, 1], [7, 11, 2], [10, 5, 5], [5, 2, 13], [11, 9, 0], [4, 8, 8], [5, 1, 14]],
        {
            0.3: [0, 1, 3, 2, 4, 5, 7, 6],
            0.5: [0, 1, 3, 4, 2, 5, 7, 6],
            0.8: [0, 1, 3, 4, 2, 5, 7, 6],
        },
        [0, 1, 3, 7, 5, 4, 2, 6],
    ),
]


def bare(
    name: str, relevance: Floats, amounts: Floats, shares: Floats, diversity: float, gate: Gate, seen: int = 0
) -> Strategy:
    aspects = made_aspects(amounts, shares)
    order = np.arange(len(relevance), dtype=np.int32)
    problem = Problem(relevance, diversity, None, order, False, len(gate.picks), aspects=aspects, seen=seen)
    return STRATEGIES[name](problem, gate)


def slate(
    name: str,
    relevance: Floats,
    amounts: Floats,
    shares: Floats,
    diversity: float,
    slots: int,
    forced: Sequence[int] = (),
) -> list[int]:
    gate = open_gate(np.zeros(len(relevance), np.int32), 1, slots)
    gate.forced[: len(forced)] = forced
    bare(name, relevance, amounts, shares, diversity, gate).select(0, slots)
    return [int(pick) for pick in gate.picks]


def labelled(groups: str) -> Floats:
    """One aspect an item, by letter; a dot is no label."""
    return np.array([[float(group == letter) for letter in sorted(set(groups) - {"."})] for group in groups])


@pytest.mark.parametrize(("scores", "amounts", "xquad", "pm2"), FAIRDIVERSE)
def test_equal_to_fairdiverse(
    scores: list[int], amounts: list[list[int]], xquad: dict[float, list[int]], pm2: list[int]
) -> None:
    """Shares are equal, so xQuAD's lambda is ours but for the unit: an aspect is worth 1 here, 1/3 there."""
    relevance, share = np.array(scores) / 100.0, np.array(amounts) / 20.0
    for weight, expected in xquad.items():
        assert slate("xquad", relevance, share, np.ones(3), weight, 8) == expected
    assert slate("pm2", relevance, share, np.ones(3), 1.0, 8) == pm2


@pytest.mark.parametrize(
    ("votes", "seats", "expected"),
    [
        ((100_000, 80_000, 30_000, 20_000), 8, (3, 3, 1, 1)),  # the example of the encyclopaedias
        ((53, 24, 23), 7, (3, 2, 2)),  # apportionment 1.0, "saintelague"
        ((340, 280, 160, 60, 15), 15, (6, 5, 3, 1, 0)),  # apportionment 1.0, "saintelague"
    ],
)
def test_pm2_alone_hands_out_seats_as_sainte_lague_does(
    votes: tuple[int, ...], seats: int, expected: tuple[int, ...]
) -> None:
    amounts = np.repeat(np.eye(len(votes)), seats, axis=0)
    picks = slate("pm2", np.linspace(1, 0, len(amounts)), amounts, np.array(votes, float), 1.0, seats)
    assert tuple(np.bincount(np.array(picks) // seats, minlength=len(votes))) == expected


def test_pm2_hands_out_nothing_for_aspects_that_nobody_is_left_of() -> None:
    """The knob keeps its strength: the largest quotient is one that can still be claimed."""
    amounts = labelled("abbbcccc")
    gate = open_gate(np.zeros(8, np.int32), 1, 8)
    strategy = bare("pm2", np.linspace(1, 0, 8), amounts, np.array([0.9, 0.05, 0.05]), 0.5, gate)
    for slot in range(8):
        strategy.select(slot, slot + 1)
        if slot:
            assert strategy.parts(slot)[1][gate.picks[slot]] == pytest.approx(0.5, abs=0.3)
    assert gate.picks[0] == 0


def divergence(target: Floats, rows: Floats) -> float:
    smoothed = 0.99 * rows.mean(axis=0) + 0.01 * target
    return float(sum(p * math.log(p / q) for p, q in zip(target, smoothed, strict=True) if p > 0))


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.9, 0.99, 1.0])
def test_calibrated_is_stecks_greedy(weight: float) -> None:
    """(1 - lambda) sum r - lambda C_KL, slot by slot: in slot n our knob is where n delta : 1 - delta is his ratio."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        count, kinds, slots = 12, int(rng.integers(2, 5)), 6
        relevance = np.sort(rng.random(count))[::-1].copy()
        amounts = (rng.random((count, kinds)) < 0.5).astype(float)
        amounts[np.arange(count), rng.integers(kinds, size=count)] = 1.0
        target = rng.dirichlet(np.ones(kinds))
        parts = amounts / amounts.sum(axis=1, keepdims=True)
        picks: list[int] = []
        for n in range(1, slots + 1):
            values = [
                (1 - weight) * relevance[[*picks, i]].sum() - weight * divergence(target, parts[[*picks, i]])
                if i not in picks
                else -np.inf
                for i in range(count)
            ]
            delta = weight / (weight + n * (1 - weight))
            ours = slate("calibrated", relevance, amounts, target, delta, n, forced=picks)
            if np.sort(values)[-1] - np.sort(values)[-2] > 1e-9:
                assert ours[-1] == int(np.argmax(values)), (seed, n)
            picks.append(int(np.argmax(values)))


def test_calibrated_reaches_a_target_that_can_be_reached() -> None:
    amounts = np.repeat(np.eye(3), 20, axis=0)
    picks = slate("calibrated", np.linspace(1, 0, 60), amounts, np.array([0.7, 0.2, 0.1]), 1.0, 20)
    assert np.bincount(np.array(picks) // 20).tolist() == [14, 4, 2]


def test_dum_keeps_the_most_relevance_that_coverage_allows() -> None:
    """Ashkan 2015, theorem 1, by brute force where each item covers one aspect: a partition matroid."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        count, slots = 9, 4
        relevance = np.sort(rng.random(count))[::-1].copy()
        groups = "".join(rng.choice(list("abc"), count))
        amounts, shares = labelled(groups), rng.dirichlet(np.ones(len(set(groups))))
        seats = np.ceil(shares * slots - 1e-9)
        picks = slate("dum", relevance, amounts, shares, 1.0, slots)
        possible = [
            relevance[list(some)].sum()
            for some in itertools.combinations(range(count), slots)
            if (amounts[list(some)].sum(axis=0) <= seats).all()
        ]
        if possible:
            assert relevance[picks].sum() == pytest.approx(max(possible)), seed
            assert picks == sorted(picks), seed


def test_round_robin_interleaves_queues() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        groups = "".join(rng.choice(list("abcd"), 14, p=[0.6, 0.2, 0.1, 0.1]))
        queues = [[i for i, group in enumerate(groups) if group == name] for name in dict.fromkeys(groups)]
        turns = itertools.zip_longest(*queues)
        expected = [item for turn in turns for item in turn if item is not None]
        amounts = labelled(groups)[:, [sorted(set(groups)).index(name) for name in dict.fromkeys(groups)]]
        assert slate("round_robin", np.linspace(1, 0, 14), amounts, np.ones(amounts.shape[1]), 1.0, 14) == expected


def test_round_robin_and_dum_own_as_many_slots_as_the_knob_says() -> None:
    for percent in range(101):
        owned = owned_slots(percent / 100, 200, 0)
        assert owned[:200].sum() == 2 * percent
        for slots in range(1, 201):
            assert owned[:slots].sum() == slots * percent // 100
    assert owned_slots(0.5, 6, 2).tolist() == [False, False, False, True, False, True, False]


def test_unlabelled_items_come_last_where_aspects_alone_decide() -> None:
    for name in STRATEGIES:
        if name in ("xquad", "pm2", "dum", "calibrated", "round_robin"):
            picks = slate(name, np.linspace(1, 0, 6), labelled(".a.b.a"), np.ones(2), 1.0, 6)
            assert sorted(picks) == list(range(6))
            assert picks[0] == 1, name


def test_earlier_pages_count_and_own_slots_begin_after_them() -> None:
    """Two items of group a were seen: the next turns are b's and c's, in slots 3 and 4 of the cursor."""
    amounts = labelled("aaabc")
    gate = open_gate(np.zeros(5, np.int32), 1, 4)
    gate.forced[:2] = [0, 1]
    bare("round_robin", np.linspace(1, 0, 5), amounts, np.ones(3), 1.0, gate, seen=2).select(0, 4)
    assert gate.picks.tolist() == [0, 1, 3, 4]
    for name in ("xquad", "pm2", "calibrated"):
        gate = open_gate(np.zeros(5, np.int32), 1, 4)
        gate.forced[:2] = [0, 1]
        bare(name, np.linspace(1, 0, 5), amounts, np.ones(3), 1.0, gate, seen=2).select(0, 4)
        assert gate.picks.tolist() == [0, 1, 3, 4], name


@pytest.mark.parametrize("name", ["xquad", "pm2", "calibrated"])
def test_the_knob_moves_slates_step_by_step(name: str) -> None:
    """Next to a knob that decides there is one that decides alike: slates change at few places, never at 0."""
    rng = np.random.default_rng(3)
    relevance = np.sort(rng.random(40))[::-1].copy()
    amounts = labelled("".join(rng.choice(list("abcd"), 40, p=[0.7, 0.1, 0.1, 0.1])))
    knobs = np.linspace(1e-9, 1.0, 400)
    slates = [slate(name, relevance, amounts, np.ones(4), float(knob), 10) for knob in knobs]
    assert slates[0] == list(range(10))
    changes = sum(one != other for one, other in itertools.pairwise(slates))
    assert changes < 60
    minority = [sum(amounts[pick, 0] == 0 for pick in picks) for picks in slates]
    assert minority[0] < minority[-1]
