"""The server's own code in this process, from bytes to bytes: parsing, codec, policies, engine, answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message

from fuzz.seeds import DIMENSION, POLICIES, REQUESTS, STORED
from reranker.codec import decode_request
from reranker.codec.limits import Limits
from reranker.engine.seal import Seals
from reranker.errors import InvalidInput, Violation
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.policy.folder import Folder
from reranker.policy.snapshots import PolicyBook
from reranker.service.errors import failure_of, message_of, status_of
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import RerankerServicer
from reranker.service.signals import SignalServicer
from reranker.service.wire import Call, parse, request_id
from reranker.signals import Shelf
from reranker.signals.build import build_catalog
from reranker.signals.sources.jsonl import read_jsonl
from reranker.signals.sources.names import Names
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

KEY = b"cursors of a corpus that is kept"
"""The key of cursors, so that those in the corpus open in every run."""
CODEC = "codec"
"""A target that is no method: a rerank request is decoded, its policy found or made, and no slate."""
TARGETS: Mapping[str, str] = {
    CODEC: "/reranker.v1.RerankerService/Rerank",
    "Rerank": "/reranker.v1.RerankerService/Rerank",
    "ValidatePolicy": "/reranker.v1.RerankerService/ValidatePolicy",
    "Get": "/reranker.v1.SignalService/Get",
}
"""What needs neither a store nor a disk, and the method whose requests it takes."""

_TRAILERS = 8_192  # bytes of them that peers accept by default


class Defect(Exception):
    """The server did what it must never do; the text says what."""


class House:
    """Answers bytes with the name of a status code; `folder` is for the item catalog.

    Raises `Defect` for an answer that is none, and whatever nobody foresaw as it is.
    """

    def __init__(self, folder: Path) -> None:
        shelf = Shelf(_catalog(folder))
        book, limits = PolicyBook.of(Folder.read(POLICIES)), Limits()
        desk, observer = PolicyDesk(book, limits), Observer(Metrics())
        rerank = RerankerServicer(desk, limits, observer, Seals(KEY), shelf)
        self._answers: Mapping[str, Callable[[Any, Call], Message]] = {
            CODEC: partial(_decode, desk, limits, shelf),
            "Rerank": rerank.rerank,
            "ValidatePolicy": rerank.validate_policy,
            "Get": SignalServicer(limits, shelf, None, writes=False).get,
        }

    def answer(self, target: str, data: bytes) -> str:
        """What becomes of a request."""
        request: Message | None = None
        try:
            request = parse(REQUESTS[TARGETS[target]], data)
            response = self._answers[target](request, Call(perf_counter(), size=len(data)))
        except Exception as error:
            failure = failure_of(error)
            if failure.code is grpc.StatusCode.INTERNAL:
                raise
            status = status_of(failure, request_id(request))
            if 4 * status.ByteSize() / 3 + len(status.message) > _TRAILERS:
                raise Defect(f"a status of {status.ByteSize()} bytes fits into no trailers") from error
            message_of(failure).SerializeToString()
            return failure.code.name
        response.SerializeToString()
        if target == "Rerank":
            assert isinstance(request, RerankRequest)
            assert isinstance(response, RerankResponse)
            check(request, response)
        return "OK"


def _decode(desk: PolicyDesk, limits: Limits, shelf: Shelf, request: RerankRequest, _: Call) -> Message:
    """What comes before the engine; the answer is empty."""
    found: list[Violation] = []
    decode_request(request, limits, found, shelf.catalog)
    try:
        desk.choice_of(request)
    except InvalidInput as error:
        found += error.violations
    if found:
        raise InvalidInput(found)
    return RerankResponse()


def check(request: RerankRequest, response: RerankResponse) -> None:
    """Raises `Defect` for a slate that cannot be one."""
    count = max(len(request.candidates.item_ids), len(request.candidates.item_numbers))
    slots = response.positions
    if len(set(slots)) < len(slots) or any(slot >= count for slot in slots):
        raise Defect("positions that are twice in the slate, or no candidate's")
    if len(slots) > request.slate_size:
        raise Defect(f"{len(slots)} slots, where {request.slate_size} were asked for")
    if len(response.gains) != len(slots) or not np.isfinite(response.gains).all():
        raise Defect("gains that are not one finite number a slot")


def _catalog(folder: Path) -> Path:
    """The folder of a catalog that has the items which are there by reference."""
    rng = np.random.default_rng(11)
    lines = []
    for number, item in enumerate(STORED):
        genres = (["noir"], [], ["crime", "noir"])[number % 3]
        row: dict[str, object] = {"id": item, "tone": ("dark", "mid", "light")[number % 3], "genre": genres}
        if number % 5:
            row["embedding"] = rng.standard_normal(DIMENSION).round(3).tolist()
        lines.append(json.dumps(row))
    build_catalog(folder, read_jsonl(BytesIO("\n".join(lines).encode()), "items.jsonl", Names()))
    return folder
