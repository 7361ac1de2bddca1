"""Small runs for tests: real requests of the example data, and requests made up on the spot, through real policies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import islice

import numpy as np
import pyarrow as pa

from examples.catalog import Corpus
from reranker.policy import Policy
from reranker.replay.arrow import records_of, replay_batches, timings_of
from reranker.replay.measured import Yardstick
from reranker.replay.plan import Entry, Plan
from reranker.replay.reading import results_from
from reranker.replay.results import Results
from reranker.v1.request_log_pb2 import RequestLog


@cache
def recorded(corpus: str, *attributes: str, kind: str = "", most: int = 40) -> tuple[bytes, ...]:
    """The first recorded requests of an example corpus, with their columns inline, as records."""
    source = Corpus(corpus)
    found = []
    for log in islice(source.records(*([kind] if kind else [])), most):
        full = RequestLog(metadata=log.metadata, request=source.joined(log.request, *attributes))
        found.append(full.SerializeToString())
    return tuple(found)


def made_up(seed: int, requests: int = 12, candidates: int = 20, slots: int = 5) -> tuple[bytes, ...]:
    """Requests with random scores, embeddings and two attributes, of which one is unknown here and there."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(requests):
        log = RequestLog()
        log.metadata.kind = "even" if number % 2 == 0 else "odd"
        log.request.request_id = f"r{number}"
        log.request.slate_size = slots
        log.request.context.surface = "search"
        lists = log.request.candidates
        lists.item_ids.extend(f"i{number}-{i}" for i in range(candidates))
        lists.scores.extend(np.sort(generator.random(candidates))[::-1])
        vectors = generator.normal(size=(candidates, 4)).astype("<f4")
        lists.embeddings.add(dimension=4, float32=vectors.tobytes())
        for name, values in (("tone", ("light", "medium", "dark")), ("form", ("a", "b"))):
            codes = generator.integers(0, len(values) + 1, candidates)
            lists.attributes.add(name=name, dictionary=values, codes=codes.tolist())
        found.append(log.SerializeToString())
    return tuple(found)


def run(records: Sequence[bytes], entries: Sequence[Entry], *, more: Sequence[str] = (), size: int = 1_000) -> Results:
    """Records through the policies, in batches of `size`, read back as any comparison reads them."""
    policies = [entry.policy for entry in entries]
    plan = Plan(tuple(entries), Yardstick.of(policies, more))
    batches = [records_of(first, records[first : first + size]) for first in range(0, len(records), size)]
    timings: list[pa.RecordBatch] = []
    results = list(replay_batches(batches, plan, timed=lambda rows: timings.append(timings_of(rows))))
    return results_from(pa.Table.from_batches(results), pa.Table.from_batches(timings))


def policy(name: str, **blocks: object) -> Policy:
    """A policy of these blocks."""
    return Policy.from_dict({"name": name, **blocks})


def entry(name: str, **blocks: object) -> Entry:
    """The same under its own name."""
    return Entry(name, policy(name, **blocks))


RELEVANCE = {"strategy": "relevance", "diversity": 0.0}
TONES = {"tone": {"values": ["light", "medium", "dark"]}}
