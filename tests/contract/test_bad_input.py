"""Every kind of bad request gets its code and its field paths, and the server keeps serving."""

from __future__ import annotations

import random

import grpc
import numpy as np
import pytest

from reranker.v1 import candidates_pb2
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.contract.refusals import CODE, Spoil, assert_refused, details, refusal, sound_request


def clear(request: messages.RerankRequest, *names: str) -> candidates_pb2.EmbeddingColumn:
    column = request.candidates.embeddings[0]
    for name in names or ("values",):
        column.ClearField(name)
    return column


def int8(request: messages.RerankRequest, scales: list[float], data: bytes = bytes(8)) -> None:
    column = clear(request)
    column.int8 = data
    column.int8_scales.extend(scales)


def replace(field: list[float], values: list[float]) -> None:
    del field[:]
    field.extend(values)


def huge(request: messages.RerankRequest) -> None:
    request.candidates.Clear()
    request.candidates.item_numbers.extend(range(10_001))


BAD: dict[str, tuple[Spoil, str]] = {
    "nan score": (lambda r: r.candidates.scores.__setitem__(1, np.nan), "candidates.scores[1]"),
    "infinite score": (lambda r: r.candidates.scores.__setitem__(3, -np.inf), "candidates.scores[3]"),
    "too few scores": (lambda r: r.candidates.scores.pop(), "candidates.scores"),
    "duplicate id": (lambda r: r.candidates.item_ids.__setitem__(2, "a"), "candidates.item_ids[2]"),
    "empty id": (lambda r: r.candidates.item_ids.__setitem__(2, ""), "candidates.item_ids[2]"),
    "long id": (lambda r: r.candidates.item_ids.__setitem__(2, "i" * 1025), "candidates.item_ids[2]"),
    "two forms of ids": (lambda r: r.candidates.item_numbers.append(1), "candidates"),
    "too many candidates": (huge, "candidates.item_numbers"),
    "nan embedding": (
        lambda r: r.candidates.embeddings[0].values.__setitem__(5, np.nan),
        "candidates.embeddings[0].values[5]",
    ),
    "infinite bytes": (
        lambda r: setattr(clear(r), "float32", np.full(8, np.inf, "<f4").tobytes()),
        "candidates.embeddings[0].float32",
    ),
    "infinite half": (
        lambda r: setattr(clear(r), "float16", np.full(8, np.nan, "<f2").tobytes()),
        "candidates.embeddings[0].float16",
    ),
    "infinite scale": (lambda r: int8(r, [1, 1, 1, np.inf], b"\x01" * 8), "candidates.embeddings[0].int8"),
    "too few scales": (lambda r: int8(r, [1]), "candidates.embeddings[0].int8_scales"),
    "short bytes": (lambda r: setattr(clear(r), "float32", bytes(31)), "candidates.embeddings[0].float32"),
    "short values": (lambda r: r.candidates.embeddings[0].values.pop(), "candidates.embeddings[0].values"),
    "no embedding form": (lambda r: clear(r), "candidates.embeddings[0]"),
    "two embedding forms": (
        lambda r: setattr(r.candidates.embeddings[0], "int8", bytes(8)),
        "candidates.embeddings[0]",
    ),
    "wrong dimension": (
        lambda r: setattr(r.candidates.embeddings[0], "dimension", 3),
        "candidates.embeddings[0].values",
    ),
    "no dimension": (lambda r: clear(r, "dimension"), "candidates.embeddings[0].dimension"),
    "huge dimension": (
        lambda r: setattr(r.candidates.embeddings[0], "dimension", 5000),
        "candidates.embeddings[0].dimension",
    ),
    "missing row beyond": (
        lambda r: r.candidates.embeddings[0].missing_rows.append(4),
        "candidates.embeddings[0].missing_rows[0]",
    ),
    "one name twice": (
        lambda r: r.candidates.embeddings.add(dimension=1, int8=bytes(4)),
        "candidates.embeddings[1].name",
    ),
    "many embeddings": (
        lambda r: [r.candidates.embeddings.add(name=str(i), dimension=1, int8=bytes(4)) for i in range(8)],
        "candidates.embeddings",
    ),
    "code beyond": (lambda r: r.candidates.attributes[0].codes.__setitem__(3, 3), "candidates.attributes[0].codes[3]"),
    "code far beyond": (
        lambda r: r.candidates.attributes[0].codes.__setitem__(3, 2**32 - 1),
        "candidates.attributes[0].codes[3]",
    ),
    "too few codes": (lambda r: r.candidates.attributes[0].codes.pop(), "candidates.attributes[0].codes"),
    "code 0 in a list": (
        lambda r: r.candidates.attributes[1].codes.__setitem__(2, 0),
        "candidates.attributes[1].codes[2]",
    ),
    "one value twice": (
        lambda r: r.candidates.attributes[1].codes.__setitem__(1, 1),
        "candidates.attributes[1].codes[1]",
    ),
    "falling offsets": (
        lambda r: r.candidates.attributes[1].offsets.__setitem__(2, 1),
        "candidates.attributes[1].offsets[2]",
    ),
    "offset not at 0": (
        lambda r: r.candidates.attributes[1].offsets.__setitem__(0, 1),
        "candidates.attributes[1].offsets[0]",
    ),
    "offsets beyond": (
        lambda r: r.candidates.attributes[1].offsets.__setitem__(4, 2**32 - 1),
        "candidates.attributes[1].offsets[4]",
    ),
    "too few offsets": (lambda r: r.candidates.attributes[1].offsets.pop(), "candidates.attributes[1].offsets"),
    "probability above 1": (
        lambda r: r.candidates.attributes[2].probabilities.__setitem__(2, 1.5),
        "candidates.attributes[2].probabilities[1]",
    ),
    "nan probability": (
        lambda r: r.candidates.attributes[2].probabilities.__setitem__(7, np.nan),
        "candidates.attributes[2].probabilities[3]",
    ),
    "row above 1": (
        lambda r: r.candidates.attributes[2].probabilities.__setitem__(3, 0.5),
        "candidates.attributes[2].probabilities[1]",
    ),
    "too few probabilities": (
        lambda r: r.candidates.attributes[2].probabilities.pop(),
        "candidates.attributes[2].probabilities",
    ),
    "no labels": (lambda r: r.candidates.attributes[2].ClearField("dictionary"), "candidates.attributes[2].dictionary"),
    "nan number": (
        lambda r: r.candidates.attributes[3].numbers.__setitem__(0, np.nan),
        "candidates.attributes[3].numbers[0]",
    ),
    "too few numbers": (lambda r: r.candidates.attributes[3].numbers.pop(), "candidates.attributes[3].numbers"),
    "two attribute forms": (lambda r: r.candidates.attributes[3].codes.append(1), "candidates.attributes[3]"),
    "no attribute form": (lambda r: r.candidates.attributes.add(name="new"), "candidates.attributes[4]"),
    "nameless attribute": (lambda r: r.candidates.attributes[0].ClearField("name"), "candidates.attributes[0].name"),
    "attribute twice": (
        lambda r: setattr(r.candidates.attributes[1], "name", "tone"),
        "candidates.attributes[1].name",
    ),
    "value twice": (
        lambda r: r.candidates.attributes[0].dictionary.__setitem__(1, "dark"),
        "candidates.attributes[0].dictionary[1]",
    ),
    "empty value": (
        lambda r: r.candidates.attributes[0].dictionary.__setitem__(1, ""),
        "candidates.attributes[0].dictionary[1]",
    ),
    "many attributes": (
        lambda r: [r.candidates.attributes.add(name=str(i), numbers=[1, 2, 3, 4]) for i in range(61)],
        "candidates.attributes",
    ),
    "negative slate size": (lambda r: setattr(r, "slate_size", -1), "slate_size"),
    "huge slate size": (lambda r: setattr(r, "slate_size", 2**31 - 1), "slate_size"),
    "long request id": (lambda r: setattr(r, "request_id", "r" * 2000), "request_id"),
    "diversity above 1": (lambda r: setattr(r.overrides, "diversity", 1.5), "overrides.diversity"),
    "nan diversity": (lambda r: setattr(r.overrides, "diversity", np.nan), "overrides.diversity"),
    "relevance floor": (lambda r: setattr(r.overrides, "relevance_floor", 1.5), "overrides.relevance_floor"),
    "bad inline policy": (
        lambda r: setattr(r.inline_policy.objective, "diversity", 7),
        "inline_policy.objective.diversity",
    ),
    "later word": (lambda r: setattr(r.inline_policy.labels, "confidence", 0.8), "inline_policy.labels.confidence"),
    "unknown strategy": (
        lambda r: r.inline_policy.MergeFromString(b"\x1a\x02\x08\x63"),  # objective.strategy = 99
        "inline_policy.objective.strategy",
    ),
    "huge inline policy": (lambda r: setattr(r.inline_policy, "name", "n" * 70_000), "inline_policy"),
}


