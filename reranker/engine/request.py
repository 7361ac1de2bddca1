"""The way of one request: upstream order, guard, quotas, strategy, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from reranker.candidates import Candidates
from reranker.context import Context
from reranker.engine.attempt import Floored
from reranker.engine.bounded import bind
from reranker.engine.checks import check_request, check_types
from reranker.engine.descent import Descent
from reranker.engine.history import history_of
from reranker.engine.lacking import lacking_violations
from reranker.engine.listing import Listing, list_candidates
from reranker.engine.page import Filled, next_cursor, read_page
from reranker.engine.report import build_report
from reranker.engine.schedule import UNHURRIED, Schedule
from reranker.engine.seal import PROCESS, Seals
from reranker.engine.steer import Outlook
from reranker.errors import InvalidInput, QuotasInfeasible, Violation
from reranker.exposure.tally import Served
from reranker.measures.relevance import relevance_retained
from reranker.policy import Policy
from reranker.policy.compile import CompiledPolicy, compiled
from reranker.quotas.outcomes import status_of, wants_candidates
from reranker.quotas.planner import Plan
from reranker.slate import OutcomeReason, QuotaOutcome, QuotaTier, RelevanceFloor, Rung, Slate, SlateStatus

_NOTHING_KNOWN = Context()
_NO_LEDGER = Outlook()


@dataclass(slots=True)
class Trace:
    """Where the time of one request went: seconds by stage. A `refined` request is only ever counted (rule 12).

    `exposure` is what the slate gave to each stream that the policy steers, for the ledger; none of a refined one.
    `error_ratio` is how many times the expected seconds its slots took; None where nothing was expected.
    """

    stages: dict[str, float]
    refined: bool = False
    exposure: tuple[Served, ...] = ()
    error_ratio: float | None = None


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
    schedule: Schedule = UNHURRIED,
    seals: Seals = PROCESS,
    outlook: Outlook = _NO_LEDGER,
) -> tuple[Slate, Trace]:
    """`rerank`, and where the time went; `seals` open and seal cursors, `outlook` is what is known of earlier requests.

    What the slate adds to that, `trace.exposure`, is for whoever keeps the ledger: nothing is written here.

    When `schedule`'s deadline passes before the slate is full, raises `DeadlinePassed`, and `CallerGone` when nobody
    waits any more. Where it knows how long things take, what cannot be done in time is not begun: the slate is degraded
    (`report.rung`), or `TooLittleTime` is raised.
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
    landed = Descent(policy, listing, history, bounded, schedule, explain).land()
    attempt, plan = landed.attempt, landed.attempt.plan
    spent, began = _lap(began)
    selecting = landed.ended - landed.planned
    stages["plan"], stages["select"] = spent - selecting, selecting  # what was tried in vain counts as planning

    outcomes, soft = bounded.outcomes(attempt.picks, asked), bounded.soft_outcomes(attempt.picks, asked)
    if landed.rung is Rung.UPSTREAM:
        outcomes, soft = _for_want_of_time(outcomes), _for_want_of_time(soft)
    status = status_of(outcomes, landed.is_minimal) if outcomes else SlateStatus.SATISFIED
    notes = listing.notes + notes + _plan_notes(plan, landed.rung, outcomes) + landed.notes
    if rules.mode != "relax" and _broken(outcomes):
        if rules.mode == "fail":
            raise QuotasInfeasible(outcomes)
        status = SlateStatus.STRICT_UPSTREAM
        if landed.rung is not Rung.UPSTREAM:
            notes = listing.notes + _strict_note(outcomes)
            attempt = landed.chooser.upstream(plan.tier, attempt.strategy.problem.diversity, explain)
            outcomes = _with_reasons(bounded.outcomes(attempt.picks, asked), of=outcomes)
            soft = bounded.soft_outcomes(attempt.picks, asked)
    picks, gains = attempt.picks, attempt.gains
    outcomes += soft + bounded.active.suspended
    own = listing.order.take(picks)
    report = build_report(
        rules,
        listing,
        own,
        bounded.pool,
        status=status,
        tier=plan.tier,
        outcomes=outcomes,
        notes=notes + landed.said + bounded.steer.notes,
        floor=_floor_report(landed.floored, listing, rules),
        compared=landed.chooser.problem.embedding is not None,
        steer=bounded.steer,
        rung=landed.rung,
    )
    positions = listing.in_request(own)
    positions.setflags(write=False)
    gains.setflags(write=False)

    def cursor() -> bytes:
        tables = bounded.hard + bounded.soft
        filled = Filled(rules, listing.candidates, listing.order, bounded.pool, tables, picks, listing.refined)
        return next_cursor(page, filled)

    slate = Slate(positions, gains, report, attempt.explanations, candidates.ids, cursor)
    followed = status != SlateStatus.STRICT_UPSTREAM and landed.rung is not Rung.UPSTREAM
    exposure = bounded.steer.served(picks, page.shown, followed=followed) if rules.exposure else ()
    stages["report"], _ = _lap(began)
    return slate, Trace(stages, bool(listing.refined), exposure, landed.error_ratio)


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


def _floor_report(floored: Floored | None, listing: Listing, rules: CompiledPolicy) -> RelevanceFloor | None:
    if floored is None or rules.relevance_floor is None:
        return None
    scores, zero = listing.candidates.scores, rules.score_zero
    best = relevance_retained(scores, listing.order[floored.best], listing.upstream, zero)
    return RelevanceFloor(rules.relevance_floor, floored.diversity, best)


def _plan_notes(plan: Plan, rung: Rung, outcomes: tuple[QuotaOutcome, ...]) -> tuple[str, ...]:
    """How sure a heuristic plan is of what it could not keep; the last rung of the ladder has no plan."""
    if rung is Rung.UPSTREAM or plan.tier != QuotaTier.HEURISTIC or not _broken(outcomes):
        return ()
    if plan.proven_infeasible:
        return ("no slate of these candidates keeps every bound: proven",)
    return ("no slate that keeps every bound was found; whether there is one is not known",)


def _broken(outcomes: tuple[QuotaOutcome, ...]) -> bool:
    return any(outcome.status == "BROKEN" for outcome in outcomes)


def _for_want_of_time(outcomes: tuple[QuotaOutcome, ...]) -> tuple[QuotaOutcome, ...]:
    """What is broken where nothing was done to keep it: for want of time, unless for want of candidates anyhow."""
    return tuple(
        outcome
        if outcome.status != "BROKEN" or wants_candidates(outcome)
        else replace(outcome, reason=OutcomeReason.DEADLINE, over_fetch=0, crowded_slots=(0, 0))
        for outcome in outcomes
    )


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
