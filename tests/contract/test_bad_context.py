"""Every kind of bad context gets its field path, and the server keeps serving."""

from __future__ import annotations

import random
from typing import Any

import grpc
import pytest

from reranker.v1 import candidates_pb2
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.contract.refusals import CODE, Spoil, assert_refused, refusal, sound_request


def recent(**columns: Any) -> Spoil:
    """Items y and z were shown recently, with these columns."""

    def spoil(request: messages.RerankRequest) -> None:
        given: dict[str, Any] = {"item_ids": ["y", "z"], **columns}
        request.context.recent.CopyFrom(candidates_pb2.CandidateList(**given))

    return spoil


BAD: dict[str, tuple[Spoil, str]] = {
    "numbers shown recently among texts": (recent(item_ids=[], item_numbers=[1]), "context.recent.item_numbers"),
    "shown recently under two forms of id": (recent(item_numbers=[1]), "context.recent"),
    "shown recently without a name": (recent(item_ids=["y", ""]), "context.recent.item_ids[1]"),
    "too many shown recently": (recent(item_ids=list(map(str, range(1001)))), "context.recent.item_ids"),
    "recent scores of others": (recent(scores=[1, 2, 3]), "context.recent.scores"),
    "a recent score that is none": (recent(scores=[1, float("nan")]), "context.recent.scores[1]"),
    "recent vectors of another length": (
        recent(embeddings=[{"dimension": 3, "int8": bytes(6)}]),
        "context.recent.embeddings[0].dimension",
    ),
    "recent vectors cut short": (
        recent(embeddings=[{"dimension": 2, "int8": bytes(3)}]),
        "context.recent.embeddings[0].int8",
    ),
    "recent code beyond": (
        recent(attributes=[{"name": "tone", "codes": [0, 1]}]),
        "context.recent.attributes[0].codes[1]",
    ),
    "recent columns of nobody": (
        recent(item_ids=[], embeddings=[{"dimension": 2, "int8": bytes(2)}]),
        "context.recent.embeddings[0].int8",
    ),
    "a cursor of nobody": (lambda r: setattr(r.context, "cursor", b"x"), "context.cursor"),
    "a huge cursor": (lambda r: setattr(r.context, "cursor", bytes(262_145)), "context.cursor"),
    "refined to nothing": (lambda r: r.context.refinement.add(attribute="tone"), "context.refinement[0].values"),
    "refined to an empty value": (
        lambda r: r.context.refinement.add(attribute="tone", values=["dark", ""]),
        "context.refinement[0].values[1]",
    ),
    "refined by nothing": (lambda r: r.context.refinement.add(values=["a"]), "context.refinement[0].attribute"),
    "refined twice": (
        lambda r: [r.context.refinement.add(attribute="tone", values=["dark"]) for _ in range(2)],
        "context.refinement[1].attribute",
    ),
    "refined by too many": (
        lambda r: [r.context.refinement.add(attribute=str(i), values=["a"]) for i in range(65)],
        "context.refinement",
    ),
    "fixed in slot 0": (lambda r: r.context.fixed.add(item_id="a"), "context.fixed[0].slot"),
    "fixed beyond the slate": (lambda r: r.context.fixed.add(slot=4, item_id="a"), "context.fixed[0].slot"),
    "slot fixed twice": (
        lambda r: [r.context.fixed.add(slot=1, item_id=item) for item in ("a", "b")],
        "context.fixed[1].slot",
    ),
    "item fixed twice": (
        lambda r: [r.context.fixed.add(slot=slot, item_id="a") for slot in (1, 2)],
        "context.fixed[1].item_id",
    ),
    "nobody fixed": (lambda r: r.context.fixed.add(slot=1), "context.fixed[0]"),
    "unknown item fixed": (lambda r: r.context.fixed.add(slot=1, item_id="z"), "context.fixed[0].item_id"),
    "long id fixed": (lambda r: r.context.fixed.add(slot=1, item_id="i" * 1025), "context.fixed[0].item_id"),
    "number fixed among texts": (
        lambda r: r.context.fixed.add(slot=1, item_number=1),
        "context.fixed[0].item_number",
    ),
    "many fixed items": (
        lambda r: [r.context.fixed.add(slot=i, item_id="a") for i in range(1001)],
        "context.fixed",
    ),
    "long surface": (lambda r: setattr(r.context, "surface", "s" * 1025), "context.surface"),
    "target above 1": (
        lambda r: r.context.targets.add(attribute="tone").shares.add(value="dark", share=1.5),
        "context.targets['tone']",
    ),
    "value with two targets": (
        lambda r: r.context.targets.add(attribute="tone", shares=[{"value": "dark"}] * 2),
        "context.targets[0].shares",
    ),
    "too many shares": (
        lambda r: r.context.targets.add(attribute="tone", shares=[{"value": str(i)} for i in range(65_537)]),
        "context.targets[0].shares",
    ),
    "target twice": (
        lambda r: [r.context.targets.add(attribute="tone") for _ in range(2)],
        "context.targets[1].attribute",
    ),
}


@pytest.mark.parametrize(("spoil", "field"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("without_profiling", [False, True])
def test_a_violation_is_named_by_its_field(
    channel: grpc.Channel, spoil: Spoil, field: str, without_profiling: bool
) -> None:
    def spoilt(request: messages.RerankRequest) -> None:
        request.context.without_profiling = without_profiling
        spoil(request)

    assert_refused(channel, spoilt, field)


def test_everything_wrong_with_a_context_comes_at_once(channel: grpc.Channel) -> None:
    request = sound_request()
    names = ["a huge cursor", "refined twice", "target twice", "nobody fixed", "long surface"]
    names.append("shown recently without a name")
    for name in names:
        BAD[name][0](request)
    assert set(refusal(channel, request)[2]) == {BAD[name][1] for name in names}


def test_garbage_in_a_context_never_breaks_the_server(channel: grpc.Channel) -> None:
    numbers, stub = random.Random(13), RerankerServiceStub(channel)
    first = sound_request()
    columns = {"embeddings": first.candidates.embeddings, "attributes": first.candidates.attributes}
    request = sound_request()
    recent(item_ids=["v", "w", "y", "z"], **columns)(request)
    request.context.refinement.add(attribute="tone", values=["dark", "light"])
    first.slate_size = 1
    request.context.cursor = stub.Rerank(first, timeout=10).cursor
    context = request.context.SerializeToString()
    assert stub.Rerank(request, timeout=10).positions
    codes = set()
    for _ in range(300):
        data = bytearray(context)
        for _ in range(numbers.randrange(1, 4)):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/reranker.v1.RerankerService/Rerank")
        size = bytes([len(data) & 127 | 128, len(data) >> 7])
        try:
            call(first.SerializeToString() + b"\x3a" + size + data, timeout=10)
        except grpc.RpcError as error:
            codes.add(error.code())
    assert codes == {CODE.INVALID_ARGUMENT}
    assert stub.Rerank(request, timeout=10).positions


def test_of_recently_shown_items_a_refusal_speaks_as_of_items(channel: grpc.Channel) -> None:
    request = sound_request()
    recent(scores=[1.0], item_ids=["y", "y"])(request)  # an item may have been shown twice
    assert refusal(channel, request)[2] == {"context.recent.scores": "must have one score per id: 2, has 1"}
