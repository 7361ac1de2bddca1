"""What other implementations get wrong, got right: each test names the defect as it was observed or read in a peer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reranker import Candidates, InvalidInput, Policy, Slate, rerank

STRATEGIES = ("mmr", "msd", "dpp", "ssd", "cover")
MODES = (*STRATEGIES, "mmr 3", "dpp 3", "ssd 3")  # 3: the window
Rows = NDArray[np.float32]


def served(mode: str, diversity: float, scores: Any, rows: Any, slots: int, **words: Any) -> Slate:
    strategy, _, window = mode.partition(" ")
    objective = {"strategy": strategy, "diversity": diversity, "window": int(window or 0), **words}
    return rerank(Candidates(range(len(scores)), scores, rows), Policy.from_dict({"objective": objective}), slots)


def drawn(seed: int, count: int = 60, width: int = 12) -> tuple[NDArray[np.float64], Rows]:
    """Scores a hundredth apart, in random order, and clustered rows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, width))
    rows = centres[rng.integers(6, size=count)] + 0.4 * rng.normal(size=(count, width))
    return rng.permutation(count) / 100.0, rows.astype(np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", MODES)
def test_no_number_no_slate(mode: str, bad: float) -> None:
    """pyversity picks a NaN score first, falls to index order for one NaN row, repeats items for an infinite score."""
    scores, rows = drawn(0)
    with pytest.raises(InvalidInput, match="scores"):
        served(mode, 0.5, np.where(np.arange(60) == 7, bad, scores), rows, 10)
    rows[3, 2] = bad
    with pytest.raises(InvalidInput, match="embeddings"):
        served(mode, 0.5, scores, rows, 10)


@pytest.mark.parametrize("diversity", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("mode", MODES)
def test_all_alike_are_taken_by_relevance(mode: str, diversity: float) -> None:
    """pyversity's DPP on equal embeddings skips the second best; a tail without variance follows the index."""
    scores = np.random.default_rng(1).permutation(20).astype(np.float64)
    slate = served(mode, diversity, scores, np.ones((20, 4)), 20)
    assert slate.positions.tolist() == np.argsort(-scores).tolist()


@pytest.mark.parametrize("mode", ["dpp", "ssd", "dpp 20", "ssd 20"])
def test_behind_the_end_of_the_rank_relevance_decides(mode: str) -> None:
    """pyversity and PAI-Rec go on in index order or by rounding; others stop and return fewer items."""
    for seed in range(20):
        scores, rows = drawn(seed, width=2)
        slate = served(mode, 0.9, scores, rows, 40)
        assert len(set(slate.positions.tolist())) == 40
        tail = slate.positions[3:20]  # two dimensions and the constant: three directions
        assert (np.diff(scores[tail]) < 0).all(), seed


@pytest.mark.parametrize("mode", MODES)
def test_the_knob_has_no_step_at_its_ends(mode: str) -> None:
    """pyversity's DPP keeps 7 of the top 10 at 1e-6, its COVER 2 at 0.05."""
    for seed in range(20):
        scores, rows = drawn(seed)
        upstream = np.argsort(-scores)[:20].tolist()
        assert served(mode, 0.0, scores, rows, 20).positions.tolist() == upstream
        assert served(mode, 1e-7, scores, rows, 20).positions.tolist() == upstream
        one, nearly = (served(mode, d, scores, rows, 20).positions.tolist() for d in (1.0, 1.0 - 1e-9))
        assert one == nearly, seed


@pytest.mark.parametrize("mode", MODES)
def test_diversity_alone_begins_with_the_best(mode: str) -> None:
    """pyversity's DPP at 1 begins with index 0. COVER begins with what stands for most, whoever that is."""
    for seed in range(10):
        scores, rows = drawn(seed)
        if mode != "cover":
            assert served(mode, 1.0, scores, rows, 5).positions[0] == np.argmax(scores)


@pytest.mark.parametrize("scale", [1e-6, 10.0, 100.0, 1e6])
@pytest.mark.parametrize("mode", MODES)
def test_the_unit_of_the_scores_does_not_matter(mode: str, scale: float) -> None:
    """pyversity's MMR, MSD and COVER keep 6, 8 or 9 of the top 10 as scores are times 1, 10, 100."""
    for seed in range(10):
        scores, rows = drawn(seed)
        expected = served(mode, 0.5, scores, rows, 10).positions.tolist()
        assert served(mode, 0.5, scores * scale + 3.0 * scale, rows, 10).positions.tolist() == expected


@pytest.mark.parametrize("mode", MODES)
def test_items_without_an_embedding_are_served(mode: str) -> None:
    """Elasticsearch, Qdrant and others drop them silently; PAI-Rec gives them a random vector each time."""
    for seed in range(10):
        scores, rows = drawn(seed, count=20)
        rows[::4] = 0.0
        slates = [served(mode, 0.6, scores, rows, 20).positions.tolist() for _ in range(2)]
        assert slates[0] == slates[1]
        assert sorted(slates[0]) == list(range(20))


@pytest.mark.parametrize("mode", MODES)
def test_a_slate_larger_than_the_list_is_the_list(mode: str) -> None:
    """Stopping rules on the residual leave out the rest."""
    scores, rows = drawn(3, count=9, width=1)
    assert sorted(served(mode, 1.0, scores, rows, 50).positions.tolist()) == list(range(9))


def test_distance_does_not_drown_relevance_in_long_slates() -> None:
    """pyversity's MSD adds distances up: an irrelevant item a little farther away wins once the slate is long."""
    count = 40
    rows = np.eye(count, dtype=np.float32)
    rows[-2, :-2] = 0.05  # relevant, a little like everybody
    scores = np.linspace(1.0, 0.9, count)
    scores[-1] = 0.0
    picks = served("msd", 0.5, scores, rows, count).positions.tolist()
    assert picks.index(count - 2) < picks.index(count - 1) == count - 1


def test_a_window_slides() -> None:
    """PAI-Rec's window is a block: repulsion begins anew at its edge, so copies meet there."""
    kinds = np.arange(30) // 5  # five copies each, side by side
    rows = np.eye(6, dtype=np.float32)[kinds]
    for mode in ("mmr 4", "dpp 4", "ssd 3"):
        picks = served(mode, 0.9, np.linspace(1.0, 0.5, 30), rows, 18).positions
        for slot in range(3, 18):
            assert kinds[picks[slot]] not in kinds[picks[slot - 3 : slot]], (mode, slot)


@pytest.mark.parametrize("mode", MODES)
def test_one_candidate_and_one_dimension(mode: str) -> None:
    assert served(mode, 0.5, [1.0], [[2.0]], 3).positions.tolist() == [0]
    scores = np.arange(8.0)
    slate = served(mode, 0.5, scores, np.array([[1.0], [-1.0]] * 4), 8)
    assert sorted(slate.positions.tolist()) == list(range(8))
    assert slate.positions[0] == 7
