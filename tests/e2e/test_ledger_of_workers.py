"""One exposure ledger for the workers of a server, and one for servers with a store, whatever is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtest.servers.valkey import running_valkey
from reranker.client import Client, ServerError, from_columns, request_context
from reranker.exposure.board import Board
from reranker.exposure.ledger import Ledger
from reranker.exposure.redis import RedisLedger
from reranker.exposure.sqlite import FILE, SqliteLedger
from reranker.store import StoreAddress
from reranker.store.store import Store
from tests.e2e.test_workers import IMPATIENT, Service
from tests.waiting import wait_for

POLICY = """
name = "steered"
[objective]
strategy = "relevance"
[[exposure]]
attribute = "tone"
target = { a = 0.5, b = 0.5 }
half_life = "7d"
"""
OWN_CONNECTION = {"grpc.use_local_subchannel_pool": 1}  # or all clients would meet one worker
CANDIDATES = from_columns([f"i{n}" for n in range(10)], np.linspace(2.0, 1.0, 10), None, {"tone": ["a", "b"] * 5})


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "steered.toml").write_text(POLICY)
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def ask(address: str, *request_ids: str) -> None:
    """Each over a connection of its own, so that every worker gets some."""
    for request_id in request_ids:
        with Client(address, deadline=60, on_error="raise", options=OWN_CONNECTION) as client:
            known = request_context(surface="search")
            slate = client.rerank(CANDIDATES, 3, "steered", context=known, request_id=request_id)
            assert slate.response is not None


def report(address: str, *request_ids: str) -> int:
    """How many of them the ledger knew, each reported over a connection of its own."""
    recorded = 0
    for request_id in request_ids:
        with Client(address, deadline=60, options=OWN_CONNECTION) as client:
            recorded += client.record_impressions({request_id: [1]}).recorded
    return recorded


def items_in(ledger: Ledger) -> tuple[float, float]:
    """Requests and items."""
    board = Board()
    board.refresh(ledger, 60.0)
    tallies = [tally for stream in board.streams if (tally := board.of(stream)) is not None]
    items = sum(group.items for tally in tallies for group in tally.groups.values())
    return sum(tally.requests for tally in tallies), items


@pytest.fixture
def names() -> list[str]:
    return [f"request {number}" for number in range(16)]


def test_workers_share_a_ledger_that_ends_with_the_supervisor(
    policies: Path, temporary: Path, names: list[str]
) -> None:
    service = Service("--workers", "2", "--policies", str(policies), start=IMPATIENT, TMPDIR=str(temporary))
    try:
        wait_for(service.all_serve)
        ask(service.address, *names)
        wait_for(lambda: sum(service.metric("reranker_exposure_slates_total").values()) == len(names))
        assert len([count for count in service.metric("reranker_slates_total").values() if count]) == 2
        service.kill_worker(0)
        assert report(service.address, *names) == len(names)
        (file,) = temporary.glob(f"reranker-ledger-*/{FILE}")
        ledger = SqliteLedger(file.parent)
        assert items_in(ledger) == pytest.approx((len(names), len(names)), abs=0.01)
        ledger.close()
        service.process.terminate()
        service.end()
        assert not list(temporary.glob("reranker-ledger-*"))
    finally:
        service.kill()


def test_a_store_that_goes_and_comes_back_loses_nothing(policies: Path, names: list[str]) -> None:
    away = [f"{name} while it was away" for name in names]
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as valkey:
        flags = ("--workers", "2", "--policies", str(policies), "--store", valkey.url)
        service = Service(*flags, start=IMPATIENT)
        try:
            wait_for(service.all_serve)
            ask(service.address, *names)
            wait_for(lambda: sum(service.metric("reranker_exposure_slates_total").values()) == len(names))
            valkey.kill()
            ask(service.address, *away)  # answers go on
            with pytest.raises(ServerError) as caught:
                report(service.address, names[0])
            assert caught.value.reason == "LEDGER_UNAVAILABLE"
            valkey.start()
            wait_for(lambda: sum(service.metric("reranker_exposure_slates_total").values()) == 2 * len(names))
            assert report(service.address, *names, *away) == 2 * len(names)
            store = Store(StoreAddress.parse(valkey.url))
            store.start(60.0)
            assert items_in(RedisLedger(store)) == pytest.approx((2 * len(names), 2 * len(names)), abs=0.01)
            store.close()
            service.process.terminate()
            service.end()
        finally:
            service.kill()
