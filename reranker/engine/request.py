"""The way of one request: upstream order, guard, quotas, strategy, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, EmbeddingColumn
from reranker.context import Context
from reranker.engine.checks import check_request, check_types, guard_passes
from reranker.engine.explain import Explainer
from reranker.engine.report import build_report
from reranker.errors import DeadlinePassed, InvalidInput, QuotasInfeasible, Violation
from reranker.policy import Policy
from reranker.policy.compile import CompiledPolicy, compiled
from reranker.quotas.outcomes import outcomes_of, status_of
from reranker.quotas.planner import Plan, plan_quotas, upstream_gate
from reranker.quotas.tables import Pool, build_tables, hard_columns
from reranker.slate import Explanation, OutcomeReason, QuotaOutcome, Slate, SlateStatus
from reranker.strategies import Problem, Strategy, build, normalised

_RUN = 20_000_000  # multiply-adds between two looks at the deadline: a few milliseconds


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
    slots = min(_checked_size(slate_size), len(candidates))
    rules = compiled(policy, slots)
    context = context or Context()
    check_request(rules, candidates, context)
    clock.lap("policy")

    order = upstream_order(candidates.scores)
    scores = candidates.scores[order]
    pool = _pool(rules, candidates, order, scores)
    plan = plan_quotas(build_tables(rules, pool), pool, by_slot=explain)
    clock.lap("plan")

    strategy = build(rules.strategy, _problem(rules, candidates, order, scores), plan.gate)
    explanations = _select(strategy, plan, pool, explain, deadline)
    picks, gains = plan.gate.picks, plan.gate.gains
    clock.lap("select")

    outcomes = outcomes_of(plan.tables, pool, picks, slate_size)
    status = status_of(outcomes, plan.tier)
    notes: tuple[str, ...] = ()
    if rules.mode != "relax" and _broken(outcomes):
        if rules.mode == "fail":
            raise QuotasInfeasible(outcomes)
        notes, status = _strict_note(outcomes), SlateStatus.STRICT_UPSTREAM
        gate = upstream_gate(pool)
        strategy = build(rules.strategy, strategy.problem, gate)
        explanations = _select(strategy, Plan(plan.tier, gate, None, plan.tables, []), pool, explain, deadline)
        picks, gains = gate.picks, gate.gains
        outcomes = _with_reasons(outcomes_of(plan.tables, pool, picks, slate_size), of=outcomes)
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
        notes=notes,
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


def _pool(rules: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32], scores: NDArray[np.float64]) -> Pool:
    columns = hard_columns(rules, candidates, order)
    passes = guard_passes(rules, columns, scores)
    # Rule 3: an item that fails the guard may not stand above its upstream rank.
    release = np.where(passes, 1, np.arange(1, len(order) + 1)).astype(np.int32)
    return Pool(columns, passes, release, rules.keep_top, rules.slots)


def _problem(
    rules: CompiledPolicy, candidates: Candidates, order: NDArray[np.int32], scores: NDArray[np.float64]
) -> Problem:
    return Problem(
        relevance=normalised(scores, rules.normalisation),
        diversity=0.0 if rules.strategy == "relevance" else rules.diversity,
        embedding=main_embedding(candidates),
        order=order,
        shifted=rules.shifted,
        slots=rules.slots,
    )


def main_embedding(candidates: Candidates) -> EmbeddingColumn | None:
    """The embedding that strategies use: the first one, if any candidate has it."""
    column = next(iter(candidates.embeddings.values()), None)
    return column if column is not None and column.norms.any() else None


def _select(
    strategy: Strategy, plan: Plan, pool: Pool, explain: bool, deadline: float | None
) -> tuple[Explanation, ...]:
    """Fill the plan's gate: at one go where nothing has to be looked at between slots."""
    if plan.driver is None and not explain:
        _select_in_runs(strategy, pool, deadline)
        return ()
    explainer = Explainer(strategy, plan, pool) if explain else None
    for slot in range(pool.slots):
        _check_deadline(deadline, pool.slots, slot)
        if plan.driver is not None:
            plan.driver.open(slot)
        if explainer is not None:
            explainer.before(slot)
        strategy.select(slot, slot + 1)
        if explainer is not None:
            explainer.after(slot)
        if plan.driver is not None:
            plan.driver.commit(slot)
    return explainer.explanations if explainer is not None else ()


def _select_in_runs(strategy: Strategy, pool: Pool, deadline: float | None) -> None:
    """One kernel call for the slate, or runs of slots short enough to notice a deadline in between."""
    embedding = strategy.problem.embedding
    width = 1 if embedding is None else embedding.matrix.shape[1] + pool.slots
    run = pool.slots if deadline is None else max(1, _RUN // (width * max(1, len(pool))))
    for first in range(0, pool.slots, max(run, 1)):
        _check_deadline(deadline, pool.slots, first)
        strategy.select(first, min(first + run, pool.slots))


def _check_deadline(deadline: float | None, slots: int, filled: int) -> None:
    if deadline is not None and time.perf_counter() > deadline:
        raise DeadlinePassed(slots, filled)


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
