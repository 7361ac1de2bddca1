"""Equal picks with pyversity, under its own normalisation and similarity, wherever the best leads by more than 1e-5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyversity import Strategy, diversify

from tests.reference.judge import Case
from tests.reference.naive_strategies import Twin, greedy, top_two_margin

pytestmark = pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python

MARGIN = 1e-5
CASES = 145  # seeds a strategy
DIVERSITIES = (0.1, 0.3, 0.5, 0.8, 0.95)
Rows = NDArray[np.float32]


def drawn(seed: int, strategy: str, **words: Any) -> tuple[Case, Rows]:
    """Normal or clustered rows, none of them missing: a missing one is its own direction here and none there."""
    rng = np.random.default_rng(1000 + seed)
    count, width = int(rng.integers(30, 251)), int(rng.integers(4, 65))
    rows = rng.standard_normal((count, width)).astype(np.float32)
    if seed % 2:
        centres = rng.normal(size=(int(rng.integers(2, 12)), width))
        spread = float(rng.choice([0.1, 0.3, 1.0]))
        rows = (centres[rng.integers(len(centres), size=count)] + spread * rows).astype(np.float32)
    scores = rng.uniform(0.0, 1.0, count).astype(np.float32).astype(np.float64)
    case = Case(scores, rows, {}, {"objective": {"strategy": strategy, **words}}, int(rng.integers(2, 31)))
    return case, rows


def least_margin(twin: Twin, slots: int) -> float:
    """By how much the best leads where it leads least; of the utility where that is above 1, as float32 counts."""
    _, gains, margins = greedy(twin, slots)
    return min(margin / max(1.0, abs(gain)) for gain, margin in zip(gains, margins, strict=True))


def mmr(seed: int, diversity: float) -> tuple[Case, list[int]]:
    case, rows = drawn(seed, "mmr", similarity="cosine", score_normalisation="none", diversity=diversity)
    return case, diversify(rows, case.scores, case.slate_size, Strategy.MMR, diversity).indices.tolist()


def cover(seed: int, diversity: float) -> tuple[Case, list[int]]:
    case, rows = drawn(seed, "cover", similarity="cosine", score_normalisation="none", diversity=diversity)
    return case, diversify(rows, case.scores, case.slate_size, Strategy.COVER, diversity).indices.tolist()


def ssd(seed: int, diversity: float) -> tuple[Case, list[int]]:
    """Its vectors are (f, 1), ours (f, 1) / sqrt(2): gamma makes up for it. Every second case has a window."""
    window = seed % 7 if seed % 4 > 1 else 0
    case, rows = drawn(seed, "ssd", diversity=diversity, window=window)
    case = replace(case, slate_size=min(case.slate_size, max(2, rows.shape[1] // 2)))  # see dpp
    words = {"gamma": np.sqrt(0.5), "window": window or None}
    return case, diversify(rows, case.scores, case.slate_size, Strategy.SSD, diversity, **words).indices.tolist()


def dpp(seed: int, diversity: float) -> tuple[Case, list[int]]:
    """Its quality is exp(z (1 - d)), so that its log-utility is z (1 - d) 2 + log d2: ours at 1 / (3 - 2 d)."""
    ours = 1.0 / (3.0 - 2.0 * diversity)
    case, rows = drawn(seed, "dpp", similarity="cosine", score_normalisation="zscore", diversity=ours)
    # Once little is left of everything, float32 residuals are noise, and its have no floor.
    case = replace(case, slate_size=min(case.slate_size, max(2, rows.shape[1] // 2)))
    return case, diversify(rows, case.scores, case.slate_size, Strategy.DPP, diversity).indices.tolist()


@pytest.mark.parametrize("make", [mmr, cover, ssd, dpp])
def test_more_than_125_cases_each_have_equal_picks(make: Callable[[int, float], tuple[Case, list[int]]]) -> None:
    compared = 0
    for seed in range(CASES):
        case, theirs = make(seed, DIVERSITIES[seed % len(DIVERSITIES)])
        if least_margin(case.twin(), case.slate_size) > MARGIN:
            compared += 1
            assert case.run().positions.tolist() == theirs, seed
    assert compared > 125


class Sums(Twin):
    """MSD as pyversity has it: the sum of distances where ours takes the mean, and cosines not clipped at 0."""

    def gains(self, earlier: Any) -> NDArray[np.float64]:
        return np.asarray((1.0 - np.clip(self.similarity[:, list(earlier)], -1.0, 1.0)).sum(axis=1))


def test_msd_differs_from_pyversitys_by_the_mean_and_the_clip_alone() -> None:
    """Our twin with both undone picks what pyversity does; our engine picks what our twin does (elsewhere)."""
    compared = 0
    for seed in range(60):
        diversity = DIVERSITIES[seed % len(DIVERSITIES)]
        case, rows = drawn(seed, "msd", similarity="cosine", score_normalisation="none", diversity=diversity)
        theirs = diversify(rows, case.scores, case.slate_size, Strategy.MSD, diversity).indices.tolist()
        twin = Sums(**vars(case.twin()))
        picks, _, margins = greedy(twin, case.slate_size)
        if min(margins) > MARGIN:
            compared += 1
            assert picks == theirs, seed
    assert compared > 40


def test_with_one_earlier_pick_the_mean_is_the_sum() -> None:
    for seed in range(40):
        case, rows = drawn(seed, "msd", similarity="cosine", score_normalisation="none", diversity=0.5)
        case = replace(case, rows=np.abs(rows), slate_size=2)
        utilities = case.twin().utilities(case.run().positions.tolist()[:1])
        if top_two_margin(utilities, case.twin().choose(utilities)) > MARGIN:
            theirs = diversify(np.abs(rows), case.scores, 2, Strategy.MSD, 0.5).indices.tolist()
            assert case.run().positions.tolist() == theirs, seed
