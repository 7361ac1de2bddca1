"""What only request and policy together can show to be wrong, and who passes the guard."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.context import Context
from reranker.engine.mix import signal_violations
from reranker.errors import InvalidInput, Violation
from reranker.measures.relevance import above_zero
from reranker.policy import Policy
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import carries
from reranker.quotas.same import ALL


def check_types(candidates: object, policy: object, context: object) -> None:
    """Raise `InvalidInput` for arguments of `rerank` that are something else altogether."""
    found = []
    if not isinstance(candidates, Candidates):
        found.append(Violation("candidates", "must be Candidates: Candidates(ids, scores, ...) makes them"))
    if not isinstance(policy, Policy):
        reason = "must be a Policy: Policy.from_toml, Policy.from_dict or Policy.from_proto makes one"
        found.append(Violation("policy", reason))
    if context is not None and not isinstance(context, Context):
        found.append(Violation("context", "must be a Context or None"))
    if found:
        raise InvalidInput(found)


def check_request(
    rules: CompiledPolicy, candidates: Candidates, context: Context, asked: int, others: Iterable[Violation] = ()
) -> None:
    """Raise `InvalidInput` naming everything that this policy forbids in this request; `asked` is the slate size.

    `others` are violations that are known already.
    """
    found = list(others)
    if context.fixed:
        found += _fixed_violations(candidates, context, asked)
    for attribute, rule in rules.label_rules.items():
        column = candidates.attributes.get(attribute)
        if rule.domain is not None and column is not None and not set(rule.domain).issuperset(column.values):
            reason = "has values outside the domain that the policy declares in labels"
            found.append(Violation(f"candidates.attributes[{attribute!r}]", reason))
    if rules.signals:
        found += signal_violations(rules, candidates)
    if rules.guard is not None and rules.guard.min_share_of_best is not None:
        found += _zero_violations(rules, candidates, "guard.min_share_of_best")
    if rules.relevance_floor is not None:
        found += _zero_violations(rules, candidates, "objective.relevance_floor")
    if found:
        raise InvalidInput(found)


def _fixed_violations(candidates: Candidates, context: Context, asked: int) -> list[Violation]:
    known = set(candidates.ids)
    found = []
    for slot, item in context.fixed.items():
        if slot > asked:
            found.append(Violation(f"context.fixed[{slot}]", f"is beyond the slate, which has {asked} slots"))
        if item not in known:
            found.append(Violation(f"context.fixed[{slot}]", "names an item that is not among the candidates"))
    return found


def fixed_candidates(candidates: Candidates, context: Context, order: NDArray[np.int32], slots: int) -> dict[int, int]:
    """Upstream rank (from 0) of the fixed item by slot (from 0); beyond a short list they take its last slots."""
    row_of = {item: row for row, item in enumerate(candidates.ids)}
    rank_of = np.empty(len(order), np.int64)
    rank_of[order] = np.arange(len(order))
    placed: dict[int, int] = {}
    last = slots
    for slot, item in sorted(context.fixed.items(), reverse=True):
        last = min(slot, last) - 1
        placed[last] = int(rank_of[row_of[item]])
    return dict(sorted(placed.items()))


def _zero_violations(rules: CompiledPolicy, candidates: Candidates, word: str) -> list[Violation]:
    """A share of relevance means nothing when scores have no zero (rule 10)."""
    if rules.score_zero_given or not len(candidates) or candidates.scores.min() >= 0:
        return []
    reason = f"has negative scores, so {word} needs the policy to set objective.score_zero"
    return [Violation("candidates.scores", reason)]


def guard_passes(
    rules: CompiledPolicy, columns: dict[str, AttributeColumn], scores: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Who may be lifted above the upstream rank (rule 3): bool (N,), upstream order. Unknown values fail `where`."""
    guard = rules.guard
    if guard is None or not len(scores):
        return ALL(len(scores))
    passes = ALL(len(scores)).copy()
    if guard.min_score is not None:
        passes &= scores >= guard.min_score
    if guard.min_share_of_best is not None:
        passes &= _share_of_best_suffices(scores, rules.score_zero, guard.min_share_of_best)
    for attribute, accepted in guard.where:
        passes &= carries(columns.get(attribute), accepted, len(scores))
    return passes


def _share_of_best_suffices(scores: NDArray[np.float64], zero: float, share: float) -> NDArray[np.bool_]:
    """Whose relevance is at least `share` of the best one's; `scores` in upstream order."""
    relevance = above_zero(scores, zero)
    best = relevance.max()
    if best == 0.0:
        return np.ones(len(scores), bool)
    if best < 0.0:  # nobody has any relevance that could be a share of something
        return np.zeros(len(scores), bool)
    with np.errstate(over="ignore"):  # far below a best score next to nothing: minus infinity, and no share
        suffices: NDArray[np.bool_] = relevance / best >= share
    return suffices
