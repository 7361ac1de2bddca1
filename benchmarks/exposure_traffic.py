"""Traffic for `benchmarks.exposure`: recorded requests drawn again and again, and an account of who was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from examples.catalog import Corpus
from reranker import Candidates
from reranker.measures.exposure import slot_attention
from reranker.measures.relevance import ndcg, relevance_retained

SLOTS = 10
SECONDS = 5.0  # between two requests: five thousand are seven hours, and a half-life is a day
_ATTENTION = slot_attention(SLOTS)


class Chooses(Protocol):
    """Whoever puts slates together."""

    def choose(self, candidates: Candidates, time: float, surface: str) -> NDArray[np.int32]:
        """Positions of one slate at `time`, in seconds."""
        ...


@dataclass(eq=False)
class Account:
    """Who was shown, request by request: attention by value, and what was kept of relevance."""

    values: tuple[str, ...]
    target: Mapping[str, float]
    given: list[NDArray[np.float64]] = field(default_factory=list)
    retained: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)

    def add(
        self, candidates: Candidates, attribute: str, positions: NDArray[np.int32], order: NDArray[np.intp]
    ) -> None:
        """Count one slate."""
        column = candidates.attributes[attribute]
        given = np.zeros(len(self.values))
        for code, attention in zip(column.codes[positions].tolist(), _ATTENTION.tolist(), strict=False):
            if code:
                given[self.values.index(column.values[code - 1])] += attention
        self.given.append(given)
        retained = relevance_retained(candidates.scores, positions, order)
        self.retained.append(1.0 if retained is None else retained)
        self.gains.append(ndcg(candidates.scores, positions, order) or 1.0)

    def since(self, first: int) -> Account:
        """The requests from this one on."""
        return Account(self.values, self.target, self.given[first:], self.retained[first:], self.gains[first:])

    def shares(self) -> dict[str, float]:
        """Each value's share of the attention that all got."""
        total = np.sum(self.given, axis=0)
        return dict(zip(self.values, (total / total.sum()).tolist(), strict=True))

    def worst(self) -> tuple[float, float]:
        """The largest distance of a share from its target: in points, and relative to the target."""
        gaps = {value: abs(share - self.target[value]) for value, share in self.shares().items()}
        return 100.0 * max(gaps.values()), max(gap / self.target[value] for value, gap in gaps.items())

    def peak(self, window: int = 250) -> float:
        """By how many points a share was above its target at most, over so many requests in a row."""
        sums = np.cumsum([np.zeros(len(self.values)), *self.given], axis=0)
        rows = sums[window:] - sums[:-window] if len(sums) > window else sums[-1:]
        shares = rows / rows.sum(axis=1, keepdims=True)
        return float(100.0 * (shares - [self.target[value] for value in self.values]).max())

    def series(self, every: int) -> dict[str, list[float]]:
        """Each value's share of all attention so far, at every so many requests."""
        sums = np.cumsum(self.given, axis=0)[every - 1 :: every]
        shares = sums / sums.sum(axis=1, keepdims=True)
        return {value: np.round(shares[:, i], 4).tolist() for i, value in enumerate(self.values)}

    @property
    def kept(self) -> float:
        """Mean share of the relevance of upstream's slate."""
        return float(np.mean(self.retained))

    @property
    def ndcg(self) -> float:
        """Mean nDCG against upstream."""
        return float(np.mean(self.gains))


@dataclass(frozen=True, eq=False)
class Traffic:
    """Requests in order, with a target for the exposure of an attribute's values."""

    name: str
    attribute: str
    target: dict[str, float]
    requests: Sequence[Candidates]
    surface: str = "search"

    def run(self, rule: Chooses) -> Account:
        """All of them under one rule."""
        account = self._account()
        for number, candidates in enumerate(self.requests):
            self._one(rule, candidates, number * SECONDS, account)
        return account

    def run_beside(self, other: Traffic, rule: Chooses) -> tuple[Account, Account]:
        """Two kinds of traffic at once, spread evenly: an account of each."""
        accounts = self._account(), other._account()
        times = [
            (index / len(kind.requests), index, kind) for kind in (self, other) for index in range(len(kind.requests))
        ]
        for number, (_, index, kind) in enumerate(sorted(times, key=lambda entry: entry[0])):
            account = accounts[0 if kind is self else 1]
            kind._one(rule, kind.requests[index], number * SECONDS, account)
        return accounts

    def _account(self) -> Account:
        return Account(tuple(self.target), self.target)

    def _one(self, rule: Chooses, candidates: Candidates, time: float, account: Account) -> None:
        positions = rule.choose(candidates, time, self.surface)
        order = np.argsort(-candidates.scores, kind="stable")
        account.add(candidates, self.attribute, positions, order)


@cache
def read(corpus_name: str, kinds: tuple[str, ...], attribute: str) -> tuple[Candidates, ...]:
    """The recorded requests that offer a choice."""
    corpus = Corpus(corpus_name)
    found = []
    for entry in corpus.records(*kinds):
        ids = list(entry.request.candidates.item_ids)
        if len(ids) <= SLOTS:
            continue
        rows = corpus.rows(entry.request)
        values = [next(iter(corpus.attributes[attribute].of(int(row))), None) for row in rows]
        vectors = corpus.embeddings[rows].astype(np.float32)
        found.append(Candidates(ids, np.array(entry.request.candidates.scores), vectors, {attribute: values}))
    return tuple(found)


def drawn(
    name: str,
    requests: Sequence[Candidates],
    attribute: str,
    target: dict[str, float],
    count: int,
    *,
    surface: str = "search",
    seed: int = 0,
) -> Traffic:
    """So many requests: all of them in random order, again and again."""
    random = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < count:
        order += random.permutation(len(requests)).tolist()
    return Traffic(name, attribute, target, [requests[index] for index in order[:count]], surface)


def without(traffic: Traffic, value: str, first: int, last: int) -> Traffic:
    """The same traffic, with no item of one value among the candidates of requests `first` to `last` - 1."""
    requests = list(traffic.requests)
    for number in range(first, last):
        candidates = requests[number]
        column = candidates.attributes[traffic.attribute]
        code = column.values.index(value) + 1 if value in column.values else -1
        requests[number] = candidates.take(np.flatnonzero(column.codes != code))
    return replace(traffic, requests=requests)
