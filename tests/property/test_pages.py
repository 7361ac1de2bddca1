"""A cursor continues the slate: page two is what the rest of one long slate would be (rule 13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, Policy, rerank
from reranker.slate import QuotaTier, Slate, SlateStatus
from tests.reference import instances
from tests.reference.judge import Case

EXACT = (QuotaTier.NONE, QuotaTier.LOWER_EXACT, QuotaTier.PARTITION_EXACT, QuotaTier.FLOW_EXACT)
CASES, BATCHES = 1200, 6
RELEVANCE = {"objective": {"strategy": "relevance"}}


def drawn(rng: np.random.Generator) -> Case:
    """Up to 12 candidates under bounds on one or two attributes, windows and guard included."""
    count = int(rng.integers(4, 13))
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, ["a", "b", "c"]),
        "body": instances.column(rng, count, ["x", "y"]),
    }
    size = int(rng.integers(1, 5))
    quotas = instances.lower_quotas(rng, "tone", ["a", "b", "c"], 2 * size) if rng.random() < 0.8 else []
    for block in quotas:
        if "at_least_one_of_each" in block:
            block["values"] = ["a", "b"]  # without them it speaks of what a page's own candidates carry
    if rng.random() < 0.6:
        quotas += instances.upper_quotas(rng, str(rng.choice(["tone", "body"])), ["a", "x"], 2 * size)
    if rng.random() < 0.3:
        quotas.append({"where": {"tone": ["a", "b"], "body": ["x"]}, "min_share": 0.25})
    labels = {"unknown": str(rng.choice(["neutral", "neutral", "group", "exclude"]))}
    scores = instances.scores(rng, count)
    guard = {"guard": {"min_score": float(np.quantile(scores, 0.4))}} if rng.random() < 0.3 else {}
    return Case(scores, None, columns, {**RELEVANCE, "quotas": quotas, "labels": labels, **guard}, size)


def listed(case: Case) -> Candidates:
    return Candidates(list(range(len(case.scores))), case.scores, case.rows, case.columns)


def two_pages(case: Case) -> tuple[Slate, Slate]:
    policy, candidates = Policy.from_dict(case.policy), listed(case)
    first = rerank(candidates, policy, case.slate_size)
    return first, rerank(candidates, policy, case.slate_size, context=Context(cursor=first.cursor))


def in_one(case: Case, shown: list[int]) -> Slate:
    """One slate as long as both pages, of which the first page is kept where it stands."""
    scores = np.array(case.scores)
    scores[shown] = scores.max() + 1.0 + np.arange(len(shown))[::-1]
    policy = {**case.policy, "placement": {"keep_top": len(shown)}}
    return replace(case, scores=scores, policy=policy, slate_size=len(shown) + case.slate_size).run()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_page_two_is_the_rest_of_one_long_slate(batch: int) -> None:
    compared = 0
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        case = drawn(np.random.default_rng(seed))
        first, second = two_pages(case)
        shown, more = first.positions.tolist(), second.positions.tolist()
        assert not set(shown) & set(more)
        assert len(more) == min(case.slate_size, len(case.scores) - len(shown))
        if first.report.status is not SlateStatus.SATISFIED or not more:
            continue  # what an earlier page broke is a cost of its own in one long slate
        whole = in_one(case, shown)
        if second.report.tier in EXACT and whole.report.tier in EXACT:
            assert whole.positions.tolist() == shown + more, (seed, case)
        assert (second.report.status is SlateStatus.SATISFIED) == (whole.report.status is SlateStatus.SATISFIED), seed
        if second.report.status is SlateStatus.SATISFIED:
            assert set(counted(second)) <= set(counted(whole)), seed  # caps that ended on page one are not its business
        compared += 1
    assert compared > CASES // BATCHES // 4


def counted(slate: Slate) -> list[tuple[Any, ...]]:
    """What the report says of prefixes: on page two it speaks of both pages."""
    return [
        (o.attribute, o.value, o.bound, o.required, o.achieved, o.status, round(o.share, 9))
        for o in slate.report.quotas
        if o.bound != "WINDOW"
    ]


@pytest.mark.parametrize("strategy", ["dpp", "mmr", "msd", "ssd", "dpp/5", "mmr/5", "ssd/4"])  # behind a stroke: window
def test_earlier_pages_repel_as_picks_of_one_long_slate_do(strategy: str) -> None:
    name, _, window = strategy.partition("/")
    equal = compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        count, size = int(rng.integers(12, 40)), int(rng.integers(2, 9))
        rows = rng.normal(size=(count, int(rng.integers(8, 24)))).astype(np.float32)
        scores = np.sort(rng.random(count))[::-1].copy()
        words = {"strategy": name, "diversity": 0.7, "score_normalisation": "none", "window": int(window or 0)}
        case = Case(scores, rows, {}, {"objective": words}, size)
        first, second = two_pages(case)
        whole = replace(case, slate_size=2 * size).run()
        assert whole.positions[:size].tolist() == first.positions.tolist()
        compared += 1
        equal += second.positions.tolist() == whole.positions[size:].tolist()
        assert second.gains == pytest.approx(whole.gains[size:], abs=0.02) or not equal
    assert equal >= 0.9 * compared, "a cursor carries embeddings in half precision: near ties may swap"


def test_recently_shown_items_repel_and_fill_windows() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(30, 12)).astype(np.float32)
    creators = [f"c{i % 6}" for i in range(30)]
    scores = np.linspace(1.0, 0.5, 30)
    seen = Candidates(["x", "y"], [0.0, 0.0], rows[[3, 0]] * 2.0, {"creator": ["c4", "c1"]})
    policy = Policy.from_dict(
        {
            "objective": {"strategy": "mmr", "diversity": 1.0},
            "quotas": [{"attribute": "creator", "max_per_value": 1, "window": 4}],
        }
    )
    candidates = Candidates(list(range(30)), scores, rows, {"creator": creators})
    alone = rerank(candidates, policy, 8)
    after = rerank(candidates, policy, 8, context=Context(recent=seen))
    assert alone.positions[0] == 0
    assert not {0, 3} & set(after.positions.tolist()), "copies of what was shown come last"
    first = [creators[position] for position in after.positions[:3]]
    assert "c1" not in first[:3]
    assert "c4" not in first[:2]
    profiled = rerank(candidates, policy, 8, context=Context(recent=seen, without_profiling=True))
    assert profiled.positions.tolist() == alone.positions.tolist()
    assert any("not used" in note for note in profiled.report.notes)


def test_recently_shown_ids_are_looked_up_among_the_candidates() -> None:
    rows = np.eye(4, 8, dtype=np.float32)
    rows[1] = rows[0]
    candidates = Candidates(list("abcd"), [4.0, 3.0, 2.0, 1.0], rows)
    policy = Policy.from_dict({"objective": {"strategy": "dpp", "diversity": 0.9}})
    slate = rerank(candidates, policy, 3, context=Context(recent=["a", "unheard of"]))
    assert slate.ids == ["c", "d", "a"]
    assert any("1 recently shown item is known by id alone" in note for note in slate.report.notes)


def test_spacings_and_decays_go_on_over_the_page() -> None:
    """As in one long slate, as long as relevance is in the scores' own unit and the least candidate is still there."""
    for seed in range(80):
        rng = np.random.default_rng(seed)
        count, size = int(rng.integers(10, 30)), int(rng.integers(1, 5))
        columns: dict[str, list[Any]] = {
            "tone": instances.column(rng, count, ["a", "b", "c"]),
            "genre": instances.lists(rng, count, ["x", "y", "z"]),
        }
        policy = {
            "objective": {"strategy": "relevance", "score_normalisation": "none"},
            "spacings": [
                {"attribute": "tone", "penalty": 0.3, "window": int(rng.integers(1, 9)), "decay": "reciprocal"}
            ],
            "decays": [{"attribute": "genre", "factor": 0.6, "floor": 0.1}],
        }
        case = Case(np.sort(rng.random(count))[::-1].copy(), None, columns, policy, size)
        first, second = two_pages(case)
        whole = replace(case, slate_size=2 * size).run()
        assert whole.positions.tolist() == [*first.positions.tolist(), *second.positions.tolist()], seed
