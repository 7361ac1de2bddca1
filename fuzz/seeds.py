"""Sound requests to begin with: between them every field, every strategy, every form of column, every kind of quota."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message

from examples.catalog import Corpus
from examples.server_process import ROOT
from reranker.policy import Policy
from reranker.v1.candidates_pb2 import CandidateList, CatalogReference
from reranker.v1.context_pb2 import Context
from reranker.v1.exposure_service_pb2 import RecordImpressionsRequest
from reranker.v1.reranker_service_pb2 import (
    GetPolicyRequest,
    ListPoliciesRequest,
    RerankRequest,
    RerankStreamRequest,
    ValidatePolicyRequest,
)
from reranker.v1.signal_service_pb2 import DeleteRequest, GetRequest, PutRequest

POLICIES = ROOT / "policies"
REQUESTS: Mapping[str, type[Message]] = {
    "/reranker.v1.RerankerService/Rerank": RerankRequest,
    "/reranker.v1.RerankerService/RerankStream": RerankStreamRequest,
    "/reranker.v1.RerankerService/ValidatePolicy": ValidatePolicyRequest,
    "/reranker.v1.RerankerService/GetPolicy": GetPolicyRequest,
    "/reranker.v1.RerankerService/ListPolicies": ListPoliciesRequest,
    "/reranker.v1.SignalService/Put": PutRequest,
    "/reranker.v1.SignalService/Get": GetRequest,
    "/reranker.v1.SignalService/Delete": DeleteRequest,
    "/reranker.v1.ExposureService/RecordImpressions": RecordImpressionsRequest,
}
"""Every method by its full name, and what it takes."""

STORED = tuple(f"item-{n}" for n in range(40))
"""Items that servers under test have by reference."""
DIMENSION = 6

_COUNT, _SLOTS = 14, 6
_OBJECTIVES: Sequence[Mapping[str, Any]] = (
    {"strategy": "relevance"},
    {"strategy": "mmr", "diversity": 0.7, "window": 3},
    {"strategy": "msd", "relevance_floor": 0.9},
    {"strategy": "dpp", "candidate_window": 8, "score_normalisation": "rank"},
    {"strategy": "dpp", "sample": True, "similarity": "cosine"},
    {"strategy": "ssd", "window": 4, "score_normalisation": "minmax"},
    {"strategy": "cover", "score_zero": -1.0},
    {"strategy": "xquad"},
    {"strategy": "pm2"},
    {"strategy": "dum"},
    {"strategy": "calibrated"},
    {"strategy": "round_robin"},
)
_QUOTAS: Sequence[Mapping[str, Any]] = (
    {"attribute": "tone", "min_share": {"dark": 0.3, "mid": "1/5"}, "max_share": {"light": 0.6}, "weight": 2.0},
    {"attribute": "genre", "min_count": {"noir": 1}, "max_count": {"crime": 2}, "within": 5},
    {"attribute": "tone", "target": "request", "tolerance": 0.1, "min_coverage": 0.2},
    {"attribute": "tone", "target": {"dark": 0.5, "light": 0.5}, "soft": True},
    {"attribute": "genre", "at_least_one_of_each": True, "values": ["noir", "comedy"], "within": 5},
    {"attribute": "creator", "max_per_value": 1, "window": 3},
    {"max_similarity": 0.95, "window": 4},
    {"where": {"tone": ["dark"], "genre": ["noir"]}, "min_share": 0.1},
    {"attribute": "tone", "target": "pool", "tolerance": 0.2},
)
_REST: Sequence[Mapping[str, Any]] = (
    {"guard": {"min_score": 0.1, "min_share_of_best": 0.2, "where": {"tone": ["dark", "mid"]}}},
    {"placement": {"keep_top": 1, "max_fall": 3}, "on_infeasible": {"mode": "strict"}},
    {"similarity_signals": [{"signal": "text", "weight": 2.0}, {"attribute": "genre", "kind": "jaccard"}]},
    {"spacings": [{"attribute": "genre", "penalty": 0.2, "window": 3}], "on_infeasible": {"mode": "fail"}},
    {"decays": [{"attribute": "creator", "factor": 0.5, "floor": 0.2}]},
    {"labels": {"count": "hard", "threshold": 0.4, "tone": {"values": ["dark", "mid", "light"], "sensitive": True}}},
    {"signals": {"unknown_id": "keep_in_place", "missing_embedding": "reject"}, "refinement": {"mode": "boost"}},
    {"exposure": [{"attribute": "tone", "target": "pool", "half_life": "24h", "per": ["surface"]}]},
)


def seeds() -> dict[str, list[bytes]]:
    """Requests as bytes, by their method."""
    reranks = [*_reranks()]
    policies = [Policy.from_toml(path) for path in _policy_files()]
    ids = list(STORED[:3])
    found: dict[str, list[Message]] = {
        "Rerank": [*reranks],
        "RerankStream": [RerankStreamRequest(request=request) for request in reranks],
        "ValidatePolicy": [
            *(ValidatePolicyRequest(toml=path.read_text()) for path in _policy_files()),
            *(ValidatePolicyRequest(policy=policy.to_proto()) for policy in policies),
        ],
        "GetPolicy": [GetPolicyRequest(name=policy.name) for policy in policies],
        "ListPolicies": [ListPoliciesRequest()],
        "Put": [PutRequest(items=items(form)) for form in _FORMS],
        "Get": [GetRequest(item_ids=[*ids, "nobody"]), GetRequest(item_numbers=[7])],
        "Delete": [DeleteRequest(item_ids=["item-39"]), DeleteRequest(item_numbers=[7])],
        "RecordImpressions": [_impressions()],
    }
    return {method: [_bytes(one) for one in found[method.rpartition("/")[2]]] for method in REQUESTS}


_FORMS = ("float32", "float16", "int8", "values")


def items(form: str, count: int = len(STORED)) -> CandidateList:
    """The items that are there by reference, their vectors in one of the wire's forms."""
    made = _candidates(np.random.default_rng(11), form, count)
    del made.item_ids[:], made.scores[:]
    made.item_ids.extend(STORED[:count])
    return made