@pytest.mark.parametrize(("spoil", "field"), BAD.values(), ids=BAD.keys())
def test_a_violation_is_named_by_its_field(channel: grpc.Channel, spoil: Spoil, field: str) -> None:
    assert_refused(channel, spoil, field)


def test_all_violations_come_at_once(channel: grpc.Channel) -> None:
    request = sound_request()
    for name in ("nan score", "duplicate id", "nan embedding", "code beyond", "nan number", "negative slate size"):
        BAD[name][0](request)
    request.policy_name = "nobody"
    _, _, fields = refusal(channel, request)
    expected = {BAD[name][1] for name in ("nan score", "duplicate id", "nan embedding", "code beyond", "nan number")}
    assert set(fields) == expected | {"slate_size"}


def test_limits_are_stated(channel: grpc.Channel) -> None:
    request = sound_request()
    request.slate_size = 4_000
    huge_list = sound_request()
    huge(huge_list)
    assert "1000" in refusal(channel, request)[2]["slate_size"]
    assert "10000" in refusal(channel, huge_list)[2]["candidates.item_numbers"]


def test_violations_beyond_the_trailers_are_counted(channel: grpc.Channel) -> None:
    request = messages.RerankRequest(slate_size=3)
    request.candidates.item_ids.extend(str(i) for i in range(300))
    request.candidates.scores.extend([np.nan] * 300)
    for i in range(30):
        request.candidates.attributes.add(name=f"{'long name ' * 20}{i}", dictionary=["a"], codes=[2] * 300)
    code, _, fields = refusal(channel, request)
    assert code == CODE.INVALID_ARGUMENT
    assert "candidates.scores[0]" in fields
    assert "more violations are not listed" in fields["*"]


