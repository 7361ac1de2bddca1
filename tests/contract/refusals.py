"""A sound request, ways to see how a spoilt one is refused."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

Spoil = Callable[[messages.RerankRequest], object]
CODE = grpc.StatusCode


def sound_request() -> messages.RerankRequest:
    request = messages.RerankRequest(request_id="r-1", slate_size=3)
    candidates = request.candidates
    candidates.item_ids.extend(["a", "b", "c", "d"])
    candidates.scores.extend([0.9, 0.8, 0.7, 0.6])
    candidates.embeddings.add(dimension=2, values=[1, 0, 0, 1, 1, 1, -1, 0])
    candidates.attributes.add(name="tone", dictionary=["dark", "light"], codes=[1, 2, 0, 1])
    candidates.attributes.add(name="genre", dictionary=["x", "y"], codes=[1, 2, 1], offsets=[0, 2, 2, 3, 3])
    candidates.attributes.add(name="gender", dictionary=["f", "m"], probabilities=[0.5, 0.5, 1, 0, 0, 0, 0.25, 0.25])
    candidates.attributes.add(name="size", numbers=[1, 2, 3, 4])
    return request


def details(error: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo, dict[str, str]]:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)
    assert status is not None, error
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info, {violation.field: violation.description for violation in bad.field_violations}


def refusal(channel: grpc.Channel, request: messages.RerankRequest) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as raised:
        RerankerServiceStub(channel).Rerank(request, timeout=10)
    info, fields = details(raised.value)
    assert info.domain == "reranker.v1"
    return raised.value.code(), info.reason, fields


def assert_refused(channel: grpc.Channel, spoil: Spoil, field: str) -> None:
    """The spoilt request names the field, and the server answers the next one."""
    request = sound_request()
    spoil(request)
    code, reason, fields = refusal(channel, request)
    assert (code, reason) == (CODE.INVALID_ARGUMENT, "INVALID_INPUT")
    assert field in fields, fields
    answer = RerankerServiceStub(channel).Rerank(sound_request(), timeout=10)
    assert len(answer.positions) == 3
