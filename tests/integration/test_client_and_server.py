"""The client against a warm server: the server's own answers, and its refusals as exceptions or as fallbacks."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from reranker import Candidates, Context, Policy, rerank
from reranker.client import Client, ServerError, from_columns, request_context
from reranker.errors import InvalidInput, UnknownPolicy
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1.reranker_service_pb2 import PolicyOverrides

NUMBERS = np.random.default_rng(8)
IDS = [f"p{i}" for i in range(80)]
SCORES = NUMBERS.random(80)
VECTORS = NUMBERS.standard_normal((80, 12)).astype(np.float32)
TONES = [["dark", "mid", "light", None][i % 4] for i in range(80)]
CANDIDATES = from_columns(IDS, SCORES, VECTORS, {"tone": TONES})


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, deadline=10.0, metadata=[("x-tenant-id", "tests")]) as connected:
        yield connected


@pytest.fixture(scope="module")
def strict_client(server: Server) -> Iterator[Client]:
    with Client(server.address, deadline=10.0, on_error="raise") as connected:
        yield connected


def test_over_the_wire_positions_equal_the_call_in_process(client: Client) -> None:
    policy = Policy.from_toml('name = "mine"\n[objective]\nstrategy = "dpp"\ndiversity = 0.7')
    slate = client.rerank(CANDIDATES, 15, policy.to_proto(), explain=True, measures=True, request_id="r")
    expected = rerank(Candidates(IDS, SCORES, VECTORS, {"tone": TONES}), policy, 15)
    assert slate.positions.tolist() == expected.positions.tolist()
    assert slate.ids == expected.ids
    assert slate.gains == pytest.approx(expected.gains, rel=1e-6)
    assert (slate.status, slate.policy_name, slate.policy_revision) == ("SATISFIED", "mine", policy.revision)
    assert (slate.degraded, slate.error) == (None, None)
    assert slate.response is not None
    assert slate.response.request_id == "r"
    assert len(slate.response.explanations) == 15
    assert slate.response.HasField("measures")


def test_half_precision_loses_nothing_that_matters(client: Client) -> None:
    half = from_columns(IDS, SCORES, VECTORS.astype(np.float16), {"tone": TONES}, half_precision=True)
    exact = from_columns(IDS, SCORES, VECTORS.astype(np.float16), {"tone": TONES})
    assert client.rerank(half, 20, "tones").ids == client.rerank(exact, 20, "tones").ids


def test_overrides_reach_the_policy(client: Client) -> None:
    slate = client.rerank(CANDIDATES, 10, overrides=PolicyOverrides(diversity=0.0))
    assert slate.positions.tolist() == np.argsort(-SCORES, kind="stable")[:10].tolist()


def test_fixed_items_stand_in_their_slots_whoever_answers(server: Server, client: Client) -> None:
    context = request_context(fixed={2: "p7", 5: "p70"})
    with Client(server.address, deadline=10.0) as refused:
        for slate in (
            client.rerank(CANDIDATES, 8, "tones", context=context),
            refused.rerank(CANDIDATES, 8, "demanding", context=context),
        ):
            assert (slate.ids[1], slate.ids[4]) == ("p7", "p70")
            assert len(set(slate.ids)) == 8
        assert refused.rejections == {"FAILED_PRECONDITION": 1}
    assert slate.degraded == "CLIENT_FALLBACK"


def test_fixed_items_and_targets_reach_the_policy(client: Client) -> None:
    policy = Policy.from_dict({"quotas": [{"attribute": "tone", "target": "request", "tolerance": 0.1}]})
    words: dict[str, Any] = {"fixed": {3: "p3"}, "targets": {"tone": {"dark": 0.5, "light": 0.25}}}
    slate = client.rerank(CANDIDATES, 15, policy.to_proto(), context=request_context(**words))
    candidates = Candidates(IDS, SCORES, VECTORS, {"tone": TONES})
    expected = rerank(candidates, policy, 15, context=Context(**words))
    assert slate.positions.tobytes() == expected.positions.tobytes()
    assert slate.status == expected.report.status
    assert {outcome.status for outcome in expected.report.quotas} == {"MET"}


def test_pages_turn_and_narrow_through_the_client(client: Client) -> None:
    policy = Policy.from_dict({"name": "mine", "quotas": [{"attribute": "tone", "min_share": {"dark": 0.25}}]})
    candidates = Candidates(IDS, SCORES, VECTORS, {"tone": TONES})
    first = client.rerank(CANDIDATES, 10, policy.to_proto())
    words: dict[str, Any] = {"recent": IDS[:3], "refinement": {"tone": ["dark", "light"]}}
    second = client.rerank(CANDIDATES, 10, policy.to_proto(), context=request_context(cursor=first.cursor, **words))
    cursor = rerank(candidates, policy, 10).cursor
    expected = rerank(candidates, policy, 10, context=Context(cursor=cursor, **words))
    assert second.positions.tolist() == expected.positions.tolist()
    assert not set(first.ids) & set(second.ids)
    assert second.cursor
    assert client.rerank(CANDIDATES, 10, policy.to_proto(), omit_cursor=True).cursor == b""


def test_a_cursor_that_is_no_longer_good_is_named(client: Client, strict_client: Client) -> None:
    stale = request_context(cursor=b"stale")
    with pytest.raises(InvalidInput) as raised:
        strict_client.rerank(CANDIDATES, 5, context=stale)
    assert [violation.path for violation in raised.value.violations] == ["context.cursor"]
    slate = client.rerank(CANDIDATES, 5, context=stale)
    assert (slate.degraded, slate.cursor) == ("CLIENT_FALLBACK", b"")
    assert isinstance(slate.error, InvalidInput)


def test_refusals_become_the_exceptions_of_the_call_in_process(strict_client: Client) -> None:
    with pytest.raises(InvalidInput) as invalid:
        strict_client.rerank(CANDIDATES, -1)
    assert [violation.path for violation in invalid.value.violations] == ["slate_size"]
    with pytest.raises(UnknownPolicy) as unknown:
        strict_client.rerank(CANDIDATES, 10, "nobody")
    assert (unknown.value.name, unknown.value.known) == ("nobody", ("default", "demanding", "tones"))
    with pytest.raises(ServerError) as failed:
        strict_client.rerank(CANDIDATES, 10, "demanding")
    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUOTAS_INFEASIBLE")


def test_a_server_that_is_not_there_yet_is_asked_five_times() -> None:
    cold = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", grace=1.0))
    try:
        with Client(cold.address, deadline=10.0) as client:
            assert client.rerank(CANDIDATES, 5).degraded == "CLIENT_FALLBACK"
            assert client.fallbacks == {"UNAVAILABLE": 1}
        with urllib.request.urlopen(f"http://{cold.admin_address}/metrics", timeout=5) as page:
            counted = next(line for line in page.read().decode().splitlines() if 'grpc_code="Unavailable"' in line)
        assert counted.endswith(" 5.0")
    finally:
        cold.drain()


def test_refusals_fall_back_too_but_are_counted_apart_and_logged_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Client(server.address, deadline=10.0) as client:
        for _ in range(3):
            slate = client.rerank(CANDIDATES, 5, "nobody")
            assert slate.degraded == "CLIENT_FALLBACK"
            assert isinstance(slate.error, UnknownPolicy)
            assert slate.positions.tolist() == np.argsort(-SCORES, kind="stable")[:5].tolist()
        assert client.rejections == {"NOT_FOUND": 3}
        assert not client.fallbacks
    assert [record.name for record in caplog.records if record.name == "reranker.client"] == ["reranker.client"]
