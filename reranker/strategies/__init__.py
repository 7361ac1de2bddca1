"""One file an algorithm: what it maximises, and which kernel does it."""

from __future__ import annotations

from collections.abc import Callable

from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.dpp import DppStrategy
from reranker.strategies.mmr import MmrStrategy
from reranker.strategies.relevance import RelevanceStrategy, normalised

__all__ = ["STRATEGIES", "Gate", "Problem", "Strategy", "build", "normalised"]

STRATEGIES: dict[str, Callable[[Problem, Gate], Strategy]] = {
    "relevance": RelevanceStrategy,
    "mmr": MmrStrategy,
    "dpp": DppStrategy,
}


def build(name: str, problem: Problem, gate: Gate) -> Strategy:
    """The strategy called `name`; without embeddings or at diversity 0 every one of them is relevance."""
    if problem.embedding is None or problem.diversity == 0.0:
        return RelevanceStrategy(problem, gate)
    return STRATEGIES[name](problem, gate)
