"""A slate at one diversity under a policy's bounds, and the most diversity that a relevance floor leaves (rule 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import EmbeddingColumn
from reranker.engine.bounded import Bounded
from reranker.engine.schedule import UNHURRIED, Schedule
from reranker.engine.select import Selection, select
from reranker.quotas.budget import Budget
from reranker.quotas.planner import Plan, plan_quotas, upstream_gate
from reranker.slate import Explanation, QuotaTier
from reranker.strategies import Problem, Strategy, build

_BISECTIONS = 20


@dataclass(slots=True, eq=False)
class Attempt:
    """A filled slate: `picks` int32 (slots,) are upstream ranks from 0, `gains` float64 their utilities."""

    plan: Plan
    strategy: Strategy
    explanations: tuple[Explanation, ...]

    @property
    def picks(self) -> NDArray[np.int32]:
        """Upstream ranks from 0."""
        return self.plan.gate.picks

    @property
    def gains(self) -> NDArray[np.float64]:
        """Utilities at the picks."""
        return self.plan.gate.gains


@dataclass(slots=True, eq=False)
class Chooser:
    """Everything about a request that does not depend on the diversity at which it is served.

    `nearest` is the embedding in which explanations say what stands near.
    """

    bounded: Bounded
    problem: Problem
    nearest: EmbeddingColumn | None
    schedule: Schedule

    def plan(self, by_slot: bool) -> Plan:
        """A fresh plan of the bounds."""
        bounded = self.bounded
        return plan_quotas(
            bounded.hard, bounded.pool, Budget.until(self.schedule.deadline), by_slot or bounded.has_wishes,
            bounded.likeness(), bounded.rules.max_fall,
        )  # fmt: skip

    def fill(self, plan: Plan, diversity: float, explain: bool) -> Attempt:
        """The slate at one diversity under a plan that nobody has used yet. Raises as `select`."""
        bounded, rules = self.bounded, self.bounded.rules
        strategy = self._strategy(plan, diversity)
        wishes = bounded.wishes(strategy.problem.weighted_relevance()) if bounded.has_wishes else None
        selection = Selection(
            strategy, plan, bounded.pool, wishes, self.schedule, self.nearest, rules.candidate_window, bounded.steer,
            bounded.steer.bonus(strategy.problem.relevance, diversity, rules.strategy),
        )  # fmt: skip
        return Attempt(plan, strategy, select(selection, explain))

    def upstream(self, tier: QuotaTier, diversity: float, explain: bool) -> Attempt:
        """The upstream order around fixed items, explained by the strategy that did not decide it; always finished."""
        gate = upstream_gate(self.bounded.pool)
        plan = Plan(tier, gate, None, self.bounded.hard, [])
        strategy = self._strategy(plan, diversity)
        selection = Selection(strategy, plan, self.bounded.pool, None, UNHURRIED, self.nearest)
        return Attempt(plan, strategy, select(selection, explain))

    def _strategy(self, plan: Plan, diversity: float) -> Strategy:
        problem = self.problem if diversity == self.problem.diversity else replace(self.problem, diversity=diversity)
        return build(self.bounded.rules.strategy, problem, plan.gate)


@dataclass(frozen=True, slots=True)
class Floored:
    """What a relevance floor came to: the diversity it left, and whether the bisection was cut short by the clock."""

    diversity: float
    best: NDArray[np.int32]
    hurried: bool


def most_diversity(chooser: Chooser, floor: float, relevance: Callable[[NDArray[np.int32]], float]) -> Floored:
    """The largest diversity up to the policy's whose slate keeps `floor` of the relevance of the best slate.

    The best slate is that of diversity 0 under the same quotas; `relevance` sums that of picks. At most 22 selections,
    fewer when the deadline is near.
    """
    most = chooser.problem.diversity
    start = chooser.schedule.clock()
    best = chooser.fill(chooser.plan(False), 0.0, False).picks
    needed = floor * relevance(best)

    def suffices(diversity: float) -> bool:
        return relevance(chooser.fill(chooser.plan(False), diversity, False).picks) >= needed - _NOISE * abs(needed)

    if most == 0.0 or suffices(most):
        return Floored(most, best, False)
    took = chooser.schedule.clock() - start  # of two selections
    low, high = 0.0, most
    for _ in range(_BISECTIONS):
        if chooser.schedule.left < 2.0 * took:
            return Floored(low, best, True)
        middle = (low + high) / 2.0
        low, high = (middle, high) if suffices(middle) else (low, middle)
    return Floored(low, best, False)


_NOISE = 1e-12  # of sums of scores: a slate of equal relevance keeps all of it
