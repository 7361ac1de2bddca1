"""What was shown before and cannot count is said in a note, and only where it would have counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, Policy, rerank

SPACED: dict[str, Any] = {"spacings": [{"attribute": "creator", "penalty": 0.5, "window": 3}]}
DECAYED: dict[str, Any] = {"decays": [{"attribute": "creator", "factor": 0.5}]}
WINDOWED: dict[str, Any] = {"quotas": [{"attribute": "creator", "max_per_value": 1, "window": 3}]}
WHOLE: dict[str, Any] = {"quotas": [{"attribute": "creator", "max_per_value": 3}]}
ALIKE: dict[str, Any] = {"quotas": [{"max_similarity": 0.9, "window": 3}]}
PAGES, RECENT = "items of earlier pages", "recently shown items"


def policy(strategy: str = "mmr", diversity: float = 0.5, window: int = 0, **words: Any) -> Policy:
    objective = {"strategy": strategy, "diversity": diversity, "window": window}
    return Policy.from_dict({"name": "x", "objective": objective, **words})


def listed(name: str = "", width: int = 4, bare: bool = False, creator: str = "creator", first: int = 0) -> Candidates:
    rows = np.random.default_rng(first + width).normal(size=(8, width))
    creators = [f"c{n % 3}" for n in range(8)]
    ids = [f"i{first + n}" for n in range(8)]
    return Candidates(ids, np.linspace(1, 0.5, 8), {} if bare else {name: rows}, {creator: creators})


def notes(rules: Policy, context: Context, candidates: Candidates | None = None) -> list[str]:
    found = rerank(candidates or listed(), rules, 4, context=context).report.notes
    return [note for note in found if PAGES in note or RECENT in note]


def repels(who: str, what: str) -> list[str]:
    return [f"{who} have no {what} numbers: they do not repel by it"]


@pytest.mark.parametrize("strategy", ["mmr", "msd", "dpp", "ssd", "cover"])
def test_a_page_in_another_embedding_is_said(strategy: str) -> None:
    rules = policy(strategy)
    cursor = rerank(listed(), rules, 4).cursor
    assert notes(rules, Context(cursor=cursor)) == []
    assert notes(rules, Context(cursor=cursor), listed("clip", first=9)) == repels(PAGES, "embedding clip of 4")
    assert notes(rules, Context(cursor=cursor), listed(width=6, first=9)) == repels(PAGES, "unnamed embedding of 6")
    shown = listed(width=6, first=20)
    both = notes(rules, Context(cursor=cursor, recent=shown), listed(width=6, first=9))
    assert both == repels(PAGES, "unnamed embedding of 6")


@pytest.mark.parametrize("shown", [listed("clip", first=9), listed(bare=True, first=9)])
def test_recent_items_in_another_embedding_are_said(shown: Candidates) -> None:
    assert notes(policy(), Context(recent=shown)) == repels(RECENT, "unnamed embedding of 4")
    assert notes(policy(), Context(recent=shown, without_profiling=True)) == []
    assert notes(policy(), Context(recent=["i1"])) == []


def test_embeddings_that_nothing_looks_at_are_not_missed() -> None:
    context = Context(recent=listed(bare=True, first=9))
    for rules in (policy("relevance"), policy("mmr", 0.0), policy("dpp", window=1), policy("xquad", **WINDOWED)):
        assert notes(rules, context) == []
    assert notes(policy(), context, listed(bare=True)) == []
    assert notes(policy("relevance", **ALIKE), context) == repels(RECENT, "unnamed embedding of 4")


def test_of_a_mix_each_signal_is_looked_for() -> None:
    signals: dict[str, Any] = {"similarity_signals": [{"signal": "clip"}, {"attribute": "creator", "kind": "equality"}]}
    context = Context(recent=listed(creator="maker", first=9))
    assert notes(policy(**signals), context, listed("clip")) == [
        *repels(RECENT, "embedding clip of 4"),
        "recently shown items do not carry the attribute creator: what looks at it does not count them",
    ]
    assert notes(policy(diversity=0.0, **signals), context, listed("clip")) == []


@pytest.mark.parametrize("words", [SPACED, DECAYED, WINDOWED])
def test_recent_items_without_an_attribute_that_counts_are_said(words: dict[str, Any]) -> None:
    said = ["recently shown items do not carry the attribute creator: what looks at it does not count them"]
    unknown = Candidates(["x"], [0.0], {"": np.ones((1, 4))}, {"creator": [None]})
    assert notes(policy(**words), Context(recent=listed(creator="maker", first=9))) == said
    assert notes(policy(**words), Context(recent=unknown)) == said
    assert notes(policy(**words), Context(recent=listed(first=9))) == []
    assert notes(policy(**WHOLE), Context(recent=listed(creator="maker", first=9))) == []


def test_aspects_that_the_policy_does_not_name_are_counted_from_this_page_on() -> None:
    rules = policy("xquad")
    cursor = rerank(listed(), rules, 4).cursor
    said = "count for no aspects: the policy names no attribute for them"
    assert notes(rules, Context(cursor=cursor)) == [f"{PAGES} {said}"]
    assert notes(rules, Context(recent=listed(first=9), cursor=cursor)) == [f"{RECENT} and {PAGES} {said}"]
    named = policy("xquad", calibration={"attribute": "creator", "target": "pool"})
    assert notes(named, Context(recent=listed(first=9))) == []
    lacking = notes(named, Context(recent=listed(creator="maker", first=9)))
    assert lacking == ["recently shown items do not carry the attribute creator: what looks at it does not count them"]
