"""What `signals.unknown_id` makes of candidates that the catalog does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import Candidates, Context, InvalidInput, Policy, rerank
from reranker.signals import Catalog
from reranker.slate import SlateStatus
from tests.reference.catalogs import catalog_of

ROWS = [{"id": f"i{i}", "embedding": [1.0, i / 10, (i % 3) / 5], "tone": "ab"[i % 2]} for i in range(20)]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_of(tmp_path_factory.mktemp("catalog"), ROWS)


def policy(rule: str | None, **words: Any) -> Policy:
    signals = {} if rule is None else {"signals": {"unknown_id": rule}}
    return Policy.from_dict({"name": "x", "objective": {"strategy": "dpp", "diversity": 0.8}, **signals, **words})


def listed(catalog: Catalog, strangers: dict[int, str], count: int = 12) -> Candidates:
    """`count` candidates in upstream order, strangers at their ranks (from 1)."""
    ids = [strangers.get(rank, f"i{rank}") for rank in range(1, count + 1)]
    return catalog.candidates(ids, np.linspace(1, 0.5, count))


def test_neutral_counts_them_and_leaves_them_to_the_strategy(catalog: Catalog) -> None:
    candidates = listed(catalog, {2: "u2", 9: "u9"})
    for rule in (None, "neutral"):
        slate = rerank(candidates, policy(rule), 5)
        assert slate.report.signals.unknown_ids == 2
        assert slate.report.signals.missing_embeddings == 2
        assert {"u2", "u9"} <= set(slate.ids)  # alike to nothing: variety wants them


def test_kept_in_place_they_neither_rise_nor_fall(catalog: Catalog) -> None:
    slate = rerank(listed(catalog, {2: "u2", 4: "u4", 9: "u9"}), policy("keep_in_place"), 5, explain=True)
    assert (slate.ids[1], slate.ids[3]) == ("u2", "u4")
    assert "u9" not in slate.ids
    assert slate.explanations[1].pinned
    assert "kept in its place by the policy" in slate.explanations[1].text
    assert slate.report.signals.unknown_ids == 3


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("strategy", ["relevance", "mmr", "dpp", "msd", "cover"])
def test_whatever_the_list_and_the_quotas(catalog: Catalog, strategy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(1, 18)), int(rng.integers(1, 22))
    strangers = {rank: f"u{rank}" for rank in range(1, count + 1) if rng.random() < 0.35}
    words: dict[str, Any] = {"objective": {"strategy": strategy, "diversity": 0.7}}
    if seed % 2:
        words["quotas"] = [{"attribute": "tone", "min_share": {"a": 0.4}, "max_share": {"b": 0.5}}]
    if seed % 3 == 0:
        words["guard"] = {"min_share_of_best": 0.7}
    if seed % 5 == 0:
        words["placement"] = {"keep_top": 2}
    slate = rerank(listed(catalog, strangers, count), policy("keep_in_place", **words), size)
    assert len(slate) == len(set(slate.ids)) == min(count, size)
    for rank, item in strangers.items():
        assert (item in slate.ids) == (rank <= size)
        if rank <= size:
            assert slate.ids[rank - 1] == item


def test_fixed_items_come_first_and_whoever_loses_the_slot_may_stand_lower(catalog: Catalog) -> None:
    candidates = listed(catalog, {2: "u2", 3: "u3"})
    slate = rerank(candidates, policy("keep_in_place"), 6, context=Context(fixed={2: "i9", 5: "u3"}))
    assert (slate.ids[1], slate.ids[4]) == ("i9", "u3")
    assert "u2" not in slate.ids[:2]


def test_the_next_page_keeps_them_at_their_rank_among_what_is_left(catalog: Catalog) -> None:
    candidates = listed(catalog, {2: "u2", 9: "u9"})
    first = rerank(candidates, policy("keep_in_place"), 5)
    second = rerank(candidates, policy("keep_in_place"), 5, context=Context(cursor=first.cursor))
    assert not set(first.ids) & set(second.ids)
    left = [item for item in candidates.ids if item not in first.ids]
    assert second.ids.index("u9") == left.index("u9")


def test_they_never_meet_a_minimum_and_a_broken_bound_says_pinned(catalog: Catalog) -> None:
    strangers = {rank: f"u{rank}" for rank in range(1, 4)}
    words = {"quotas": [{"attribute": "tone", "min_count": {"a": 1}, "within": 3}]}
    slate = rerank(listed(catalog, strangers), policy("keep_in_place", **words), 3)
    assert slate.ids == ["u1", "u2", "u3"]
    assert slate.report.status is SlateStatus.RELAXED_MINIMAL
    assert [outcome.reason for outcome in slate.report.quotas] == ["PINNED"]


def test_rejected_each_is_named_with_every_other_mistake(catalog: Catalog) -> None:
    candidates = listed(catalog, {2: "u2", 9: "u9"})
    with pytest.raises(InvalidInput) as raised:
        rerank(candidates, policy("reject"), 5, context=Context(fixed={9: "i1"}))
    assert [violation.path for violation in raised.value.violations] == [
        "candidates.ids[1]",
        "candidates.ids[8]",
        "context.fixed[9]",
    ]
    assert "u2" not in str(raised.value)
    assert rerank(listed(catalog, {}), policy("reject"), 5).report.signals.unknown_ids == 0


@pytest.mark.parametrize("rule", ["neutral", "keep_in_place", "reject"])
def test_without_a_catalog_nobody_is_unknown(rule: str) -> None:
    slate = rerank(Candidates(["a", "b"], [2, 1], np.eye(2)), policy(rule), 2)
    assert slate.report.signals.unknown_ids == 0
    assert slate.ids == ["a", "b"]


def test_a_refinement_leaves_the_unknown_out_and_counts_who_takes_part(catalog: Catalog) -> None:
    candidates = listed(catalog, {2: "u2"})
    slate = rerank(candidates, policy("keep_in_place"), 4, context=Context(refinement={"tone": ["a"]}))
    assert "u2" not in slate.ids
    assert slate.report.signals.unknown_ids == 0


def test_in_words(tmp_path: Path) -> None:
    from reranker.policy import describe

    assert any("upstream rank and nowhere else" in line for line in describe.described(policy("keep_in_place")))
    assert any("is refused" in line for line in describe.described(policy("reject")))
    assert not any("catalog" in line for line in describe.described(policy("neutral")))
