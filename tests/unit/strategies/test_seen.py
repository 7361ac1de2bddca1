"""Items of earlier pages: the first candidates in line, forced into the first slots, picks like any other."""

from __future__ import annotations

import numpy as np
import pytest

from reranker.strategies.mmr_window import WindowedMmrStrategy
from reranker.strategies.relevance import RelevanceStrategy
from tests.reference import naive_aspects
from tests.reference.bare_strategies import MODES, bare, falling, hard_rows, open_gate, twin_of

SEEN, FREE = 4, 6

BY_EMBEDDING = [mode for mode in MODES if mode[0] not in naive_aspects.NAMES]


@pytest.mark.parametrize(("name", "window"), BY_EMBEDDING)
@pytest.mark.parametrize("at_once", [False, True])
def test_they_count_as_picks(name: str, window: int, at_once: bool) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(SEEN + FREE, 40))
        relevance, rows = falling(rng, count), hard_rows(rng, count)
        diversity, shifted = float(rng.choice([0.3, 1.0])), bool(rng.random() < 0.5)
        gate = open_gate(np.zeros(count, np.int32), 1, SEEN + FREE)
        gate.forced[:SEEN] = np.arange(SEEN)
        strategy = bare(name, relevance, rows, diversity, shifted, gate, window, SEEN)
        twin = twin_of(name, relevance, rows, diversity, shifted, window, SEEN)
        if name == "relevance":
            twin = twin_of(name, strategy.problem.weighted_relevance(), rows, 0.0, shifted)
        for first in [0] if at_once else range(SEEN + FREE):
            strategy.select(first, SEEN + FREE if at_once else first + 1)
        picks = gate.picks.tolist()
        assert picks[:SEEN] == list(range(SEEN))
        for slot in range(SEEN, SEEN + FREE):
            utilities = twin.utilities(picks[:slot])
            assert gate.gains[slot] == pytest.approx(utilities[picks[slot]], abs=2e-5), (seed, slot)
            assert utilities[picks[slot]] >= max(utilities.values()) - 2e-5, (seed, slot)


def test_nobody_has_to_stand_for_what_was_seen() -> None:
    """Four copies of item 0, one of them seen: seen, it is no reason to pick another."""
    rows = np.array([[1, 0]] * 4 + [[0, 1]] * 3, np.float32)
    for seen in (0, 4):
        gate = open_gate(np.zeros(7, np.int32), 1, 2)
        gate.forced[0] = 0
        if seen:
            gate.taken[1:4] = True
        strategy = bare("cover", np.zeros(7), rows, 1.0, False, gate, seen=seen)
        _, gain = strategy.parts(0)
        assert gain.tolist() == pytest.approx([4.0 - seen] * 4 + [3.0] * 3, abs=1e-6)
        strategy.select(0, 2)
        assert gate.picks.tolist() == [0, 4]


def test_a_window_that_looks_back_on_nothing_is_relevance_and_a_long_one_the_whole_slate() -> None:
    rng = np.random.default_rng(0)
    relevance, rows = falling(rng, 20), rng.normal(size=(20, 4)).astype(np.float32)
    whole = bare("mmr", relevance, rows, 0.5, False, open_gate(np.zeros(20, np.int32), 1, 8))
    for window, kind in ((1, RelevanceStrategy), (2, WindowedMmrStrategy), (7, WindowedMmrStrategy), (8, type(whole))):
        made = bare("mmr", relevance, rows, 0.5, False, open_gate(np.zeros(20, np.int32), 1, 8), window)
        assert type(made) is kind
    whole.select(0, 8)
    made.select(0, 8)
    assert made.gate.picks.tolist() == whole.gate.picks.tolist()
