"""A sentence names what an item was compared with, and nothing else: windows, items shown before, nothing at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, Policy, Slate, rerank

LIFTED, LOWER = "lifted, because ", "lower than upstream had it, because "
COMPARING = ("mmr", "msd", "dpp", "ssd")


def policy(strategy: str, window: int = 0, diversity: float = 0.7, **words: Any) -> Policy:
    objective = {"strategy": strategy, "diversity": diversity, "window": window}
    return Policy.from_dict({"name": "x", "objective": objective, **words})


def listed(count: int = 24, name: str = "") -> Candidates:
    """Four directions, a little apart, in runs: every strategy lifts something."""
    rng = np.random.default_rng(3)
    rows = np.eye(6)[np.arange(count) // 3 % 4] + 0.2 * rng.normal(size=(count, 6))
    return Candidates([f"i{n}" for n in range(count)], np.linspace(1, 0.5, count), {name: rows}, {})


def reasons(slate: Slate, kind: str = LIFTED) -> dict[int, str]:
    """What is said of the items that were lifted, by slot."""
    return {told.slot: told.text.split(kind)[1] for told in slate.explanations if kind in told.text}


@pytest.mark.parametrize("strategy", COMPARING)
def test_without_a_window_it_is_what_stands_above(strategy: str) -> None:
    found = reasons(rerank(listed(), policy(strategy), 10, explain=True))
    assert found
    assert set(found.values()) == {"it differs more from what stands above it"}
    assert 1 not in found


@pytest.mark.parametrize("strategy", ["mmr", "dpp"])
@pytest.mark.parametrize(("window", "words"), [(3, "the last 2 items above it"), (2, "the last item above it")])
def test_a_window_is_what_an_item_was_compared_with(strategy: str, window: int, words: str) -> None:
    slate = rerank(listed(), policy(strategy, window), 12, explain=True)
    found = reasons(slate)
    assert any(slot > window for slot in found)
    for slot, text in found.items():
        assert text == f"it differs more from {words if slot > window else 'what stands above it'}"
    for told in slate.explanations[1:]:
        assert told.slot - (window - 1) <= told.nearest_slot < told.slot


def test_the_ring_of_an_ssd_holds_what_was_new_in_the_last_items() -> None:
    slate = rerank(listed(), policy("ssd", 3), 12, explain=True)
    found = reasons(slate)
    assert any(slot > 4 for slot in found)
    for slot, text in found.items():
        ring = "what was new in the last 3 items above it"
        assert text == f"it differs more from {ring if slot > 4 else 'what stands above it'}"
    assert any(told.nearest_slot < told.slot - 3 for told in slate.explanations[4:])


@pytest.mark.parametrize("strategy", COMPARING)
def test_items_shown_before_are_named(strategy: str) -> None:
    """Upstream's first is alike to what was shown before, by context or by cursor."""
    rules, candidates = policy(strategy, diversity=0.9), listed()
    page = rerank(candidates.take(np.arange(3)), rules, 3)
    shown = Candidates(["before"], [0.0], {"": candidates.embeddings[""].matrix[:1]}, {})
    rows = candidates.embeddings[""].matrix[[12, *range(3, 12)]]
    rest = Candidates([f"r{n}" for n in range(10)], np.linspace(1, 0.5, 10), rows)
    for context in (Context(recent=shown), Context(cursor=page.cursor), Context(recent=shown, cursor=page.cursor)):
        found = reasons(rerank(rest, rules, 8, explain=True, context=context))
        assert found.pop(1) == "it differs more from what was shown before"
        assert set(found.values()) == {"it differs more from what stands above it and what was shown before"}


def test_a_window_reaches_back_to_the_items_shown_last_alone() -> None:
    candidates = listed()
    shown = Candidates(["a", "b", "c"], [0.0] * 3, {"": candidates.embeddings[""].matrix[:3]}, {})
    slate = rerank(candidates, policy("mmr", 3, 0.9), 8, explain=True, context=Context(recent=shown))
    texts = [f"it differs more from {words}" for words in (
        "the last 2 items shown before",
        "what stands above it and the last item shown before",
        "what stands above it",
        "the last 2 items above it",
    )]  # fmt: skip
    found = reasons(slate)
    assert {1, 2} <= set(found)
    assert all(text == texts[min(slot, 4) - 1] for slot, text in found.items())


def test_nothing_is_said_of_what_could_not_be_compared() -> None:
    shown = Candidates(["before"], [0.0], {"": [None]}, {})
    found = reasons(rerank(listed(), policy("mmr"), 10, explain=True, context=Context(recent=shown)))
    assert set(found.values()) == {"it differs more from what stands above it"}


def test_cover_speaks_of_the_list() -> None:
    rows = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.1, 1.0], [1.0, 0.1], [0.2, 1.0]]
    candidates = Candidates(range(6), np.linspace(1, 0.9, 6), rows)
    found = reasons(rerank(candidates, policy("cover"), 4, explain=True))
    assert found.pop(1) == "it stands for more of the list"
    assert set(found.values()) <= {"it stands for more of the list, beyond what stands above it"}
    shown = Candidates(["before"], [0.0], {"": [[1.0, 0.0]]}, {})
    found = reasons(rerank(candidates, policy("cover"), 4, explain=True, context=Context(recent=shown)))
    assert found[1] == "it stands for more of the list, beyond what was shown before"


@pytest.mark.parametrize("strategy", ["relevance", *COMPARING, "cover"])
def test_variety_is_not_the_reason_where_the_pick_is_worth_most(strategy: str) -> None:
    candidates = Candidates(["a", "b", "c"], [3.0, 2.0, 1.0], np.eye(3))
    slate = rerank(candidates, policy(strategy), 3, explain=True, context=Context(fixed={3: "a"}))
    assert slate.ids == ["b", "c", "a"]
    assert reasons(slate) == dict.fromkeys((1, 2), "better candidates may not stand here")
    slate = rerank(candidates, policy(strategy), 3, explain=True, context=Context(fixed={1: "c"}))
    assert reasons(slate, LOWER) == dict.fromkeys((2, 3), "items fixed in their places stand above it")


@pytest.mark.parametrize(
    ("strategy", "words"),
    [("mmr", "are less alike"), ("cover", "stand for more of the list"), ("xquad", "are wanted more there")],
)
def test_the_fall_of_an_item_is_told_without_a_double_meaning(strategy: str, words: str) -> None:
    candidates = Candidates(
        range(5), [1.0, 0.99, 0.98, 0.5, 0.49], [[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0, 1]], {"tone": [*"aaabb"]}
    )
    found = reasons(rerank(candidates, policy(strategy), 5, explain=True), LOWER)
    assert set(found.values()) == {f"items above it are worth more, or {words}"}
