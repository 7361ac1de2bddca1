"""The requests that change most, made once more with explanations: what numbers cannot show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from reranker.attributes import AttributeColumn
from reranker.codec import DecodedRequest
from reranker.engine.listing import upstream_order
from reranker.errors import RerankerError
from reranker.replay.answers import Answer, made_by
from reranker.replay.contrasts import together
from reranker.replay.measured import MOST_VALUES
from reranker.replay.one import Replayer
from reranker.replay.plan import Entry, Plan
from reranker.replay.results import Results
from reranker.replay.survey import Traffic
from reranker.replay.words import Measure
from reranker.signals import Catalog
from reranker.slate import OutcomeStatus
from reranker.v1.request_log_pb2 import RequestLog

MOST = 40


@dataclass(frozen=True, slots=True)
class Item:
    """One item in its slot; `rank` is the upstream rank, from 1, and `values` are texts by attribute."""

    slot: int
    id: str
    title: str
    rank: int
    score: float
    values: Mapping[str, str]
    why: str
    stays: bool
    """Whether the other slate holds it too."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two slates, and what became of its bounds in words."""

    items: tuple[Item, ...]
    status: str
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One request under both policies."""

    name: str
    query: str
    kind: str
    surface: str
    candidates: int
    overlap: float
    baseline: Side
    candidate: Side


@dataclass(frozen=True, slots=True)
class Words:
    """What people call items and requests, by id."""

    titles: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)


def most_changed(results: Results, baseline: str, candidate: str, most: int = MOST) -> list[tuple[int, float]]:
    """Places of the requests whose slates share least, ties by rank-biased overlap and then by order; their overlap."""
    pair = together(results, baseline, candidate)
    shared, alike = pair[Measure("overlap")], pair[Measure("rank_biased_overlap")]
    changed = np.flatnonzero(pair[Measure("changed")] == 1.0)
    order = np.lexsort((changed, alike[changed], shared[changed]))
    return [(int(changed[at]), float(shared[changed[at]])) for at in order[:most]]


def browse(
    results: Results,
    plan: Plan,
    traffic: Traffic,
    baseline: str,
    candidate: str,
    *,
    catalog: Catalog | None = None,
    words: Words | None = None,
    most: int = MOST,
    answered: Callable[[Collection[int]], Mapping[tuple[int, str], Answer]] | None = None,
) -> list[Changed]:
    """The requests that change most, read again from the traffic and explained. Raises as reading the traffic does.

    `answered` knows what servers made of requests, by their places in the traffic.
    """
    chosen = most_changed(results, baseline, candidate, most)
    entries = {entry.label: entry for entry in plan.entries}
    replayer, words = Replayer(plan, catalog), words or Words()
    made = {} if answered is None else answered([int(results.traffic.ordinals[place]) for place, _ in chosen])
    records = _picked(traffic, {int(results.traffic.ordinals[place]) for place, _ in chosen})
    found = []
    for place, shared in chosen:
        log = RequestLog.FromString(records[int(results.traffic.ordinals[place])])
        decoded = replayer.decoded(log)
        if isinstance(decoded, str):
            continue
        sides = [
            _side(
                replayer, decoded, entries[label], plan, words, made.get((int(results.traffic.ordinals[place]), label))
            )
            for label in (baseline, candidate)
        ]
        if sides[0] is None or sides[1] is None:
            continue
        name = results.traffic.names[place]
        found.append(
            Changed(
                name,
                words.queries.get(name, ""),
                log.metadata.kind,
                log.request.context.surface,
                len(decoded.candidates),
                shared,
                *_beside(sides[0], sides[1]),
            )
        )
    return found


def _picked(traffic: Traffic, ordinals: set[int]) -> dict[int, bytes]:
    """Some of the records, by place; reads no further than the last of them."""
    last = max(ordinals, default=-1)
    numbered: Iterator[tuple[int, bytes]] = enumerate(islice(traffic.records(), last + 1))
    return {place: record for place, record in numbered if place in ordinals}


def _side(
    replayer: Replayer,
    decoded: DecodedRequest,
    entry: Entry,
    plan: Plan,
    words: Words,
    answer: Answer | None,
) -> Side | None:
    """The slate that a server has made, or one that is made once more for its explanations."""
    explanations: list[str] = []
    try:
        if entry.asks:
            if answer is None or answer.error:
                return None
            positions, status, _, quotas = made_by(answer.response, decoded.candidates)
        else:
            slate = replayer.slate(decoded, entry, explain=True)
            positions, status, quotas = slate.positions, slate.report.status, slate.report.quotas
            explanations = [explanation.text for explanation in slate.explanations]
    except RerankerError:
        return None
    broken = tuple(outcome.detail for outcome in quotas if outcome.status == OutcomeStatus.BROKEN)
    candidates = decoded.candidates
    order = upstream_order(candidates.scores)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    columns = {
        name: None if column is None else column.hard(plan.yardstick.thresholds.get(name, 0.5))
        for name in plan.yardstick.named(candidates)
        for column in [candidates.attributes.get(name)]
    }
    items = []
    for slot, position in enumerate(positions.tolist(), start=1):
        name = str(candidates.ids[position])
        values = {attribute: _values(column, position) for attribute, column in columns.items()}
        why = explanations[slot - 1] if explanations else ""
        title = words.titles.get(name, "")
        score = float(candidates.scores[position])
        items.append(Item(slot, name, title, int(rank[position]), score, values, why, stays=False))
    return Side(tuple(items), status.value, broken)


def _values(column: AttributeColumn | None, position: int) -> str:
    """What one item carries in a column without probabilities."""
    if column is None:
        return ""
    codes: Sequence[int] = [int(column.codes[position])]
    if column.offsets is not None:
        codes = column.codes[column.offsets[position] : column.offsets[position + 1]].tolist()
    return ", ".join(column.values[code - 1] for code in codes[:MOST_VALUES] if code)


def _beside(one: Side, other: Side) -> tuple[Side, Side]:
    """Both slates, each item marked where the other slate holds it too."""
    held = [{item.id for item in side.items} for side in (one, other)]
    marked = []
    for side, ids in ((one, held[1]), (other, held[0])):
        items = tuple(
            Item(i.slot, i.id, i.title, i.rank, i.score, i.values, i.why, stays=i.id in ids) for i in side.items
        )
        marked.append(Side(items, side.status, side.broken))
    return marked[0], marked[1]
