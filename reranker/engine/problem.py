"""What one request asks its strategy to maximise: relevance, similarity, and how far it looks back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.mix import compared
from reranker.policy.compile import CompiledPolicy
from reranker.strategies import Problem, normalised


def build_problem(
    rules: CompiledPolicy,
    candidates: Candidates,
    context: Context,
    order: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> Problem:
    """The problem of one request; `order` int32 (N,) is the upstream order, `scores` float64 (N,) are in it."""
    embedding, shifted = compared(rules, candidates)
    return Problem(
        relevance=normalised(scores, rules.normalisation),
        diversity=0.0 if rules.strategy == "relevance" else rules.diversity,
        embedding=embedding,
        order=order,
        shifted=shifted,
        slots=rules.slots,
        window=rules.window,
        sample=rules.sample,
        seed=context.seed or 0,
    )
