"""An audit while it reads: every result set once, nothing of it kept but sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reranker.engine.listing import upstream_order
from reranker.measures import attention_gap, attention_shares, membership, ndkl, relevance_gains, shares, skews
from reranker.measures.groups import Membership, carried_values
from reranker.replay.audit.judgements import Judgements
from reranker.replay.audit.sets import ResultSet
from reranker.replay.audit.shares import Draws, Means
from reranker.replay.audit.targets import Targets
from reranker.replay.audit.twoway import AtPosition, Paired, units_of
from reranker.replay.audit.weights import alike, same_request, same_values
from reranker.replay.measured import MOST_VALUES
from reranker.replay.results import size_in_words
from reranker.replay.slices import LENGTH, NOT_KNOWN, THE_REST

Floats = NDArray[np.float64]
MOST_SLICES = 200
"""Of one field; whatever comes after them is one slice together."""
SAME_REQUEST, ALIKE = "the same request", "alike items"
SCORE, RELEVANCE = "score", "relevance"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the traffic. `given` are attributes, and `alike` a cosine, at which items are equal signals."""

    attributes: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    alike: float | None = None
    targets: Targets = field(default_factory=Targets)
    threshold: float = 0.5


@dataclass(slots=True)
class Group:
    """One value in one slice."""

    candidates: int = 0
    requests: int = 0
    paired: dict[str, Paired] = field(default_factory=dict)
    at_position: dict[str, AtPosition] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    """One attribute in one slice: `top`, `attention`, `supply` are shares by group of requests that know all three."""

    groups: dict[str, Group] = field(default_factory=dict)
    candidates: int = 0
    unknown: int = 0
    top: Means = field(default_factory=lambda: Means(is_of_all=True))
    attention: Means = field(default_factory=lambda: Means(is_of_all=True))
    supply: Means = field(default_factory=lambda: Means(is_of_all=True))
    excess: Means = field(default_factory=lambda: Means(is_of_all=True))
    beyond_target: Means = field(default_factory=lambda: Means(is_of_all=False))
    targets: Means = field(default_factory=lambda: Means(is_of_all=False))
    standing: Means = field(default_factory=lambda: Means(is_of_all=False))
    score: Means = field(default_factory=lambda: Means(is_of_all=False))
    lists: Means = field(default_factory=lambda: Means(is_of_all=False))
    draws: Draws = field(default_factory=Draws)

    def group(self, value: str) -> Group:
        """The group of a value."""
        return self.groups.setdefault(value, Group())


