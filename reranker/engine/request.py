"""The way of one request: upstream order, guard, quotas, strategy, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.attempt import Chooser, Floored, most_diversity
from reranker.engine.bounded import bind
from reranker.engine.checks import check_request, check_types
from reranker.engine.history import history_of
from reranker.engine.lacking import lacking_violations
from reranker.engine.listing import Listing, list_candidates
from reranker.engine.mix import main_embedding
from reranker.engine.page import Filled, next_cursor, read_page
from reranker.engine.problem import build_problem
from reranker.engine.report import build_report
from reranker.engine.seal import PROCESS, Seals
from reranker.engine.steer import Outlook
from reranker.errors import InvalidInput, QuotasInfeasible, Violation
from reranker.exposure.tally import Served
from reranker.measures.relevance import above_zero, relevance_retained
from reranker.policy import Policy
from reranker.policy.compile import CompiledPolicy, compiled
from reranker.quotas.outcomes import status_of
from reranker.quotas.planner import Plan
from reranker.slate import OutcomeReason, QuotaOutcome, QuotaTier, RelevanceFloor, Slate, SlateStatus

_NOTHING_KNOWN = Context()
_NO_LEDGER = Outlook()


@dataclass(slots=True)
class Trace:
    """Where the time of one request went: seconds by stage. A `refined` request is only ever counted (rule 12).

    `exposure` is what the slate gave to each stream that the policy steers, for the ledger; none of a refined one.
    """

    stages: dict[str, float]
    refined: bool = False
    exposure: tuple[Served, ...] = ()


def rerank(
    candidates: Candidates,
    policy: Policy,
    slate_size: int,
    *,
    explain: bool = False,
    context: Context | None = None,
) -> Slate:
    """The slate of `slate_size` candidates (all of them when there are fewer) that `policy` asks for.

    `explain` adds one explanation a slot. Raises `InvalidInput` for a bad slate size, values outside a declared domain
    or a cursor that does not fit, `QuotasInfeasible` when a hard bound breaks under `mode = "fail"`.
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
    seals: Seals = PROCESS,
    outlook: Outlook = _NO_LEDGER,
) -> tuple[Slate, Trace]:
    """`rerank`, and where the time went; `seals` open and seal cursors, `outlook` is what is known of earlier requests.

    What the slate adds to that, `trace.exposure`, is for whoever keeps the ledger: nothing is written here. When
    `time.perf_counter()` passes `deadline` before the slate is full, raises `DeadlinePassed`.
    """
    stages: dict[str, float] = {}
    began = time.perf_counter()
    check_types(candidates, policy, context)
    asked = _checked_size(slate_size)
    context = context or _NOTHING_KNOWN
    page = read_page(context.cursor, policy.revision, seals)
    listing = list_candidates(policy, candidates, context, page)
    rules = compiled(policy, page.shown + min(asked, len(listing.order)))
    check_request(rules, listing.candidates, listing.context, asked, lacking_violations(rules, candidates))
    history, notes = history_of(rules, candidates, context, page)
    stages["policy"], began = _lap(began)

    bounded = bind(rules, listing, history, outlook)
    problem, said = build_problem(rules, listing, history, bounded.pool)
    chooser = Chooser(bounded, problem, main_embedding(listing.candidates), deadline)
    floored = _floored(chooser, listing, rules)
    plan = chooser.plan(explain)
    stages["plan"], began = _lap(began)

    attempt = chooser.fill(plan, problem.diversity if floored is None else floored.diversity, explain)
    stages["select"], began = _lap(began)

    outcomes = bounded.outcomes(attempt.picks, asked)
    status = status_of(outcomes, plan.minimal) if outcomes else SlateStatus.SATISFIED
    notes = listing.notes + notes + _plan_notes(plan, outcomes) + _floor_notes(floored)
    if rules.mode != "relax" and _broken(outcomes):
        if rules.mode == "fail":
            raise QuotasInfeasible(outcomes)
        notes, status = listing.notes + _strict_note(outcomes), SlateStatus.STRICT_UPSTREAM
        attempt = chooser.upstream(attempt, explain)
        outcomes = _with_reasons(bounded.outcomes(attempt.picks, asked), of=outcomes)
    picks, gains = attempt.picks, attempt.gains
    outcomes += bounded.soft_outcomes(picks, asked) + bounded.active.suspended
    own = listing.order.take(picks)
    report = build_report(
        rules,
        listing,
        own,
        bounded.pool,
        status=status,
        tier=plan.tier,
        outcomes=outcomes,
        notes=notes + said + bounded.steer.notes,
        floor=_floor_report(floored, listing, rules),
        compared=problem.embedding is not None,
        steer=bounded.steer,
    )
    positions = listing.in_request(own)
    positions.setflags(write=False)
    gains.setflags(write=False)

    def cursor() -> bytes:
        tables = bounded.hard + bounded.soft
        filled = Filled(rules, listing.candidates, listing.order, bounded.pool, tables, picks, listing.refined)
        return next_cursor(page, filled)

    slate = Slate(positions, gains, report, attempt.explanations, candidates.ids, cursor)
    followed = status != SlateStatus.STRICT_UPSTREAM
    exposure = bounded.steer.served(picks, page.shown, followed=followed) if rules.exposure else ()
    stages["report"], _ = _lap(began)
    return slate, Trace(stages, bool(listing.refined), exposure)


def _lap(began: float) -> tuple[float, float]:
    """Seconds since a stage began, and now, when the next one begins."""
    now = time.perf_counter()
    return now - began, now


def _checked_size(slate_size: int) -> int:
    if type(slate_size) is int and slate_size >= 0:
        return slate_size
    if isinstance(slate_size, bool) or not isinstance(slate_size, int | np.integer) or slate_size < 0:
        raise InvalidInput([Violation("slate_size", "must be an integer of at least 0")])
    return int(slate_size)


def _floored(chooser: Chooser, listing: Listing, rules: CompiledPolicy) -> Floored | None:
    """What the policy's relevance floor leaves; None where there is no floor."""
    if rules.relevance_floor is None:
        return None
    gains = np.maximum(above_zero(listing.candidates.scores, rules.score_zero), 0.0)[listing.order]
    return most_diversity(chooser, rules.relevance_floor, lambda picks: float(gains[picks].sum()))


def _floor_report(floored: Floored | None, listing: Listing, rules: CompiledPolicy) -> RelevanceFloor | None:
    if floored is None or rules.relevance_floor is None:
        return None
    scores, zero = listing.candidates.scores, rules.score_zero
    best = relevance_retained(scores, listing.order[floored.best], listing.upstream, zero)
    return RelevanceFloor(rules.relevance_floor, floored.diversity, best)


def _floor_notes(floored: Floored | None) -> tuple[str, ...]:
    if floored is None or not floored.hurried:
        return ()
    return ("the deadline was near: the search for the most diversity under the relevance floor was cut short",)


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
