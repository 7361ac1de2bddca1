"""What `signals.missing_embedding` makes of candidates without the embeddings that the policy compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reranker import Candidates, InvalidInput, Policy, rerank
from reranker.policy import describe

ROWS = [[1.0, i / 10, (i % 3) / 5] for i in range(12)]
NAMED = {"similarity_signals": [{"signal": "image"}]}


def policy(rule: str, **words: Any) -> Policy:
    objective = {"strategy": "dpp", "diversity": 0.8}
    return Policy.from_dict({"name": "x", "objective": objective, "signals": {"missing_embedding": rule}, **words})


def listed(bare: set[int], name: str = "", **more: Any) -> Candidates:
    """Twelve candidates in upstream order; those of `bare` ranks, from 1, have no embedding of that name."""
    rows = [None if rank in bare else row for rank, row in enumerate(ROWS, start=1)]
    tones = ["ab"[i % 2] for i in range(12)]
    embeddings = {name: rows, **more}
    return Candidates([f"i{i}" for i in range(1, 13)], np.linspace(1, 0.5, 12), embeddings, {"tone": tones})


def test_neutral_leaves_them_to_the_strategy() -> None:
    assert {"i8", "i9"} <= set(rerank(listed({8, 9}), policy("neutral"), 6).ids)  # alike to nothing


@pytest.mark.parametrize("strategy", ["relevance", "mmr", "dpp", "ssd", "msd", "cover"])
@pytest.mark.parametrize("seed", range(12))
def test_kept_in_place_they_neither_rise_nor_fall(strategy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bare = {rank for rank in range(1, 13) if rng.random() < 0.3}
    words = {"objective": {"strategy": strategy, "diversity": 0.7}}
    if seed % 2:
        words["quotas"] = [{"attribute": "tone", "min_share": {"a": 0.4}}]  # type: ignore[assignment]
    slate = rerank(listed(bare), policy("keep_in_place", **words), 6)
    assert len(set(slate.ids)) == 6
    for rank in bare:
        assert (f"i{rank}" in slate.ids) == (rank <= 6)
        assert rank > 6 or slate.ids[rank - 1] == f"i{rank}"
    assert slate.report.signals.missing_embeddings == len(bare)


def test_a_list_without_any_embedding_keeps_the_upstream_order() -> None:
    candidates = Candidates(["a", "b", "c"], [1, 3, 2])
    assert rerank(candidates, policy("keep_in_place"), 3).ids == ["b", "c", "a"]


def test_rejected_each_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"signals\.missing_embedding") as raised:
        rerank(listed({2, 9}), policy("reject"), 5)
    assert [violation.path for violation in raised.value.violations] == ["candidates.ids[1]", "candidates.ids[8]"]
    assert len(rerank(listed(set()), policy("reject"), 5)) == 5


def test_it_speaks_of_the_embeddings_that_are_compared() -> None:
    whole: Any = np.array(ROWS)
    kept = policy("keep_in_place", **NAMED)
    assert rerank(listed({2}, "image", text=whole), kept, 4).ids[1] == "i2"
    assert len(rerank(listed({2}, "", image=whole), policy("reject", **NAMED), 4)) == 4
    both = {"similarity_signals": [{"signal": "image"}, {"signal": "text"}]}
    assert len(rerank(listed({2}, "image", text=whole), policy("reject", **both), 4)) == 4  # it has one of them
    tones = {"similarity_signals": [{"attribute": "tone", "kind": "equality"}]}
    assert len(rerank(Candidates(["a", "b"], [2, 1]), policy("reject", **tones), 2)) == 2


def test_in_words() -> None:
    assert any(
        "without embedding stand at their upstream rank" in line for line in describe.described(policy("keep_in_place"))
    )
    assert any("without embedding is refused" in line for line in describe.described(policy("reject")))
    assert not any("embedding" in line for line in describe.described(policy("neutral")))
