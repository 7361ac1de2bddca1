"""Strategies without quotas: equal to float64 twins, and to themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference import instances
from tests.reference.judge import Case, check_picks
from tests.reference.naive_strategies import greedy, upstream_order

pytestmark = pytest.mark.slow  # under coverage: kernels as plain Python take minutes, and small requests cover them

FORMS = ("auto", "zscore", "minmax", "rank", "none")
SIMILARITIES = ("auto", "cosine", "cosine_shifted")
VARIED = ("mmr", "msd", "dpp", "ssd", "cover")
# Strategy and window: the whole slate, and shorter ones where a window means something.
MODES = [(name, 0) for name in VARIED] + [(name, window) for name in ("mmr", "dpp", "ssd") for window in (1, 2, 5, 50)]


def clustered(rng: np.random.Generator, count: int, width: int, spread: float) -> NDArray[np.float32]:
    centres = rng.normal(size=(int(rng.integers(2, 12)), width))
    drawn = centres[rng.integers(len(centres), size=count)] + spread * rng.normal(size=(count, width))
    return np.asarray(drawn, np.float32)


def large(rng: np.random.Generator, strategy: str, **words: Any) -> Case:
    count, width = int(rng.integers(20, 301)), int(rng.integers(4, 65))
    rows = rng.normal(size=(count, width)).astype(np.float32)
    if rng.random() < 0.6:
        rows = clustered(rng, count, width, float(rng.choice([0.01, 0.1, 0.3, 1.0])))
    if rng.random() < 0.3:
        rows[rng.random(count) < 0.1] = 0.0
    objective = {"strategy": strategy, "diversity": float(rng.choice([0.1, 0.3, 0.5, 0.8, 1.0])), **words}
    scores = rng.normal(size=count) if rng.random() < 0.5 else rng.exponential(size=count)
    return Case(scores, rows, {}, {"objective": objective}, int(rng.integers(2, 31)))


@pytest.mark.parametrize(("strategy", "window"), [("relevance", 0), *MODES])
@pytest.mark.parametrize("batch", range(4))
def test_picks_equal_the_twin(strategy: str, window: int, batch: int) -> None:
    for seed in range(batch * 30, batch * 30 + 30):
        rng = np.random.default_rng(seed)
        case = large(rng, strategy, window=window)
        try:
            check_picks(case, case.run().positions.tolist())
        except AssertionError as problem:
            problem.add_note(f"seed {seed}: {case.policy}, {len(case.scores)} items")
            raise


@pytest.mark.parametrize(("strategy", "window"), [*MODES[:6], ("dpp", 4), ("ssd", 4)])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("form", FORMS)
def test_picks_equal_the_twin_under_every_setting(strategy: str, window: int, similarity: str, form: str) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        case = large(rng, strategy, similarity=similarity, score_normalisation=form, window=window)
        check_picks(case, case.run().positions.tolist())


@pytest.mark.parametrize(("strategy", "window"), MODES)
def test_gains_are_the_utilities_at_the_picks(strategy: str, window: int) -> None:
    for seed in range(20):
        case = large(np.random.default_rng(seed), strategy, window=window)
        slate, twin = case.run(), case.twin()
        picks = slate.positions.tolist()
        for slot, pick in enumerate(picks):
            utility = twin.utilities(picks[:slot])[pick]
            noise = 1e-5 if twin.gains(picks[:slot])[pick] > np.log(0.2) else 0.1  # float32 near the end of the rank
            assert slate.gains[slot] == pytest.approx(utility, abs=noise), (seed, slot)


@pytest.mark.parametrize("strategy", ["relevance", *VARIED])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_diversity_is_the_upstream_order(strategy: str, form: str, similarity: str) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 40))
        words = {"strategy": strategy, "diversity": 0.0, "score_normalisation": form, "similarity": similarity}
        scores, rows = instances.scores(rng, count), instances.rows(rng, count, 5)
        case = Case(scores, rows, {}, {"objective": words}, int(rng.integers(1, count + 5)))
        assert case.run().positions.tolist() == upstream_order(scores)[: case.slate_size]


@pytest.mark.parametrize(("strategy", "window"), MODES)
def test_shift_and_scale_of_the_scores_do_not_matter(strategy: str, window: int) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        case = large(rng, strategy, window=window)
        if min(greedy(case.twin(), case.slate_size)[2]) < 1e-5:
            continue
        moved = Case(case.scores * 37.5 - 1234.5, case.rows, {}, case.policy, case.slate_size)
        assert moved.run().positions.tolist() == case.run().positions.tolist(), seed


@pytest.mark.parametrize(("strategy", "window"), [("relevance", 0), *MODES])
def test_the_order_of_the_candidates_does_not_matter(strategy: str, window: int) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        case = large(rng, strategy, window=window)
        order = rng.permutation(len(case.scores))
        assert case.rows is not None
        mixed = Case(case.scores[order], case.rows[order], {}, case.policy, case.slate_size)
        if min(greedy(case.twin(), case.slate_size)[2]) >= 1e-5:
            assert order[mixed.run().positions].tolist() == case.run().positions.tolist(), seed


def test_identical_vectors_do_not_meet_while_another_candidate_remains() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        base = rng.normal(size=(30, 16)).astype(np.float32)
        rows = np.repeat(base, 3, axis=0)
        scores = np.sort(rng.random(90))[::-1].copy()  # duplicates stand side by side at the top
        objective = {"strategy": "dpp", "diversity": float(rng.choice([0.5, 0.8, 1.0]))}
        picks = Case(scores, rows, {}, {"objective": objective}, 12).run().positions
        assert len(set((picks // 3).tolist())) == 12, seed
