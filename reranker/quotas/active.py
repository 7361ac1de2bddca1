"""Which blocks of bounds apply to one request: targets become shares, thin labels suspend a block (rules 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from reranker.policy.blocks import Block, Target, exact
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.pool import Pool, grouped, is_labelled
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome

_MANY = 1_000  # values of a pool target

Targets = Mapping[str, Mapping[str, float]]


@dataclass(slots=True, eq=False)
class Active:
    """The blocks that apply, hard and soft, and the outcomes of those that do not."""

    hard: Sequence[Block]
    soft: Sequence[Block]
    suspended: tuple[QuotaOutcome, ...]


def active_blocks(
    policy: CompiledPolicy,
    pool: Pool,
    targets: Targets,
    refined: frozenset[str] = frozenset(),
    more: Sequence[Block] = (),
) -> Active:
    """Sort the policy's blocks for this request, and `more`; `targets` are shares by attribute and value.

    What names one of the `refined` attributes, which the user narrowed, does not apply (rule 12).
    """
    if policy.plain and not refined and not more:
        return Active(policy.blocks, (), ())
    hard: list[Block] = []
    soft: list[Block] = []
    suspended: list[QuotaOutcome] = []
    for block in (*policy.blocks, *more):
        narrowed = not refined.isdisjoint(policy.attributes_of(block.attribute))
        applies, reason = (None, OutcomeReason.REFINED) if narrowed else _resolved(policy, block, pool, targets)
        if applies is not None:
            (soft if block.soft else hard).append(applies)
        if reason is not None:
            suspended += _suspended(block if applies is None else _target_alone(block), reason)
    return Active(hard, soft, tuple(suspended))


def _resolved(
    policy: CompiledPolicy, block: Block, pool: Pool, targets: Targets
) -> tuple[Block | None, OutcomeReason | None]:
    """The block with its shares, as far as it applies, and why it, or its target alone, does not."""
    if block.settled:
        return block, None
    if len(pool) and _coverage(block, pool) < block.min_coverage:
        return None, OutcomeReason.LOW_COVERAGE
    if block.target is None:
        return block, None
    shares = shares_of_target(policy, block, pool, targets)
    if shares is not None:
        return block.with_target(shares), None
    rest = block.with_target({})
    without = OutcomeReason.LOW_COVERAGE if block.target.pool else OutcomeReason.NO_TARGET
    return (rest if rest.prefix_bounds or rest.each or rest.window else None), without


def shares_of_target(policy: CompiledPolicy, block: Block, pool: Pool, targets: Targets) -> dict[str, Fraction] | None:
    """The shares of a block whose target comes with the request or from its candidates; None where there are none."""
    assert block.target is not None
    if block.target.pool:
        return _pool_shares(policy, block, block.target, pool)
    return {value: exact(share) for value, share in targets.get(block.attribute, {}).items()} or None


def _target_alone(block: Block) -> Block:
    """What a block says of its target; its other bounds go on without."""
    return replace(block, prefix_bounds=(), each=None, window=None)


def _coverage(block: Block, pool: Pool) -> float:
    column = pool.columns.get(block.attribute)
    return 0.0 if column is None else np.count_nonzero(is_labelled(column)) / len(pool)


def _pool_shares(policy: CompiledPolicy, block: Block, target: Target, pool: Pool) -> dict[str, Fraction] | None:
    """Each value's share among the labelled candidates that pass the guard; None when there is no such candidate.

    Of more than a thousand values, those whose bounds cannot bind are left out: the share rounds down to nothing even
    at the end, and a single candidate cannot be above a cap.
    """
    column = pool.columns.get(block.attribute)
    if column is None:
        return None
    if policy.label_rule(block.attribute).unknown == "group":
        column = grouped(column)
    labelled = int(np.count_nonzero(is_labelled(column) & pool.passes))
    if not labelled:
        return None
    owners = pool.passes if column.offsets is None else np.repeat(pool.passes, np.diff(column.offsets))
    counts = np.bincount(column.codes[owners], minlength=len(column.values) + 1)[1:]
    carried = np.flatnonzero(counts)
    if len(carried) > _MANY:
        at_end = target.within * (counts[carried] / labelled - float(target.tolerance))
        every = np.bincount(column.codes, minlength=len(column.values) + 1)[1:]
        carried = carried[(at_end > 1.0 - 1e-6) | (every[carried] > 1)]
    return {column.values[value]: Fraction(int(counts[value]), labelled) for value in carried.tolist()}


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