class Tally:
    """Sums over result sets: `slices` by field and value, each with its accounts by attribute."""

    def __init__(self, question: Question, judgements: Judgements | None = None) -> None:
        self._question, self._judgements = question, judgements
        self.slices: dict[tuple[str, str], dict[str, Account]] = {}
        self.sizes: Counter[tuple[str, str]] = Counter()
        self.large: dict[str, set[str]] = {}
        """Values of attributes, as long as they are few; of those with more, groups are not compared."""
        self.fields: set[str] = {LENGTH}
        self.attributes: set[str] = set()
        self.sets = self.ranked = self.candidates = self.judged = 0
        self.tops: Counter[int] = Counter()

    def add(self, found: ResultSet) -> None:
        """One result set."""
        candidates, question = found.candidates, self._question
        self.sets += 1
        self.ranked += found.is_ranked
        self.candidates += len(candidates)
        self.tops[min(found.top, len(candidates))] += 1
        self.fields.update(name for name, value in found.fields.items() if value)
        self.attributes.update(candidates.attributes)
        slices = list(self._slices_of(found))
        self.sizes.update(slices)
        laid_out = _List.of(found)
        relevance = None if self._judgements is None else self._judgements.of(found)
        self.judged += relevance is not None
        for name in question.attributes or tuple(candidates.attributes):
            own = self._members(found, name)
            if own is None:
                continue
            values, members = own
            for key in slices:
                account = self.slices.setdefault(key, {}).setdefault(name, Account())
                self._add(account, found, laid_out, name, values, members, key)

    def _slices_of(self, found: ResultSet) -> Iterator[tuple[str, str]]:
        yield ("", "")
        for name in self._question.by:
            value = size_in_words(len(found.candidates)) if name == LENGTH else found.fields.get(name, "")
            key = (name, value or NOT_KNOWN)
            if key not in self.sizes and sum(of == name for of, _ in self.sizes) >= MOST_SLICES:
                key = (name, THE_REST)
            yield key

    def _members(self, found: ResultSet, name: str) -> tuple[tuple[str, ...], Membership] | None:
        """Who carries which value; None of an attribute of too many values to compare by group."""
        column = found.candidates.attributes.get(name)
        if column is None:
            return (), Membership.of_nobody(len(found.candidates), 0)
        values = carried_values(column, self._question.threshold)
        seen = self.large.setdefault(name, set())
        if len(seen) <= MOST_VALUES:
            seen.update(values)
        if len(seen) > MOST_VALUES:
            for accounts in self.slices.values():
                accounts.pop(name, None)
            return None
        return values, membership(column, values, self._question.threshold)

    def _add(
        self,
        account: Account,
        found: ResultSet,
        laid_out: _List,
        name: str,
        values: tuple[str, ...],
        members: Membership,
        key: tuple[str, str],
    ) -> None:
        account.candidates += len(found.candidates)
        account.unknown += int(np.count_nonzero(~members.labelled))
        for value, count in zip(values, members.counts.tolist(), strict=True):
            group = account.group(value)
            group.candidates += count
            group.requests += 1
        if found.is_ranked:
            self._standing(account, found, laid_out, values, members, is_whole=key == ("", ""))
        self._represented(account, found, laid_out, name, values, members)

    def _standing(
        self,
        account: Account,
        found: ResultSet,
        laid_out: _List,
        values: tuple[str, ...],
        members: Membership,
        *,
        is_whole: bool,
    ) -> None:
        """Where the members of each group stand beside the others of their request."""
        carries = members.carries
        for scheme, weights in self._weights(found, laid_out, carries, members.labelled):
            for place in np.flatnonzero((weights != 0.0).any(axis=0)).tolist():
                paired = account.group(values[place]).paired.setdefault(scheme, Paired(2))
                paired.add(weights[:, place], laid_out.quantities, laid_out.units)
        counts = np.maximum(members.counts, 1)
        for means, numbers in ((account.standing, laid_out.quantities[:, 0]), (account.score, laid_out.share_of_best)):
            of_groups = np.bincount(members.carried, weights=numbers[members.rows], minlength=members.width) / counts
            if not np.isnan(of_groups).any():
                means.add(dict(zip(values, of_groups.tolist(), strict=True)))
        if is_whole:
            self._at_position(account, found, laid_out, values, carries, members.labelled)

    def _weights(
        self, found: ResultSet, laid_out: _List, carries: NDArray[np.bool_], labelled: NDArray[np.bool_]
    ) -> Iterator[tuple[str, Floats]]:
        yield SAME_REQUEST, same_request(carries, labelled)
        if self._question.given:
            yield given_in_words(self._question.given), same_values(carries, labelled, self._strata(found))
        if self._question.alike is not None and laid_out.vectors is not None:
            yield ALIKE, alike(carries, labelled, laid_out.vectors, self._question.alike)

    def _strata(self, found: ResultSet) -> NDArray[np.intp]:
        """Candidates with the same value of every given attribute have one number; -1 where one is unknown."""
        rows: list[tuple[object, ...] | None] = [()] * len(found.candidates)
        for name in self._question.given:
            column = found.candidates.attributes.get(name)
            texts = [[]] * len(rows) if column is None else column.hard(self._question.threshold).listed()
            rows = [(*row, *text) if row is not None and text else None for row, text in zip(rows, texts, strict=True)]
        number: dict[object, int] = {}
        return np.array([-1 if row is None else number.setdefault(row, len(number)) for row in rows], np.intp)

    def _at_position(
        self,
        account: Account,
        found: ResultSet,
        laid_out: _List,
        values: tuple[str, ...],
        carries: NDArray[np.bool_],
        labelled: NDArray[np.bool_],
    ) -> None:
        numbers = {SCORE: laid_out.share_of_best}
        relevance = self._judgements.of(found) if self._judgements is not None else None
        if relevance is not None:
            numbers[RELEVANCE] = relevance
        for name, column in numbers.items():
            counted = labelled & ~np.isnan(column)
            if not counted.any():
                continue
            some = (column[counted], laid_out.bands[counted], laid_out.units[counted])
            for place, value in enumerate(values):  # where a group is absent, others say nothing: other requests differ
                is_member = carries[counted, place]
                if is_member.any() and not is_member.all():
                    account.group(value).at_position.setdefault(name, AtPosition()).add(is_member, *some)

    def _represented(
        self,
        account: Account,
        found: ResultSet,
        laid_out: _List,
        name: str,
        values: tuple[str, ...],
        members: Membership,
    ) -> None:
        """What each group has of the top of the list."""
        listed = members.of(laid_out.order[: found.top])
        if not found.is_ranked:
            account.draws.add(
                int(np.count_nonzero(members.labelled)), dict(zip(values, members.counts.tolist(), strict=True))
            )
        numbers = {"label_coverage": float(listed.labelled.mean())} if len(listed.labelled) else {}
        if listed.labelled.any():
            top, supply = shares(listed), shares(members)
            account.top.add(dict(zip(values, top.tolist(), strict=True)))
            attention = attention_shares(listed) if found.is_ranked else None
            if attention is not None:
                for means, row in (
                    (account.attention, attention),
                    (account.supply, supply),
                    (account.excess, attention - supply),
                ):
                    means.add(dict(zip(values, row.tolist(), strict=True)))
            self._beyond_target(account, found, name, dict(zip(values, top.tolist(), strict=True)))
            if found.is_ranked:
                skew = skews(listed, supply) or (None, None)
                measured = {
                    "ndkl": ndkl(listed, supply),
                    "min_skew": skew[0],
                    "max_skew": skew[1],
                    "attention_gap": attention_gap(listed, supply),
                }
                numbers |= {key: number for key, number in measured.items() if number is not None}
        account.lists.add(numbers)

    def _beyond_target(self, account: Account, found: ResultSet, name: str, top: Mapping[str, float]) -> None:
        own = found.targets.get(name) if self._question.targets.of_request else None
        if own and name not in self._question.targets.shares:
            account.beyond_target.add({value: top.get(value, 0.0) - share for value, share in own.items()})
            account.targets.add(dict(own))


