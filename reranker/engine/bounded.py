"""The bounds of one request over its candidates: what binds, what is wished for, and what became of both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.engine.checks import fixed_candidates, guard_passes
from reranker.engine.history import History
from reranker.engine.lacking import places_of, stand_still
from reranker.engine.listing import Listing
from reranker.engine.mix import main_embedding
from reranker.engine.steer import Outlook, Steer
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.active import Active, active_blocks
from reranker.quotas.fetch import for_a_full_slate
from reranker.quotas.likeness import Likeness, likeness_outcome, unit_rows
from reranker.quotas.merge import build_tables
from reranker.quotas.outcomes import outcomes_of
from reranker.quotas.pool import Pool, build_pool, hard_columns, unbounded_pool
from reranker.quotas.repeats import Repeats
from reranker.quotas.tables import AttributeTable
from reranker.quotas.wishes import Wishes
from reranker.slate import QuotaOutcome


@dataclass(slots=True, eq=False)
class Bounded:
    """The bounds of one request; `unit` and `earlier` are rows of embeddings for bounds on likeness."""

    rules: CompiledPolicy
    pool: Pool
    active: Active
    hard: tuple[AttributeTable, ...]
    soft: tuple[AttributeTable, ...]
    unit: NDArray[np.float32] | None
    earlier: NDArray[np.float32]
    steer: Steer

    @property
    def has_wishes(self) -> bool:
        """Whether anything soft enters the utility."""
        return bool(self.soft) or self.rules.has_wishes

    def wishes(self, relevance: NDArray[np.float64]) -> Wishes:
        """The soft part, counted from the first slot; `relevance` as utilities count it, in upstream order."""
        rules = self.rules
        soft = [bound for bound in rules.similarity if bound.soft]
        repeats = None
        if rules.spacings or rules.decays:
            repeats = Repeats(rules.spacings, rules.decays, self.pool, relevance)
        return Wishes(self.soft, soft, self.unit, self.pool, self.earlier, repeats)

    def likeness(self) -> Likeness | None:
        """The hard bounds on likeness, counted from the first slot."""
        if self.unit is None:
            return None
        hard = [bound for bound in self.rules.similarity if not bound.soft]
        return Likeness(hard, self.unit, self.pool.slots, self.earlier) if hard else None

    def outcomes(self, picks: NDArray[np.int32], asked: int) -> tuple[QuotaOutcome, ...]:
        """What became of the hard bounds."""
        if not self.hard and self.unit is None:
            return ()
        found = outcomes_of(self.hard, self.pool, picks, asked, self.rules.max_fall)
        if len(self.pool) < asked:
            found = for_a_full_slate(found, self.active.hard, self.pool, asked)
        return found + self._alike(picks, soft=False)

    def soft_outcomes(self, picks: NDArray[np.int32], asked: int) -> tuple[QuotaOutcome, ...]:
        """What became of the soft ones."""
        if not self.soft and self.unit is None:
            return ()
        found = outcomes_of(self.soft, self.pool, picks, asked, self.rules.max_fall)
        return tuple(replace(outcome, soft=True) for outcome in found + self._alike(picks, soft=True))

    def _alike(self, picks: NDArray[np.int32], soft: bool) -> tuple[QuotaOutcome, ...]:
        unit = self.unit
        if unit is None:
            return ()
        bounds = [bound for bound in self.rules.similarity if bound.soft == soft]
        return tuple(likeness_outcome(bound, unit, self.pool, picks, self.earlier) for bound in bounds)


def bind(rules: CompiledPolicy, listing: Listing, history: History | None, outlook: Outlook) -> Bounded:
    """The policy's bounds over the candidates that take part, and what `outlook` makes of its exposure targets."""
    candidates, context, order = listing.candidates, listing.context, listing.order
    if rules.binds_nobody and history is None and not context.fixed:
        pool = unbounded_pool(len(order), rules.slots)
        steer = Steer(rules, pool, listing, outlook)
        return Bounded(rules, pool, Active(rules.blocks, (), ()), (), (), None, _NO_ROWS, steer)
    columns = hard_columns(rules, candidates, order)
    passes = guard_passes(rules, columns, listing.own_falling)
    slots = rules.slots - (history.earlier.shown if history is not None else 0)
    fixed = fixed_candidates(candidates, context, order, slots) if context.fixed else {}
    still, kept = stand_still(rules, candidates, order), {}
    if still is not None:
        passes = passes & ~still
        kept = places_of(still, fixed, 0 if history is not None and history.earlier.shown else rules.keep_top, slots)
        fixed = dict(sorted({**fixed, **kept}.items()))
    pool = build_pool(rules, columns, passes, fixed, history.earlier if history is not None else None, frozenset(kept))
    steer = Steer(rules, pool, listing, outlook)
    active = active_blocks(rules, pool, context.targets, listing.refined, steer.alone)
    unit, earlier = _unit_rows(rules, listing, history)
    soft = build_tables(rules, pool, active.soft) if active.soft else ()
    return Bounded(rules, pool, active, build_tables(rules, pool, active.hard), soft, unit, earlier, steer)


_NO_ROWS = np.zeros((0, 1), np.float32)


def _unit_rows(
    rules: CompiledPolicy, listing: Listing, history: History | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Unit rows of the first embedding for bounds on likeness, and those of the items shown before."""
    if not rules.similarity or not len(listing):
        return None, _NO_ROWS
    embedding = main_embedding(listing.candidates)
    if embedding is None:
        return np.zeros((len(listing), 1), np.float32), _NO_ROWS
    unit = unit_rows(embedding.matrix, embedding.norms, listing.order)
    if history is None:
        return unit, np.zeros((0, unit.shape[1]), np.float32)
    past = history.rows(next(iter(listing.candidates.embeddings)), unit.shape[1])
    return unit, unit_rows(past.matrix, past.norms, np.arange(history.count, dtype=np.int32))