@pytest.mark.parametrize("name", ["nobody", "nobody" * 500, "n\x00bödy"])
def test_an_unknown_policy_is_not_found(channel: grpc.Channel, name: str) -> None:
    request = sound_request()
    request.policy_name = name
    code, reason, _ = refusal(channel, request)
    assert (code, reason) == (CODE.NOT_FOUND, "UNKNOWN_POLICY")


def test_a_failing_policy_is_a_failed_precondition(channel: grpc.Channel) -> None:
    request = sound_request()
    request.policy_name = "demanding"
    code, reason, _ = refusal(channel, request)
    assert (code, reason) == (CODE.FAILED_PRECONDITION, "QUOTAS_INFEASIBLE")


@pytest.mark.parametrize("method", ["Rerank", "ValidatePolicy", "GetPolicy", "ListPolicies"])
def test_garbage_bytes_are_an_invalid_argument(channel: grpc.Channel, method: str) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/reranker.v1.RerankerService/{method}")
    garbage = [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", random.Random(7).randbytes(1_000_000)]
    for data in garbage:
        with pytest.raises(grpc.RpcError) as raised:
            call(data, timeout=10)
        info, fields = details(raised.value)
        assert raised.value.code() == CODE.INVALID_ARGUMENT
        assert info.reason == "UNPARSABLE_MESSAGE"
        assert "request" in fields
    assert RerankerServiceStub(channel).Rerank(sound_request(), timeout=10).positions


def test_text_that_is_not_utf8_is_an_invalid_argument(channel: grpc.Channel) -> None:
    data = sound_request().SerializeToString().replace(b"r-1", b"\xff\xfe\xfd")
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/reranker.v1.RerankerService/Rerank")
    with pytest.raises(grpc.RpcError) as raised:
        call(data, timeout=10)
    assert raised.value.code() == CODE.INVALID_ARGUMENT


def test_many_small_garbage_messages_never_break_the_server(channel: grpc.Channel) -> None:
    numbers = random.Random(11)
    sound = sound_request().SerializeToString()
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/reranker.v1.RerankerService/Rerank")
    codes = set()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(numbers.randrange(1, 6)):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        try:
            call(bytes(data), timeout=10)
        except grpc.RpcError as error:
            codes.add(error.code())
    assert codes == {CODE.INVALID_ARGUMENT}  # never INTERNAL, never UNKNOWN
    assert RerankerServiceStub(channel).Rerank(sound_request(), timeout=10).positions


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_an_oversized_message_is_resource_exhausted(channel: grpc.Channel, compression: grpc.Compression) -> None:
    request = sound_request()
    request.candidates.embeddings[0].float32 = bytes(9 << 20)
    with pytest.raises(grpc.RpcError) as raised:
        RerankerServiceStub(channel).Rerank(request, timeout=10, compression=compression)
    assert raised.value.code() == CODE.RESOURCE_EXHAUSTED
    assert RerankerServiceStub(channel).Rerank(sound_request(), timeout=10).positions


def test_methods_that_nobody_serves_are_unimplemented(channel: grpc.Channel) -> None:
    for method in ("SignalService/Nothing", "ExposureService/Nothing", "RerankerService/Nothing", "Nothing/Rerank"):
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/reranker.v1.{method}")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"", timeout=10)
        assert raised.value.code() == CODE.UNIMPLEMENTED
