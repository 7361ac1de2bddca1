"""What one request asks its strategy to maximise: relevance, similarity, and how far it looks back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.context import Context
from reranker.policy.compile import CompiledPolicy
from reranker.strategies import Problem, normalised
from reranker.strategies.aspects import Aspects


def build_problem(
    rules: CompiledPolicy,
    candidates: Candidates,
    context: Context,
    order: NDArray[np.int32],
    scores: NDArray[np.float64],
    aspects: Aspects | None,
) -> Problem:
    """The problem of one request; `order` int32 (N,) is the upstream order, `scores` float64 (N,) are in it."""
    return Problem(
        relevance=normalised(scores, rules.normalisation),
        diversity=0.0 if rules.strategy == "relevance" else rules.diversity,
        embedding=main_embedding(candidates),
        order=order,
        shifted=rules.shifted,
        slots=rules.slots,
        window=rules.window,
        sample=rules.sample,
        seed=context.seed or 0,
        aspects=aspects,
    )


def main_embedding(candidates: Candidates) -> EmbeddingColumn | None:
    """The embedding that strategies use: the first one, if any candidate has it."""
    column = next(iter(candidates.embeddings.values()), None)
    return column if column is not None and column.norms.any() else None