def _policy_files() -> list[Path]:
    return [path for path in sorted(POLICIES.glob("*.toml")) if path.name != "routes.toml"]


def _reranks() -> Iterator[RerankRequest]:
    rng = np.random.default_rng(7)
    for number, objective in enumerate(_OBJECTIVES):
        for step in range(3):
            turn = 3 * number + step
            yield _full(rng, turn, {"objective": objective, **_quotas(turn, step), **_REST[turn % len(_REST)]})
    for number, path in enumerate(_policy_files()):
        request = _full(rng, number, {})
        request.policy_name = Policy.from_toml(path).name
        yield request
    yield RerankRequest(candidates=CandidateList(item_numbers=[3, 1, 2**63], scores=[3, 2, 1]))
    yield RerankRequest()
    yield _by_reference()
    yield from _recorded()


def _quotas(turn: int, count: int) -> dict[str, Any]:
    chosen = [dict(_QUOTAS[(turn + other) % len(_QUOTAS)]) for other in range(count)]
    if turn % 3 == 1:
        chosen = [{**one, "soft": False} if "soft" in one else one for one in chosen]
    return {"quotas": chosen} if chosen else {}


def _full(rng: np.random.Generator, turn: int, words: Mapping[str, Any]) -> RerankRequest:
    """A request with a policy of its own, and with every other field now and then."""
    strategy = words.get("objective", {}).get("strategy")
    extra = {"calibration": {"attribute": "genre", "target": "request"}} if strategy == "calibrated" else {}
    request = RerankRequest(
        request_id=f"seed-{turn}",
        candidates=_candidates(rng, _FORMS[turn % len(_FORMS)], _COUNT),
        slate_size=_SLOTS,
        context=_context(rng, turn),
        return_ids=turn % 2 == 0,
        explain=turn % 3 == 0,
        measures=turn % 3 == 1,
        omit_cursor=turn % 4 == 3,
    )
    if words:
        policy = Policy.from_dict({"name": "own", **words, **extra})
        request.inline_policy.CopyFrom(policy.to_proto())
    if turn % 5 == 0:
        request.overrides.diversity = 0.3
        request.overrides.seed = turn
    return request


