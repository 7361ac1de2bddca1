"""Exposure over many requests, and of slates that the policy did not make."""

from __future__ import annotations

import numpy as np
import pytest

from reranker import Candidates, Context
from reranker.engine import Outlook, exposure_given, rerank_traced
from reranker.exposure.memory import MemoryBoard
from reranker.exposure.tally import TallyKey
from tests.unit.engine.test_exposure import SHARES, as_quota, candidates, policy


class TestGivenByOthers:
    def test_what_another_slate_gave_under_the_targets_of_a_policy(self) -> None:
        listed = Candidates([1, 2, 3, 4], [1.0, 4.0, 3.0, 2.0], None, {"tone": ["x", "y", None, "x"]})
        context = Context(surface="search", intent="beauty")
        (given,) = exposure_given(listed, policy(), np.array([1, 2, 0], np.int32), context, "upstream")
        assert given.key == TallyKey("search", "p", "upstream", "tone")
        assert given.values == (("y",), (), ("x",))
        assert given.relevance == (4.0, 3.0, 1.0)
        assert (given.shares, given.prices, given.before) == (SHARES, {}, 0)

    def test_nothing_of_lists_that_a_user_narrowed_or_policies_that_steer_nothing(self) -> None:
        positions, listed = np.array([0, 1], np.int32), candidates()
        assert exposure_given(listed, policy(), positions, Context(refinement={"tone": ["y"]}), "upstream") == ()
        assert exposure_given(listed, as_quota({"min_share": SHARES}), positions, Context(), "upstream") == ()


class TestManyRequests:
    """Nobody is driven off: prices come to rest, and who has a label is not put behind those who have none."""

    @pytest.mark.parametrize(
        ("rows", "target", "expected"),
        [
            ([["x", "y"], ["x", "z"], ["y", "z"], []], {"x": 0.4, "y": 0.3, "z": 0.3}, {"x": 0.4, "y": 0.3, "z": 0.3}),
            ([["x"], ["x"], ["x"], ["y"], []], {"x": 0.3, "y": 0.3}, {"x": 0.5, "y": 0.5}),
            ([["x"], ["x"], ["y"], ["z"], []], {"y": 0.4}, {"y": 0.4}),
        ],
        ids=["several values an item", "a part with nobody to take it", "a part for values that are not named"],
    )
    def test_targets_are_met_with_labelled_items(
        self, rows: list[list[str]], target: dict[str, float], expected: dict[str, float]
    ) -> None:
        random, board = np.random.default_rng(5), MemoryBoard(lambda: 0.0)
        words, given, labelled = policy(target, min_count=1, half_life="365d"), dict[str, float](), 0
        for number in range(700):
            labels = [rows[i] for i in random.integers(0, len(rows), 40)]
            scores = random.random(40) - [0.0 if label else 0.3 for label in labels]
            listed = Candidates(list(range(40)), scores, None, {"tone": labels})
            slate, trace = rerank_traced(listed, words, 8, outlook=Outlook(board))
            board.record(trace.exposure)
            for slot, position in enumerate(slate.positions.tolist() if number >= 300 else []):
                labelled += bool(labels[position])
                for value in labels[position]:
                    given[value] = given.get(value, 0.0) + 1.0 / np.log2(slot + 2)
        shares = {value: given[value] / sum(given.values()) for value in expected}
        assert shares == pytest.approx(expected, abs=0.04)
        assert labelled > 0.85 * 8 * 400
