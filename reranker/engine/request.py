"""The way of one request: upstream order, guard, quotas, strategy, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.aspects import find_aspects
from reranker.engine.checks import check_request, check_types, fixed_candidates, guard_passes
from reranker.engine.problem import build_problem, main_embedding
from reranker.engine.report import build_report
from reranker.engine.select import Selection, select
from reranker.errors import InvalidInput, QuotasInfeasible, Violation
from reranker.policy import Policy
from reranker.policy.compile import CompiledPolicy, compiled
from reranker.quotas.active import Active, active_blocks
from reranker.quotas.budget import Budget
from reranker.quotas.likeness import Likeness, likeness_outcome, unit_rows
from reranker.quotas.merge import build_tables
from reranker.quotas.outcomes import outcomes_of, status_of
from reranker.quotas.planner import Plan, plan_quotas, upstream_gate
from reranker.quotas.pool import Pool, build_pool, hard_columns
from reranker.quotas.tables import AttributeTable
from reranker.quotas.wishes import Wishes
from reranker.slate import OutcomeReason, QuotaOutcome, QuotaTier, Slate, SlateStatus
from reranker.strategies import build


@dataclass(frozen=True, slots=True)
class Trace:
    """Where the time of one request went: seconds by stage."""

    stages: dict[str, float]


def rerank(
    candidates: Candidates,
    policy: Policy,
    slate_size: int,
    *,
    explain: bool = False,
    context: Context | None = None,
) -> Slate:
    """The slate of `slate_size` candidates (all of them when there are fewer) that `policy` asks for.

    `explain` adds one explanation a slot. Raises `InvalidInput` for a bad slate size, values outside a declared
    domain or words that have no algorithm yet, `QuotasInfeasible` when a hard bound breaks under `mode = "fail"`.
    """
    return rerank_traced(candidates, policy, slate_size, explain=explain, context=context)[0]


def rerank_traced(
    candidates: Candidates,
    policy: Policy,
    slate_size: int,
    *,
    explain: bool = False,
    context: Context | None = None,
    deadline: float | None = None,
) -> tuple[Slate, Trace]:
    """`rerank`, and where the time went.

    When `time.perf_counter()` passes `deadline` before the slate is full, raises `DeadlinePassed`.
    """
    clock = _Clock()
    check_types(candidates, policy, context)
    asked = _checked_size(slate_size)
    slots = min(asked, len(candidates))
    rules = compiled(policy, slots)
    context = context or Context()
    check_request(rules, candidates, context, asked)
    clock.lap("policy")

    order = upstream_order(candidates.scores)
    scores = candidates.scores[order]
    bounded = _bounded(rules, candidates, context, order, scores)
    pool = bounded.pool
    plan = plan_quotas(
        bounded.hard, pool, Budget.until(deadline), explain or bounded.has_wishes, bounded.likeness(), rules.max_fall
    )
    clock.lap("plan")

    aspects, said = find_aspects(rules, candidates, context, pool, order)
    strategy = build(rules.strategy, build_problem(rules, candidates, context, order, scores, aspects), plan.gate)
    explanations = select(Selection(strategy, plan, pool, bounded.wishes(), deadline), explain)
    picks, gains = plan.gate.picks, plan.gate.gains
    clock.lap("select")

    outcomes = bounded.outcomes(picks, asked)
    status = status_of(outcomes, plan.tier)
    notes = _plan_notes(plan, outcomes)
    if rules.mode != "relax" and _broken(outcomes):
        if rules.mode == "fail":
            raise QuotasInfeasible(outcomes)
        notes, status = _strict_note(outcomes), SlateStatus.STRICT_UPSTREAM
        gate = upstream_gate(pool)
        strategy = build(rules.strategy, strategy.problem, gate)
        upstream = Plan(plan.tier, gate, None, plan.tables, [])
        explanations = select(Selection(strategy, upstream, pool, None, deadline), explain)
        picks, gains = gate.picks, gate.gains
        outcomes = _with_reasons(bounded.outcomes(picks, asked), of=outcomes)
    outcomes += bounded.soft_outcomes(picks, asked) + bounded.active.suspended
    positions = order[picks]
    report = build_report(
        rules,
        candidates,
        context,
        order,
        positions,
        pool.passes,
        status=status,
        tier=plan.tier,
        outcomes=outcomes,
        notes=notes + said,
    )
    positions.flags.writeable = gains.flags.writeable = False
    slate = Slate(positions, gains, report, explanations, candidates.ids)
    clock.lap("report")
    return slate, Trace(clock.stages)


def upstream_order(scores: NDArray[np.float64]) -> NDArray[np.int32]:
    """Candidates by score descending, ties by input position: int32 (N,)."""
    return np.argsort(-scores, kind="stable").astype(np.int32)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now


def _checked_size(slate_size: int) -> int:
    if isinstance(slate_size, bool) or not isinstance(slate_size, int | np.integer) or slate_size < 0:
        raise InvalidInput([Violation("slate_size", "must be an integer of at least 0")])
    return int(slate_size)


@dataclass(frozen=True, slots=True, eq=False)
class _Bounded:
    """The bounds of one request over its candidates; `unit` are embeddings for bounds on likeness."""

    rules: CompiledPolicy
    pool: Pool
    active: Active
    hard: tuple[AttributeTable, ...]
    soft: tuple[AttributeTable, ...]
    unit: NDArray[np.float32] | None

    @property
    def has_wishes(self) -> bool:
        """Whether anything soft enters the utility."""
        return bool(self.soft) or any(bound.soft for bound in self.rules.similarity)

    def wishes(self) -> Wishes | None:
        """The soft part, counted from the first slot."""
        if not self.has_wishes:
            return None
        soft = [bound for bound in self.rules.similarity if bound.soft]
        return Wishes(self.soft, soft, self.unit, self.pool)

    def likeness(self) -> Likeness | None:
        """The hard bounds on likeness, counted from the first slot."""
        hard = [bound for bound in self.rules.similarity if not bound.soft]
        return Likeness(hard, self.unit, self.pool.slots) if hard and self.unit is not None else None

    def outcomes(self, picks: NDArray[np.int32], asked: int) -> tuple[QuotaOutcome, ...]:
        """What became of the hard bounds."""
        found = outcomes_of(self.hard, self.pool, picks, asked, self.rules.max_fall)
        return found + self._alike(picks, soft=False)

    def soft_outcomes(self, picks: NDArray[np.int32], asked: int) -> tuple[QuotaOutcome, ...]:
        """What became of the soft ones."""
        found = outcomes_of(self.soft, self.pool, picks, asked, self.rules.max_fall)
        return tuple(replace(outcome, soft=True) for outcome in found + self._alike(picks, soft=True))

    def _alike(self, picks: NDArray[np.int32], soft: bool) -> tuple[QuotaOutcome, ...]:
        unit = self.unit
        if unit is None:
            return ()
        bounds = [bound for bound in self.rules.similarity if bound.soft == soft]
        return tuple(likeness_outcome(bound, unit, self.pool, picks) for bound in bounds)


def _bounded(
    rules: CompiledPolicy,
    candidates: Candidates,
    context: Context,
    order: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> _Bounded:
    columns = hard_columns(rules, candidates, order)
    passes = guard_passes(rules, columns, scores)
    fixed = fixed_candidates(candidates, context, order, rules.slots) if context.fixed else {}
    pool = build_pool(rules, columns, passes, fixed)
    active = active_blocks(rules, pool, context.targets)
    unit = None
    if rules.similarity and len(candidates):
        embedding = main_embedding(candidates)
        if embedding is None:
            unit = np.zeros((len(candidates), 1), np.float32)
        else:
            unit = unit_rows(embedding.matrix, embedding.norms, order)
    soft = build_tables(rules, pool, active.soft) if active.soft else ()
    return _Bounded(rules, pool, active, build_tables(rules, pool, active.hard), soft, unit)


def _plan_notes(plan: Plan, outcomes: tuple[QuotaOutcome, ...]) -> tuple[str, ...]:
    """How sure a heuristic plan is of what it could not keep."""
    if plan.tier != QuotaTier.HEURISTIC or not _broken(outcomes):
        return ()
    if plan.proven_infeasible:
        return ("no slate of these candidates keeps every bound: proven",)
    return ("no slate that keeps every bound was found; whether there is one is not known",)


def _broken(outcomes: tuple[QuotaOutcome, ...]) -> bool:
    return any(outcome.status == "BROKEN" for outcome in outcomes)


def _with_reasons(kept: tuple[QuotaOutcome, ...], of: tuple[QuotaOutcome, ...]) -> tuple[QuotaOutcome, ...]:
    """The upstream order's outcomes: broken for the reason that made the policy keep it, or because it was kept."""
    why = {(outcome.attribute, outcome.bound, outcome.value): outcome for outcome in of if outcome.status == "BROKEN"}
    return tuple(_explained(outcome, why.get((outcome.attribute, outcome.bound, outcome.value))) for outcome in kept)


def _explained(kept: QuotaOutcome, attempt: QuotaOutcome | None) -> QuotaOutcome:
    if kept.status != "BROKEN":
        return kept
    if attempt is None:
        return replace(kept, reason=OutcomeReason.PINNED, over_fetch=0)
    return replace(kept, reason=attempt.reason, over_fetch=attempt.over_fetch)


def _strict_note(outcomes: tuple[QuotaOutcome, ...]) -> tuple[str, ...]:
    broken = next(outcome for outcome in outcomes if outcome.status == "BROKEN")
    return (f"upstream order kept, because the policy is strict and a bound cannot hold: {broken.detail}",)
