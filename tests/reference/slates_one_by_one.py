"""One slate measured by itself, with the functions of `reranker.measures`: what measuring many at once has to equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.engine.checks import guard_passes
from reranker.engine.listing import upstream_order
from reranker.measures import (
    Membership,
    attention_gap,
    attention_shares,
    awrf,
    displacements,
    div,
    exposure_parity,
    in_group_fairness,
    intra_list_distances,
    ndcg,
    ndkl,
    overlap,
    rank_biased_overlap,
    relevance_gains,
    relevance_retained,
    shares,
    skews,
    slot_attention,
)
from reranker.measures.attribute import MeasuredAttribute
from reranker.policy import Policy
from reranker.policy.compile import compiled
from reranker.quotas.pool import hard_columns
from reranker.replay.measured import MOST_VALUES, TIMES, UNKNOWN, Yardstick
from reranker.replay.words import Measure

Positions = NDArray[np.int32]
_MOST_PAIRS = 64


@dataclass(frozen=True, slots=True)
class Presence:
    """One value in one slate: candidates that carry it, slots that they have, from 1, and who came and went.

    `lifted` items came from below the upstream top k, `dropped` ones left it; their scores are shares of the best
    candidate's relevance, added up, NaN where scores have no zero. The value of unlabelled items is "".
    """

    attribute: str
    value: str
    supply: int
    slots: tuple[int, ...]
    lifted: int
    lifted_score: float
    dropped: int
    dropped_score: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of one slate; a measure without meaning there is absent."""

    numbers: dict[Measure, float]
    presences: tuple[Presence, ...]


