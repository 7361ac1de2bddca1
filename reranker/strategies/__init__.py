"""One file an algorithm: what it maximises, and which kernel does it."""

from __future__ import annotations

from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.cover import CoverStrategy
from reranker.strategies.dpp import DppStrategy
from reranker.strategies.mmr import MmrStrategy
from reranker.strategies.msd import MsdStrategy
from reranker.strategies.relevance import RelevanceStrategy, normalised
from reranker.strategies.ssd import SsdStrategy

__all__ = ["STRATEGIES", "Gate", "Problem", "Strategy", "build", "normalised"]

STRATEGIES: dict[str, type[Strategy]] = {
    "relevance": RelevanceStrategy,
    "mmr": MmrStrategy,
    "msd": MsdStrategy,
    "dpp": DppStrategy,
    "ssd": SsdStrategy,
    "cover": CoverStrategy,
}


def build(name: str, problem: Problem, gate: Gate) -> Strategy:
    """The strategy called `name`; at diversity 0, or without what it looks at, every one of them is relevance."""
    chosen = STRATEGIES[name]
    if problem.diversity == 0.0 or not chosen.applies(problem):
        return RelevanceStrategy(problem, gate)
    return chosen.suited(problem)(problem, gate)
