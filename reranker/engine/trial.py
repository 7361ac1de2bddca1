"""What a policy does to one list and what that costs: for the person who edits the policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.context import Context
from reranker.engine.checks import guard_passes
from reranker.engine.listing import upstream_order
from reranker.engine.request import rerank
from reranker.errors import QuotasInfeasible
from reranker.policy import Policy
from reranker.policy.compile import compiled
from reranker.quotas.pool import hard_columns
from reranker.slate import OutcomeStatus, QuotaOutcome, Slate

_SHOWN_VALUES = 12  # an attribute with more values is no group to look at


@dataclass(frozen=True, slots=True)
class Group:
    """One value of an attribute: candidates that carry it, and how many of them pass the guard."""

    attribute: str
    value: str
    candidates: int
    passing: int


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One slate and its price.

    `outcomes` are what the policy leads to; with `refused` it answers with an error, and `slate` is what it would be
    with `mode = "relax"`. Shares of relevance are those of `report.relevance_retained`: the policy's, without its
    quotas, and at diversity 0; None where there is none to keep. `labelled` counts candidates with a known label.
    """

    slate: Slate
    outcomes: tuple[QuotaOutcome, ...]
    refused: bool
    retained: float | None
    without_quotas: float | None
    without_diversity: float | None
    has_guard: bool
    passing: int
    candidates: int
    groups: tuple[Group, ...]
    labelled: dict[str, int]

    @property
    def broken(self) -> tuple[QuotaOutcome, ...]:
        """The hard bounds that do not hold."""
        return tuple(o for o in self.outcomes if o.status == OutcomeStatus.BROKEN and not o.soft)


def try_policy(policy: Policy, candidates: Candidates, slate_size: int, context: Context | None = None) -> Trial:
    """Run the policy on one list, and run it without quotas and without diversity beside that."""
    refused = False
    try:
        slate = rerank(candidates, policy, slate_size, context=context)
        outcomes = slate.report.quotas
    except QuotasInfeasible as error:
        refused, outcomes = True, tuple(error.outcomes)
        slate = rerank(candidates, _with(policy, on_infeasible={"mode": "relax"}), slate_size, context=context)
    bare = rerank(candidates, _with(policy, quotas=[]), slate_size, context=context)
    objective = {**policy.to_dict().get("objective", {}), "diversity": 0.0}
    relaxed = {"mode": "relax"} if refused else policy.to_dict().get("on_infeasible", {})
    plain_policy = _with(policy, objective=objective, on_infeasible=relaxed)
    plain = rerank(candidates, plain_policy, slate_size, context=context)
    rules = compiled(policy, len(slate.positions))
    order = upstream_order(candidates.scores)
    columns = hard_columns(rules, candidates, order)
    passes = guard_passes(rules, columns, candidates.scores[order])
    return Trial(
        slate=slate,
        outcomes=outcomes,
        refused=refused,
        retained=slate.report.relevance_retained,
        without_quotas=bare.report.relevance_retained,
        without_diversity=plain.report.relevance_retained,
        has_guard=rules.guard is not None,
        passing=int(passes.sum()),
        candidates=len(candidates),
        groups=tuple(group for name, column in columns.items() for group in _groups(name, column, passes)),
        labelled={name: len(candidates) - missing for name, missing in slate.report.signals.unknown_values.items()}
        | dict.fromkeys(slate.report.signals.absent_attributes, 0),
    )


def _with(policy: Policy, **blocks: object) -> Policy:
    """The policy with other blocks in place of its own."""
    return Policy.from_dict({**policy.to_dict(), **blocks})


def _groups(attribute: str, column: AttributeColumn, passes: NDArray[np.bool_]) -> list[Group]:
    if len(column.values) > _SHOWN_VALUES:
        return []
    owners = passes if column.offsets is None else np.repeat(passes, np.diff(column.offsets))
    before = np.bincount(column.codes, minlength=len(column.values) + 1)[1:].tolist()
    after = np.bincount(column.codes[owners], minlength=len(column.values) + 1)[1:].tolist()
    return [
        Group(attribute, value, count, passing)
        for value, count, passing in zip(column.values, before, after, strict=True)
        if count
    ]
