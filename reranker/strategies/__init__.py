"""One file an algorithm: what it maximises, and which kernel does it."""

from __future__ import annotations

from reranker.kernels.gate import Gate
from reranker.strategies.base import Problem, Strategy
from reranker.strategies.calibrated import CalibratedStrategy
from reranker.strategies.continued import ContinuedStrategy
from reranker.strategies.cover import CoverStrategy
from reranker.strategies.dpp import DppStrategy
from reranker.strategies.dum import DumStrategy
from reranker.strategies.mmr import MmrStrategy
from reranker.strategies.msd import MsdStrategy
from reranker.strategies.pm2 import Pm2Strategy
from reranker.strategies.relevance import RelevanceStrategy, normalised
from reranker.strategies.round_robin import RoundRobinStrategy
from reranker.strategies.sampled_dpp import SampledDppStrategy
from reranker.strategies.ssd import SsdStrategy
from reranker.strategies.xquad import XquadStrategy

__all__ = ["STRATEGIES", "Gate", "Problem", "Strategy", "build", "normalised"]

STRATEGIES: dict[str, type[Strategy]] = {
    "relevance": RelevanceStrategy,
    "mmr": MmrStrategy,
    "msd": MsdStrategy,
    "dpp": DppStrategy,
    "xquad": XquadStrategy,
    "pm2": Pm2Strategy,
    "dum": DumStrategy,
    "calibrated": CalibratedStrategy,
    "round_robin": RoundRobinStrategy,
    "ssd": SsdStrategy,
    "cover": CoverStrategy,
}


def build(name: str, problem: Problem, gate: Gate) -> Strategy:
    """The strategy called `name`; at diversity 0, or without what it looks at, every one of them is relevance."""
    chosen = SampledDppStrategy if name == "dpp" and problem.sample else STRATEGIES[name]
    chosen = RelevanceStrategy if problem.diversity == 0.0 or not chosen.applies(problem) else chosen.suited(problem)
    return ContinuedStrategy(chosen, problem, gate) if problem.seen else chosen(problem, gate)
