"""The bytes that are sent: recorded requests joined with their catalog, as a pipeline would send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from examples.catalog import Corpus
from loadtest.errors import LoadtestError
from loadtest.workload.scenario import CATALOG, Requests, Scenario
from reranker.v1.candidates_pb2 import CatalogReference
from reranker.v1.reranker_service_pb2 import RerankRequest

_ON_THE_WIRE = {"float32": "<f4", "float16": "<f2"}


@dataclass(frozen=True)
class Workload:
    """Every distinct request as bytes, the group each belongs to, and how often it is sent (shares sum to 1)."""

    groups: tuple[str, ...]
    bodies: tuple[bytes, ...]
    group_of: NDArray[np.uint8]
    shares: NDArray[np.float64]

    def drawn(self, count: int, seed: int) -> NDArray[np.int32]:
        """Which request is sent at each of `count` arrivals."""
        rng = np.random.default_rng([seed, 1])
        return rng.choice(len(self.bodies), size=count, p=self.shares).astype(np.int32)

    @property
    def largest(self) -> int:
        """Bytes of the largest request."""
        return max(map(len, self.bodies))

    @property
    def mean_bytes(self) -> float:
        """What a request weighs on the wire, in the mean."""
        return float(np.dot(self.shares, [len(body) for body in self.bodies]))


def build(scenario: Scenario) -> Workload:
    """The scenario's requests. Raises `LoadtestError` when a log holds none of the kind."""
    corpora = {name: corpus_of(name) for name in {group.corpus for group in scenario.requests}}
    bodies: list[bytes] = []
    group_of: list[int] = []
    shares: list[float] = []
    whole = sum(group.share for group in scenario.requests)
    for number, group in enumerate(scenario.requests):
        found = [
            request.SerializeToString(deterministic=True)
            for request in requests_of(group, corpora[group.corpus], prefix=f"{number}:")
        ]
        bodies += found
        group_of += [number] * len(found)
        shares += [group.share / whole / len(found)] * len(found)
    return Workload(
        groups=tuple(group.name for group in scenario.requests),
        bodies=tuple(bodies),
        group_of=np.array(group_of, np.uint8),
        shares=np.array(shares) / np.sum(shares),
    )


def requests_of(group: Requests, corpus: Corpus, prefix: str = "") -> Sequence[RerankRequest]:
    """The full requests of one group. `prefix` keeps the ids of several groups apart: the echo goes by them."""
    missing = sorted(set(group.attributes) - set(corpus.attributes))
    if missing:
        raise LoadtestError(f"{group.corpus} has no attribute {', '.join(missing)}")
    made = []
    for request in _of_length(group, corpus):
        full = _joined(request, corpus, group)
        full.request_id = f"{prefix}{full.request_id}"
        full.policy_name = group.policy
        full.slate_size = group.slate_size
        full.explain, full.measures = group.explain, group.measures
        made.append(full)
        if len(made) == group.distinct:
            break
    if not made:
        raise LoadtestError(f"{group.corpus} has no request of {group.kinds} with {group.candidates} candidates")
    return made


def _of_length(group: Requests, corpus: Corpus) -> Iterator[RerankRequest]:
    """Copies of the recorded requests, with as many candidates as the group asks for; others are left out."""
    recorded = [record.request for record in corpus.records(*group.kinds)]
    for number, first in enumerate(recorded):
        request = RerankRequest()
        request.CopyFrom(first)
        if group.gathered:
            _fill_up(request, recorded[number + 1 :] + recorded[:number], group.candidates)
        if len(request.candidates.item_ids) < group.candidates:
            continue
        if group.candidates:
            del request.candidates.item_ids[group.candidates :]
            del request.candidates.scores[group.candidates :]
        yield request


def _fill_up(request: RerankRequest, others: Iterable[RerankRequest], count: int) -> None:
    """Append the candidates of others, each item once, until there are so many."""
    found = dict(zip(request.candidates.item_ids, request.candidates.scores, strict=True))
    for other in others:
        if len(found) >= count:
            break
        found = {**dict(zip(other.candidates.item_ids, other.candidates.scores, strict=True)), **found}
    request.candidates.item_ids[:] = found.keys()
    request.candidates.scores[:] = found.values()


def _joined(request: RerankRequest, corpus: Corpus, group: Requests) -> RerankRequest:
    """A copy of the request with the columns that its policy needs, or with a reference to them."""
    if group.embeddings == CATALOG:
        full = RerankRequest()
        full.CopyFrom(request)
        full.candidates.catalog.CopyFrom(CatalogReference(embeddings=[""], attributes=group.attributes))
        return full
    full = corpus.joined(request, *group.attributes, embeddings=False)
    if group.embeddings != "none":
        matrix = lengthened(corpus.embeddings[corpus.rows(request)], group.dimension)
        column = full.candidates.embeddings.add(dimension=group.dimension)
        setattr(column, group.embeddings, matrix.astype(_ON_THE_WIRE[group.embeddings], copy=False).tobytes())
    return full


def lengthened(rows: NDArray[np.float16], dimension: int) -> NDArray[np.float16]:
    """The vectors, repeated to a length. Raises `LoadtestError` where it is not a multiple of theirs."""
    repeats, rest = divmod(dimension, rows.shape[1])
    if rest or not repeats:
        raise LoadtestError(f"dimension must be a multiple of {rows.shape[1]}, the length of the recorded vectors")
    return np.tile(rows, repeats)


def corpus_of(name: str) -> Corpus:
    """A corpus of examples/data. Raises `LoadtestError` when there is none of that name."""
    try:
        return Corpus(name)
    except FileNotFoundError:
        raise LoadtestError(f"there is no corpus {name!r} in examples/data") from None