def given_in_words(names: tuple[str, ...]) -> str:
    """How a comparison at equal values of these attributes is called."""
    return f"the same {' and '.join(names)}"


@dataclass(frozen=True, slots=True, eq=False)
class _List:
    """What does not depend on an attribute. `quantities` (N, 2) are standing, and score in standard deviations.

    Standing is the share of the list below an item, ties shared: 1 at the top, 0 at the end, 0.5 in the mean.
    """

    order: NDArray[np.int32]
    quantities: Floats
    share_of_best: Floats
    bands: NDArray[np.intp]
    units: NDArray[np.intp]
    vectors: Floats | None

    @classmethod
    def of(cls, found: ResultSet) -> _List:
        candidates = found.candidates
        count, scores = len(candidates), candidates.scores
        order = upstream_order(scores)
        rank = np.empty(count, np.intp)
        rank[order] = np.arange(count)
        _, tied, ties = np.unique(scores, return_inverse=True, return_counts=True)
        below = np.cumsum(ties) - ties  # with a smaller score
        standing = (below[tied] + ties[tied] / 2.0) / max(count, 1)
        deviation = float(scores.std()) if count else 0.0
        z = (scores - scores.mean()) / deviation if deviation > 0.0 else np.zeros(count)
        gains = relevance_gains(scores, None)
        best = float(gains.max(initial=0.0)) if gains is not None else 0.0
        share = gains / best if gains is not None and best > 0.0 else np.full(count, np.nan)
        column = next(iter(candidates.embeddings.values()), None)
        vectors = None
        if column is not None:
            lengths = column.norms[:, None]
            vectors = np.divide(column.matrix, lengths, out=np.zeros(column.matrix.shape), where=lengths > 0.0)
        return cls(
            order,
            np.stack([standing, z], axis=1),
            share,
            AtPosition.bands(count)[rank],
            units_of(list(candidates.ids)),
            vectors,
        )