class MeasuredList:
    """One candidate list, laid out once for the slates of all policies. `targets` are the request's own."""

    def __init__(
        self, candidates: Candidates, yardstick: Yardstick, targets: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self.candidates, self._yardstick = candidates, yardstick
        self.order = upstream_order(candidates.scores)
        self._gains = relevance_gains(candidates.scores, yardstick.score_zero)
        self._shares = _shares_of_best(self._gains, len(candidates))
        declared = targets or {}
        names = dict.fromkeys((*yardstick.named(candidates), *declared))
        measured = [
            MeasuredAttribute.of(
                candidates,
                name,
                declared.get(name),
                yardstick.domains.get(name, ()),
                yardstick.thresholds.get(name, 0.5),
            )
            for name in names
        ]
        small = [group for group in measured if len(group.values) <= MOST_VALUES]
        self._groups = [_Group.of(group) for group in measured]
        self._groups += [
            _Group.of_pair(one, other)
            for one, other in combinations(small, 2)
            if 0 < len(one.values) * len(other.values) <= _MOST_PAIRS
        ]

    def measure(self, positions: Positions, policy: Policy) -> Measured:
        """The slate `positions` (k,) that `policy` made of this list."""
        numbers: dict[Measure, float] = {}
        _add(numbers, self._of_slate(positions))
        guarded = self._may_be_lifted(policy, len(positions))
        top = self.order[: len(positions)]
        came, went = np.setdiff1d(positions, top, assume_unique=True), np.setdiff1d(top, positions, assume_unique=True)
        presences: list[Presence] = []
        for group in self._groups:
            listed = group.members.of(positions)
            presences += self._presences(group, listed, came, went)
            if group.own is not None:
                _add(numbers, self._of_attribute(group.own, listed, positions, guarded), group.attribute)
            if not group.is_large:
                _add_values(numbers, group, listed)
        return Measured(numbers, tuple(presences))

    def _of_slate(self, positions: Positions) -> dict[str, float | None]:
        candidates, zero, count = self.candidates, self._yardstick.score_zero, len(positions)
        top = self.order[:count]
        embedding = next(iter(candidates.embeddings.values()), None)
        distances: tuple[float | None, float | None] = (None, None)
        if embedding is not None:
            distances = intra_list_distances(embedding.matrix, embedding.norms, positions)
        moved = np.abs(displacements(positions, self.order))
        return {
            "relevance_retained": relevance_retained(candidates.scores, positions, self.order, zero),
            "ndcg": ndcg(candidates.scores, positions, self.order, zero),
            "intra_list_average_distance": distances[0],
            "intra_list_minimum_distance": distances[1],
            "upstream_overlap": overlap(positions, top),
            "upstream_rbo": rank_biased_overlap(positions, top),
            "mean_displacement": float(moved.mean()) if count else None,
        }

    def _of_attribute(
        self,
        group: MeasuredAttribute,
        listed: Membership,
        positions: Positions,
        guarded: NDArray[np.bool_] | None,
    ) -> dict[str, float | None]:
        skew = skews(listed, group.reference)
        free, under_guard = group.ceilings(guarded, len(positions))
        fairness = None if self._gains is None else in_group_fairness(group.members, self._gains, positions)
        return {
            "div": div(listed.first(group.asked)),
            "div_ceiling": free,
            "div_ceiling_guarded": under_guard,
            "min_skew": skew[0] if skew else None,
            "max_skew": skew[1] if skew else None,
            "ndkl": ndkl(listed, group.reference),
            "awrf": awrf(listed, group.reference),
            "attention_gap": attention_gap(listed, group.reference),
            "exposure_parity": exposure_parity(group.grouped.of(positions), group.grouped),
            "in_group_fairness": None if fairness is None or np.isnan(fairness).all() else float(np.nanmin(fairness)),
            "label_coverage": float(listed.labelled.mean()) if len(positions) else None,
        }

    def _may_be_lifted(self, policy: Policy, slots: int) -> NDArray[np.bool_] | None:
        """Whom the policy's guard lets into a slate of this length: bool (N,); None where it has no guard."""
        rules = compiled(policy, slots)
        if rules.guard is None:
            return None
        columns = hard_columns(rules, self.candidates, self.order)
        may = np.empty(len(self.candidates), bool)
        may[self.order] = guard_passes(rules, columns, self.candidates.scores[self.order])
        may[self.order[:slots]] = True
        return may

    def _presences(
        self, group: _Group, listed: Membership, came: NDArray[np.integer], went: NDArray[np.integer]
    ) -> list[Presence]:
        """Each value that is on the slate or was in the upstream top; of few values all that are carried."""
        slots: dict[int, list[int]] = {}
        for row, value in zip((listed.rows + 1).tolist(), listed.carried.tolist(), strict=True):
            slots.setdefault(value, []).append(row)
        lifted, dropped = self._sums(group, came), self._sums(group, went)
        shown = group.carried if not group.is_large else sorted({*slots, *lifted, *dropped})
        rows = [
            Presence(
                group.attribute,
                group.values[value],
                group.supply[value],
                tuple(slots.get(value, ())),
                *lifted.get(value, _NOBODY),
                *dropped.get(value, _NOBODY),
            )
            for value in shown
        ]
        if group.unlabelled:
            places = tuple((np.flatnonzero(~listed.labelled) + 1).tolist())
            new, gone = (some[~group.members.labelled[some]] for some in (came, went))
            sums = (len(new), float(self._shares[new].sum()), len(gone), float(self._shares[gone].sum()))
            rows.append(Presence(group.attribute, UNKNOWN, group.unlabelled, places, *sums))
        return rows

    def _sums(self, group: _Group, positions: NDArray[np.integer]) -> dict[int, tuple[int, float]]:
        """By value, how many of these items carry it, and the sum of their scores."""
        if not len(positions):
            return {}
        some = group.members.of(positions)
        sums: dict[int, tuple[int, float]] = {}
        for value, score in zip(some.carried.tolist(), self._shares[positions][some.rows].tolist(), strict=True):
            count, total = sums.get(value, _NOBODY)
            sums[value] = (count + 1, total + score)
        return sums


_NOBODY = (0, 0.0)


@dataclass(frozen=True, slots=True)
class _Group:
    """One attribute, or two of them crossed, with what does not depend on a slate. `own` is None for a pair."""

    attribute: str
    values: tuple[str, ...]
    members: Membership
    reference: NDArray[np.float64]
    supply: list[int]
    carried: list[int]
    unlabelled: int
    is_large: bool
    own: MeasuredAttribute | None

    @classmethod
    def of(cls, own: MeasuredAttribute) -> _Group:
        """An attribute by itself; of many values there are no measures."""
        is_large = len(own.values) > MOST_VALUES
        return cls._made(own.attribute, own.values, own.members, own.reference, None if is_large else own, is_large)

    @classmethod
    def of_pair(cls, one: MeasuredAttribute, other: MeasuredAttribute) -> _Group:
        """Two attributes crossed: an item is labelled where both know it."""
        a, b = one.members, other.members
        rows = a.rows
        times = b.lengths[rows]  # each entry of one meets every value of the other that the item carries
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        carried = np.repeat(a.carried, times) * b.width + b.carried[np.repeat(b.starts[rows], times) + within]
        lengths = a.lengths * b.lengths
        starts = np.zeros(len(lengths) + 1, np.intp)
        np.cumsum(lengths, out=starts[1:])
        members = Membership(starts, carried, a.width * b.width, a.labelled & b.labelled)
        values = tuple(f"{x}{TIMES}{y}" for x in one.values for y in other.values)
        return cls._made(f"{one.attribute}{TIMES}{other.attribute}", values, members, shares(members), None, False)

    @classmethod
    def _made(
        cls,
        attribute: str,
        values: tuple[str, ...],
        members: Membership,
        reference: NDArray[np.float64],
        own: MeasuredAttribute | None,
        is_large: bool,
    ) -> _Group:
        counts = members.counts
        unlabelled = int(np.count_nonzero(~members.labelled))
        carried = np.flatnonzero(counts).tolist()
        return cls(attribute, values, members, reference, counts.tolist(), carried, unlabelled, is_large, own)


def _add(numbers: dict[Measure, float], found: Mapping[str, float | None], attribute: str = "") -> None:
    for name, number in found.items():
        if number is not None:
            numbers[Measure(name, attribute)] = number


def _add_values(numbers: dict[Measure, float], group: _Group, listed: Membership) -> None:
    """Attention to each value that is there or due; to the unknown ones as a share of all, as they are in no other."""
    attention = slot_attention(len(listed.labelled))
    if len(attention):
        unknown = attention[~listed.labelled].sum() / attention.sum()
        numbers[Measure("unknown_attention", group.attribute)] = float(unknown)
    received = attention_shares(listed, attention)
    if received is None:
        return
    rows = zip(group.values, received.tolist(), group.reference.tolist(), group.supply, strict=True)
    for value, share, due, supply in rows:
        if not supply and not due > 0.0:  # neither there nor due: this list says nothing about it
            continue
        numbers[Measure("attention", group.attribute, value)] = min(share, 1.0)
        if not math.isnan(due):
            numbers[Measure("attention_shortfall", group.attribute, value)] = max(0.0, due - share)


def _shares_of_best(gains: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    """Relevance as a share of the best candidate's, (N,); NaN where scores have no zero or nobody has any."""
    if gains is None or not count or gains.max() <= 0.0:
        return np.full(count, np.nan)
    best: NDArray[np.float64] = gains / gains.max()
    return best
