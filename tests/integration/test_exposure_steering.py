"""A real server steers by its own ledger: what it served comes back as prices on later requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reranker.client import Client, from_columns, request_context
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1.policy_pb2 import Policy as PolicyMessage
from reranker.v1.reranker_service_pb2 import RerankResponse

POLICY = """
name = "steered"
[objective]
strategy = "relevance"
[[exposure]]
attribute = "tone"
target = { a = 0.6, b = 0.4 }
min_count = 20
"""
SCORES = np.linspace(1.0, 0.5, 30)
TONES = ["b" if i % 6 == 5 else "a" for i in range(30)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "steered.toml").write_text(POLICY)
    (tmp_path / "ledger").mkdir()
    server = Server(
        Settings(listen="127.0.0.1:0", admin="", policies=tmp_path / "policies", grace=1.0, ledger=tmp_path / "ledger")
    )
    server.warm_up()
    yield server
    server.drain()


def ask(client: Client, request_id: str, policy: str | PolicyMessage = "steered", surface: str = "s") -> RerankResponse:
    listed = from_columns([f"i{i}" for i in range(30)], SCORES, None, {"tone": TONES})
    context = request_context(surface=surface)
    slate = client.rerank(listed, 10, policy, context=context, request_id=request_id, explain=True)
    assert slate.response is not None
    return slate.response


def test_what_was_served_steers_what_is_served(server: Server) -> None:
    with Client(server.address, deadline=30.0, on_error="raise") as client:
        first = ask(client, "r0")
        assert not first.exposure
        assert any("too little is known" in note for note in first.notes)
        assert [TONES[position] for position in first.positions].count("b") == 4  # least shares: 0.4 of ten
        end, number, answer = time.monotonic() + 60.0, 0, first
        while not answer.exposure and time.monotonic() < end:
            number += 1
            answer = ask(client, f"r{number}")
        by_value = {outcome.value: outcome for outcome in answer.exposure}
        assert set(by_value) == {"a", "b"}
        assert by_value["b"].given < by_value["b"].due == pytest.approx(0.4)  # floors round down
        assert by_value["b"].price > 0.0 > by_value["a"].price
        assert not answer.quotas
        assert "exposure of tone b" in by_value["b"].detail
        # Another surface is another stream, and a policy that came along has none.
        assert not ask(client, "other", surface="t").exposure
        along = PolicyMessage()
        along.CopyFrom(server._desk.book.get("steered").to_proto())
        assert not ask(client, "along", along).exposure
