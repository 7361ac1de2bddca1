"""The exposure ledger behind a real server."""

from __future__ import annotations

import tempfile
from pathlib import Path

import grpc
import pytest

from reranker.exposure.sqlite import FILE
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1.exposure_service_pb2 import RecordImpressionsRequest, RecordImpressionsResponse
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub


def report(channel: grpc.Channel, *request_ids: str) -> RecordImpressionsResponse:
    request = RecordImpressionsRequest()
    for request_id in request_ids:
        request.impressions.add(request_id=request_id, seen_slots=[1])
    answer: RecordImpressionsResponse = ExposureServiceStub(channel).RecordImpressions(request)
    return answer


def test_impressions_of_unknown_requests_are_counted(channel: grpc.Channel) -> None:
    assert report(channel, "nobody asked this", "nor this").unknown_ids == 2


def test_bad_impressions_are_the_callers_mistake(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        report(channel, "")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_ledger_that_nobody_asked_to_keep_ends_with_the_server(
    policies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = Server(Settings(listen="127.0.0.1:0", admin="", policies=policies, grace=1.0))
    assert [path.name for path in tmp_path.glob("reranker-ledger-*/*.sqlite")] == [FILE]
    server.drain()
    assert not list(tmp_path.iterdir())


def test_a_ledger_in_a_folder_stays(policies: Path, tmp_path: Path) -> None:
    server = Server(Settings(listen="127.0.0.1:0", admin="", policies=policies, grace=1.0, ledger=tmp_path))
    server.drain()
    assert (tmp_path / FILE).is_file()
