"""Which blocks of bounds apply to one request: targets become shares, thin labels suspend a block (rules 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from reranker.policy.blocks import Block, exact
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import Pool, grouped, is_labelled
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome

Targets = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Active:
    """The blocks that apply, hard and soft, and the outcomes of those that do not."""

    hard: Sequence[Block]
    soft: Sequence[Block]
    suspended: tuple[QuotaOutcome, ...]


def active_blocks(
    policy: CompiledPolicy, pool: Pool, targets: Targets, refined: frozenset[str] = frozenset()
) -> Active:
    """Sort the policy's blocks for this request; `targets` are shares by attribute and value.

    What names one of the `refined` attributes, which the user narrowed, does not apply (rule 12).
    """
    if policy.plain and not refined:
        return Active(policy.blocks, (), ())
    hard: list[Block] = []
    soft: list[Block] = []
    suspended: list[QuotaOutcome] = []
    for block in policy.blocks:
        narrowed = not refined.isdisjoint(policy.attributes_of(block.attribute))
        resolved = OutcomeReason.REFINED if narrowed else _resolved(policy, block, pool, targets)
        if isinstance(resolved, Block):
            (soft if block.soft else hard).append(resolved)
        else:
            suspended += _suspended(block, resolved)
    return Active(hard, soft, tuple(suspended))


def _resolved(policy: CompiledPolicy, block: Block, pool: Pool, targets: Targets) -> Block | OutcomeReason:
    """The block with its shares, or why it does not apply."""
    if block.settled:
        return block
    if len(pool) and _coverage(block, pool) < block.min_coverage:
        return OutcomeReason.LOW_COVERAGE
    if block.target is None:
        return block
    if block.target.pool:
        shares = _pool_shares(policy, block.attribute, pool)
    else:
        shares = {value: exact(share) for value, share in targets.get(block.attribute, {}).items()}
    return block.with_target(shares) if shares else OutcomeReason.NO_TARGET


def _coverage(block: Block, pool: Pool) -> float:
    column = pool.columns.get(block.attribute)
    return 0.0 if column is None else np.count_nonzero(is_labelled(column)) / len(pool)


def _pool_shares(policy: CompiledPolicy, attribute: str, pool: Pool) -> dict[str, Fraction]:
    """Each value's share among the labelled candidates that pass the guard."""
    column = pool.columns.get(attribute)
    if column is None:
        return {}
    if policy.label_rule(attribute).unknown == "group":
        column = grouped(column)
    labelled = int(np.count_nonzero(is_labelled(column) & pool.passes))
    owners = pool.passes if column.offsets is None else np.repeat(pool.passes, np.diff(column.offsets))
    counts = np.bincount(column.codes[owners], minlength=len(column.values) + 1)[1:].tolist()
    return {value: Fraction(count, labelled) for value, count in zip(column.values, counts, strict=True) if count}


def _suspended(block: Block, reason: OutcomeReason) -> list[QuotaOutcome]:
    named = [(bound.value, BoundKind.LOWER) for bound in block.prefix_bounds if bound.lower is not None]
    named += [(bound.value, BoundKind.UPPER) for bound in block.prefix_bounds if bound.upper is not None]
    named += [(value, BoundKind.LOWER) for value in (block.each.values or ("",) if block.each else ())]
    named += [("", BoundKind.WINDOW)] if block.window else []
    return [
        QuotaOutcome(
            attribute=block.attribute,
            value=value,
            bound=bound,
            required=-1,
            achieved=-1,
            share=0.0,
            first_failing_prefix=0,
            status=OutcomeStatus.SUSPENDED,
            reason=reason,
            over_fetch=0,
            soft=block.soft,
        )
        for value, bound in dict.fromkeys(named) or [("", BoundKind.LOWER)]
    ]