def _candidates(rng: np.random.Generator, form: str, count: int) -> CandidateList:
    found = CandidateList(item_ids=[f"p{n}" for n in range(count)], scores=np.sort(rng.random(count))[::-1].tolist())
    vectors = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    column = found.embeddings.add(dimension=DIMENSION)
    if form == "values":
        column.values.extend(vectors.ravel().tolist())
    elif form == "int8":
        column.int8 = (vectors * 40).clip(-127, 127).astype(np.int8).tobytes()
        column.int8_scales.extend([0.025] * count)
    else:
        setattr(column, form, vectors.astype("<f4" if form == "float32" else "<f2").tobytes())
    if form != "values":
        column.missing_rows.append(count - 1)
    found.embeddings.add(name="text", dimension=2, values=rng.standard_normal(2 * count).round(3).tolist())
    tones, makers = rng.integers(0, 4, count), rng.integers(1, 4, count)
    found.attributes.add(name="tone", dictionary=["dark", "mid", "light"], codes=tones.tolist())
    found.attributes.add(name="creator", dictionary=["ann", "bob", "eve"], codes=makers.tolist())
    several = [sorted(rng.choice(3, rng.integers(0, 3), replace=False) + 1) for _ in range(count)]
    codes = [int(code) for one in several for code in one]
    offsets = np.cumsum([0, *map(len, several)]).tolist()
    found.attributes.add(name="genre", dictionary=["noir", "crime", "comedy"], codes=codes, offsets=offsets)
    shares = np.round(rng.dirichlet([1, 1], count), 3) * 0.999
    found.attributes.add(name="gender", dictionary=["f", "m"], probabilities=shares.ravel().tolist())
    found.attributes.add(name="size", numbers=rng.normal(size=count).tolist())
    return found


def _context(rng: np.random.Generator, turn: int) -> Context:
    context = Context(surface="search", language="en", country="GB", intent="beauty", unit=f"u{turn}")
    shares = context.targets.add(attribute="tone").shares
    shares.add(value="dark", share=0.5)
    shares.add(value="light", share=0.5)
    genres = context.targets.add(attribute="genre").shares
    for value in ("noir", "crime", "comedy"):
        genres.add(value=value, share=1 / 3)
    if turn % 4 == 1:
        context.recent.CopyFrom(_candidates(rng, "float32", 3))
    if turn % 6 == 2:
        context.fixed.add(slot=2, item_id="p9")
    if turn % 7 == 3:
        context.refinement.add(attribute="tone", values=["dark", "mid"])
    context.without_profiling = turn % 9 == 4
    if turn % 5 == 1:
        context.seed = turn
    return context


def _by_reference() -> RerankRequest:
    ids = [*STORED[:12], "nobody"]
    candidates = CandidateList(item_ids=ids, scores=[float(len(ids) - n) for n in range(len(ids))])
    candidates.catalog.CopyFrom(CatalogReference(embeddings=[""], attributes=["tone", "genre"]))
    return RerankRequest(candidates=candidates, slate_size=5, policy_name="default", explain=True)


def _recorded() -> Iterator[RerankRequest]:
    """Real requests, shortened."""
    for name in ("shades", "books", "occupations"):
        corpus = Corpus(name)
        record = next(iter(corpus.records()))
        full = corpus.joined(_head(record.request, 10), *corpus.attributes)
        full.slate_size = 5
        yield full


def _head(request: RerankRequest, count: int) -> RerankRequest:
    short = RerankRequest()
    short.CopyFrom(request)
    del short.candidates.item_ids[count:], short.candidates.scores[count:]
    return short


def _impressions() -> RecordImpressionsRequest:
    request = RecordImpressionsRequest()
    for number in range(3):
        seen = request.impressions.add(request_id=f"seed-{number}", seen_slots=[1, 2, 3])
        seen.time.seconds = math.floor(1.8e9)
    return request


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
