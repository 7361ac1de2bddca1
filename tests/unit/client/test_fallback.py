"""The upstream order, made without a server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from reranker.client import Client, ServerError, from_columns
from reranker.client.slate import upstream
from reranker.v1.candidates_pb2 import CandidateList


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, and nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_the_upstream_order_is_by_score_then_position() -> None:
    candidates = from_columns(["a", "b", "c", "d"], [0.5, 0.9, 0.5, 0.9])
    assert upstream(candidates, 3, OSError()).ids == ["b", "d", "a"]
    assert upstream(candidates, 99, OSError()).positions.tolist() == [1, 3, 0, 2]
    assert len(upstream(candidates, -1, OSError())) == 0


def test_bad_scores_come_last() -> None:
    candidates = CandidateList(item_numbers=[1, 2, 3, 4], scores=[np.nan, 0.5, np.inf])
    assert upstream(candidates, 4, OSError()).ids == [3, 2, 1, 4]


def test_no_server_means_the_upstream_order_flagged_and_counted(nobody: str) -> None:
    candidates = from_columns([10, 20, 30], [0.1, 0.3, 0.2])
    with Client(nobody, deadline=5.0) as client:
        slates = [client.rerank(candidates, 2) for _ in range(3)]
        assert client.fallbacks == {"UNAVAILABLE": 3}
        assert not client.rejections
    for slate in slates:
        assert slate.ids == [20, 30]
        assert slate.degraded == "CLIENT_FALLBACK"
        assert (slate.status, slate.policy_name, slate.response) == (None, "", None)
        assert isinstance(slate.error, ServerError)
        assert slate.error.code is grpc.StatusCode.UNAVAILABLE


def test_raise_raises(nobody: str) -> None:
    with Client(nobody, deadline=5.0, on_error="raise") as client, pytest.raises(ServerError, match="UNAVAILABLE"):
        client.rerank(from_columns(["a"], [1]), 1)


def test_a_client_that_waits_in_vain_says_so(nobody: str) -> None:
    with Client(nobody) as client:
        assert not client.wait_until_ready(0.2)


def test_bad_settings_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for arguments in ({"on_error": "ignore"}, {"deadline": 0.0}):
            with pytest.raises(ValueError, match="must be"):
                Client("127.0.0.1:1", **arguments)
