"""The exposure ledger behind a real server."""

from __future__ import annotations

import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reranker import Policy
from reranker.client import Client, ServerError, from_columns, request_context
from reranker.errors import InvalidInput
from reranker.exposure.board import Board
from reranker.exposure.sqlite import FILE, SqliteLedger
from reranker.exposure.tally import Tally, TallyKey
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1.policy_pb2 import Policy as PolicyMessage
from reranker.v1.reranker_service_pb2 import RerankResponse
from tests.waiting import wait_for

IDS = [f"i{number}" for number in range(20)]
SCORES = np.linspace(2.0, 1.0, 20)
TONES = ["a"] * 15 + ["b"] * 5
POLICY = """
name = "steered"
[objective]
strategy = "relevance"
[[exposure]]
attribute = "tone"
target = { a = 0.5, b = 0.5 }
per = ["intent"]
half_life = "7d"
min_count = 5
[labels.tone]
values = ["a", "b"]
"""
KEY = TallyKey("search", "steered", "", "tone", (("intent", "beauty"),))


@contextmanager
def running(ledger: Path, policies: Path) -> Iterator[Server]:
    settings = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", policies=policies, grace=1.0, ledger=ledger)
    server = Server(settings)
    server.warm_up()
    try:
        yield server
    finally:
        server.drain()


@pytest.fixture
def steered(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "steered.toml").write_text(POLICY)
    (tmp_path / "ledger").mkdir()
    return folder


def ask(client: Client, request_id: str, policy: str | PolicyMessage = "steered", **context: object) -> RerankResponse:
    known = request_context(surface="search", intent="beauty", **context)  # type: ignore[arg-type]
    candidates = from_columns(IDS, SCORES, None, {"tone": TONES})
    slate = client.rerank(candidates, 5, policy, context=known, request_id=request_id)
    assert slate.response is not None
    return slate.response


def tally_in(folder: Path) -> Tally | None:
    ledger, board = SqliteLedger(folder), Board()
    board.refresh(ledger, 60.0)
    ledger.close()
    return board.tally(KEY, 604_800.0)


def test_slates_are_credited_reconciled_and_steer_the_next_ones(steered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"

    def requests() -> float:
        tally = tally_in(folder)
        return 0.0 if tally is None else tally.requests

    with running(folder, steered) as server, Client(server.address, deadline=20, on_error="raise") as client:
        first = ask(client, "r0")
        assert "quota on this slate" in " ".join(first.notes)  # nothing is known yet
        for number in range(1, 10):
            ask(client, f"r{number}")
        ask(client, "r9")  # once more
        ask(client, "private", refinement={"tone": ["a"]})
        ask(client, "own", Policy.from_toml(POLICY).to_proto())
        wait_for(lambda: requests() > 9.99)
        counts = client.record_impressions({"r1": [1], "r2": [], "private": [1], "own": [1]})
        assert (counts.recorded, counts.repeated_ids, counts.unknown_ids) == (2, 0, 2)
        assert client.record_impressions({"r1": [1, 2]}).repeated_ids == 1
        wait_for(lambda: bool(ask(client, "").exposure))
        with urllib.request.urlopen(f"http://{server.admin_address}/metrics", timeout=20) as page:
            metrics = page.read().decode()
    assert 'reranker_exposure_share{arm="",attribute="tone",policy="steered",value="a"}' in metrics
    assert "r9" not in metrics
    tally = tally_in(folder)
    assert tally is not None
    slots = sum(group.items for group in tally.groups.values())
    assert tally.requests > 10.9  # with those that had no id
    assert slots == pytest.approx(5 * tally.requests - 4 - 5, abs=0.01)
    with running(folder, steered) as server, Client(server.address, deadline=20, on_error="raise") as client:
        assert ask(client, "after the restart").exposure


def test_what_the_upstream_arm_gave_is_kept_beside_the_other_arm(steered: Path, tmp_path: Path) -> None:
    routes = '[[routes]]\nwhen = { surface = ["search"] }\nsalt = "s"\narms = { upstream = 0.5, steered = 0.5 }\n'
    (steered / "routes.toml").write_text(routes)
    with (
        running(tmp_path / "ledger", steered) as server,
        Client(server.address, deadline=20, on_error="raise") as client,
    ):
        arms = [ask(client, f"r{number}", "", unit=f"u{number}").arm for number in range(40)]
        refined = [ask(client, "", "", unit=f"u{number}", refinement={"tone": ["a"]}).arm for number in range(40)]
    assert {"upstream", "steered"} == set(arms) == set(refined)
    ledger, board = SqliteLedger(tmp_path / "ledger"), Board()
    board.refresh(ledger, 60.0)
    ledger.close()
    of = {arm: board.tally(replace(KEY, arm=arm), 604_800.0) for arm in ("upstream", "steered")}
    for arm, tally in of.items():
        assert tally is not None
        assert tally.requests == pytest.approx(arms.count(arm), abs=0.01)
    upstream, whole = of["upstream"], sum(1.0 / np.log2(slot + 1) for slot in range(1, 6))
    assert upstream is not None
    assert upstream.groups["a"].exposure == pytest.approx(whole * arms.count("upstream"), rel=1e-3)
    assert upstream.groups["b"].exposure == 0.0
    assert upstream.groups["b"].target == pytest.approx(0.5 * whole * arms.count("upstream"), rel=1e-3)


def test_what_waits_when_the_server_stops_is_written(steered: Path, tmp_path: Path) -> None:
    with (
        running(tmp_path / "ledger", steered) as server,
        Client(server.address, deadline=20, on_error="raise") as client,
    ):
        for number in range(25):
            ask(client, f"r{number}")
    tally = tally_in(tmp_path / "ledger")
    assert tally is not None
    assert tally.requests == pytest.approx(25.0, abs=0.01)


def test_impressions_of_unknown_requests_are_counted(server: Server) -> None:
    with Client(server.address, deadline=20) as client:
        assert client.record_impressions({"nobody asked this": [1], "nor this": []}).unknown_ids == 2


def test_bad_impressions_are_the_callers_mistake(server: Server) -> None:
    with (
        Client(server.address, deadline=20) as client,
        pytest.raises(InvalidInput, match=r"impressions\[0\].seen_slots"),
    ):
        client.record_impressions({"r": [0]})


def test_a_server_that_is_gone_is_an_error_whatever_slates_fall_back_to() -> None:
    with Client("127.0.0.1:1", deadline=5) as client, pytest.raises(ServerError):
        client.record_impressions({"r": [1]})


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
