"""How many more candidates upstream should fetch, when the list is shorter than the slate that was asked for.

A longer list makes a longer slate, of which shares ask for more: what is lacking now is not all that would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reranker.policy.blocks import Block, PrefixBound
from reranker.quotas.pool import Pool
from reranker.slate import BoundKind, QuotaOutcome


def for_a_full_slate(
    outcomes: Sequence[QuotaOutcome], blocks: Sequence[Block], pool: Pool, asked: int
) -> tuple[QuotaOutcome, ...]:
    """The outcomes, with `over_fetch` as many as the bound takes on the slate that so many more would make."""
    before = pool.earlier.shown if pool.earlier is not None else 0
    bounds: dict[tuple[str, str, BoundKind], list[PrefixBound]] = {}
    for bound in (bound for block in blocks for bound in block.prefix_bounds):
        kind = BoundKind.UPPER if bound.lower is None else BoundKind.LOWER
        bounds.setdefault((bound.attribute, bound.value, kind), []).append(bound)
    found = []
    for outcome in outcomes:
        mine = bounds.get((outcome.attribute, outcome.value, outcome.bound), [])
        if outcome.over_fetch and mine:
            more = _more(mine, outcome.over_fetch, before + pool.slots, before + asked)
            outcome = replace(outcome, over_fetch=more)
        found.append(outcome)
    return tuple(found)


def _more(bounds: Sequence[PrefixBound], lacking: int, slots: int, asked: int) -> int:
    """The fewest more, at least `lacking`, that suffice on a slate which they lengthen up to `asked` slots."""
    there = max(bound.needs(slots) for bound in bounds) - lacking
    more = lacking
    while more < asked and max(bound.needs(min(asked, slots + more)) for bound in bounds) - there > more:
        more += 1
    return more
