"""Drawn slates at the edge of what numbers can say."""

from __future__ import annotations

import numpy as np

from reranker import Candidates, Context, Policy, rerank


def test_next_to_no_diversity_is_the_upstream_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(20)
    candidates = Candidates(list(range(20)), scores, rng.normal(size=(20, 6)).astype(np.float32))
    for diversity in (5e-324, 1e-310, 1e-300):
        policy = Policy.from_dict({"objective": {"sample": True, "diversity": diversity}})
        assert rerank(candidates, policy, 5, context=Context(seed=1)).ids == np.argsort(-scores)[:5].tolist()
