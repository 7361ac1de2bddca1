"""What one request asks its strategy to maximise: relevance, similarity, and how far it looks back."""

from __future__ import annotations

import numpy as np

from reranker.engine.aspects import find_aspects
from reranker.engine.history import History
from reranker.engine.listing import Listing
from reranker.engine.mix import compared, is_mixed
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import Pool
from reranker.strategies import Problem, normalised


def build_problem(
    rules: CompiledPolicy, listing: Listing, history: History | None, pool: Pool
) -> tuple[Problem, tuple[str, ...]]:
    """The problem of one request, and notes on what the policy left open.

    What was shown before comes first, in as many slots of its own.
    """
    relevance = normalised(listing.falling, rules.normalisation)
    candidates, order, seen = listing.candidates, listing.order, 0
    slots = rules.slots - (history.earlier.shown if history is not None else 0)
    if history is not None and history.count and rules.strategy != "relevance":
        seen, count = history.count, len(candidates)
        candidates = history.behind(candidates)
        order = np.concatenate([np.arange(count, count + seen), order]).astype(np.int32)
        relevance = np.concatenate([np.zeros(seen), relevance])
    embedding, shifted = compared(rules, candidates)
    aspects, said = find_aspects(rules, candidates, listing.context, pool, order, seen)
    problem = Problem(
        relevance=relevance,
        diversity=0.0 if rules.strategy == "relevance" else rules.diversity,
        embedding=embedding,
        order=order,
        shifted=shifted,
        slots=slots + seen,
        window=rules.window,
        sample=rules.sample,
        seed=listing.context.seed or 0,
        seen=seen,
        aspects=aspects,
        mixed=is_mixed(rules),
    )
    return problem, said
