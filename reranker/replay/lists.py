"""Candidate lists and the slates made of them, in flat arrays: what all measures of a replay start from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.engine.checks import guard_passes
from reranker.engine.listing import upstream_order
from reranker.measures import slot_attention
from reranker.measures.relevance import LARGE, above_zero
from reranker.policy import Policy
from reranker.policy.compile import compiled
from reranker.quotas.pool import hard_columns
from reranker.replay.segments import Floats, Indices, Mask, Segments

Positions = NDArray[np.int32]


class Lists:
    """Some candidate lists, one behind the other; their embeddings are not looked at. `score_zero` is the yardstick's.

    Candidate p of list l is `segments.starts[l] + p`, in every array of one entry a candidate.
    """

    def __init__(self, lists: Sequence[Candidates], score_zero: float | None) -> None:
        self.all, self.score_zero = lists, score_zero
        self.segments = Segments(np.array([len(each) for each in lists], np.intp))
        self.orders = [upstream_order(each.scores) for each in lists]
        self.scores: Floats = np.concatenate([np.zeros(0), *(each.scores for each in lists)])
        self.order: Indices = self.segments.starts[self.segments.owner] + np.concatenate(
            [np.zeros(0, np.int32), *self.orders]
        )
        """The candidates of each list in upstream order."""
        self.rank: Indices = np.empty(self.segments.total, np.intp)
        self.rank[self.order] = self.segments.within
        self._lowest, self._highest = (
            self.segments.least(self.scores, 0.0),
            self.segments.largest(self.scores, 0.0),
        )

    def above(self, zeros: Floats) -> Floats:
        """`above_zero` of every list, with a zero for each."""
        if max(self._highest.max(initial=0.0), -self._lowest.min(initial=0.0), np.abs(zeros).max(initial=0.0)) < LARGE:
            return self.scores - zeros[self.segments.owner]
        own = [above_zero(each.scores, zero) for each, zero in zip(self.all, zeros.tolist(), strict=True)]
        return np.concatenate([np.zeros(0), *own])

    @cached_property
    def has_gains(self) -> Mask:
        """Which lists have relevance to take shares of, bool (L,)."""
        return np.full(len(self.all), True) if self.score_zero is not None else self._lowest >= 0.0

    @cached_property
    def gains(self) -> Floats:
        """`relevance_gains` of every candidate; without meaning where a list has none."""
        return np.maximum(self.above(np.full(len(self.all), self.score_zero or 0.0)), 0.0)

    @cached_property
    def ranked_gains(self) -> Floats:
        """The gains of `ndcg`, which every list has."""
        if self.score_zero is not None:
            return self.gains
        return np.maximum(self.above(np.minimum(0.0, self._lowest)), 0.0)

    @cached_property
    def shares_of_best(self) -> Floats:
        """Relevance as a share of the best candidate's; NaN where scores have no zero or nobody has any."""
        best = self.segments.largest(self.gains, 0.0)
        best[~self.has_gains | (best <= 0.0)] = np.nan
        shares: Floats = self.gains / best[self.segments.owner]
        return shares

    def may_be_lifted(self, policy: Policy) -> Mask | None:
        """Whom the policy's guard lets pass; None where it has no guard."""
        rules = compiled(policy, 1)
        guard = rules.guard
        if guard is None:
            return None
        if guard.where:
            as_they_came = [np.arange(len(each), dtype=np.int32) for each in self.all]
            columns = [hard_columns(rules, each, order) for each, order in zip(self.all, as_they_came, strict=True)]
            passes = [guard_passes(rules, own, each.scores) for own, each in zip(columns, self.all, strict=True)]
            return np.concatenate([np.zeros(0, bool), *passes])
        may = np.ones(self.segments.total, bool)
        if guard.min_score is not None:
            may &= self.scores >= guard.min_score
        if guard.min_share_of_best is not None:
            may &= self._have_share(rules.score_zero, guard.min_share_of_best)
        return may

    def _have_share(self, zero: float, share: float) -> Mask:
        """Whose relevance is at least this share of the best one's in the list, as the engine's guard says it."""
        relevance = self.above(np.full(len(self.all), zero))
        best = self.segments.largest(relevance, 0.0)[self.segments.owner]
        with np.errstate(over="ignore"):
            ratio = np.divide(relevance, best, out=np.zeros(len(relevance)), where=best > 0.0)
        suffices: Mask = np.where(best > 0.0, ratio >= share, best == 0.0)
        return suffices


class ToMeasure(NamedTuple):
    """One slate: the place of its list, of the candidates of which it holds `positions`, and the policy that made it.

    Where that is not known, what its guard would allow is not either. `embedded` are the embeddings, the main ones, of
    those of its items that have one; None without any.
    """

    owner: int
    positions: Positions
    policy: Policy | None
    embedded: NDArray[np.float32] | None


class Slates:
    """Slates of some lists, one behind the other; `owner` (S,) are their lists.

    Entry t is one slot: `item[t]` stands there, a candidate as in `Lists`, and `top[t]` is who stands there upstream.
    """

    def __init__(self, lists: Lists, made: Sequence[ToMeasure]) -> None:
        self.lists, self.made = lists, made
        positions = [each.positions for each in made]
        self.owner: Indices = np.array([each.owner for each in made], np.intp)
        self.slots = Segments(np.array([len(each) for each in positions], np.intp))
        first = lists.segments.starts[self.owner][self.slots.owner]
        self.item: Indices = first + np.concatenate([np.zeros(0, np.int32), *positions])
        self.top: Indices = lists.order[first + self.slots.within]
        self.longest = int(self.slots.lengths.max(initial=0))
        self.attention: Floats = slot_attention(self.longest)[self.slots.within]
        self.came: Mask = lists.rank[self.item] >= self.slots.lengths[self.slots.owner]
        """Which slots hold an item from below the upstream top of the same length."""

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def pool(self) -> tuple[Segments, Indices]:
        """All candidates of the list of each slate: where those of each are, and who they are."""
        return self.lists.segments.take(self.owner)

    @cached_property
    def is_listed(self) -> Mask:
        """Who of `pool` is on the slate."""
        pool, _ = self.pool
        listed = np.zeros(pool.total, bool)
        listed[self._in_pool(self.item)] = True
        return listed

    @cached_property
    def went(self) -> Mask:
        """Which of `top` are not on the slate."""
        return ~self.is_listed[self._in_pool(self.top)]

    def _in_pool(self, entries: Indices) -> Indices:
        """Where in `pool` the candidates of each slot are."""
        pool, _ = self.pool
        return entries + (pool.starts - self.lists.segments.starts[self.owner])[self.slots.owner]

    def of_pool(self, at: int, marked: Mask) -> Mask:
        """The marks of `pool` that are of one slate's list."""
        pool, _ = self.pool
        return marked[pool.starts[at] : pool.starts[at] + pool.lengths[at]]
