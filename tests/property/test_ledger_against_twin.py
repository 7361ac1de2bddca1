"""Any order, any repetition, any interleaving of serving and seeing: the ledger's sums are those of the naive twin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from loadtest.servers.valkey import Valkey, running_valkey
from reranker.exposure.board import Board
from reranker.exposure.ledger import Counts, Ledger
from reranker.exposure.redis import RedisLedger
from reranker.exposure.sqlite import SqliteLedger
from reranker.store import StoreAddress
from reranker.store.store import Store
from tests.reference.ledger_cases import HALF_LIVES, NOW, STREAMS, Seen, Slate, assert_alike, histories
from tests.reference.naive_ledger import NaiveLedger

SECONDS = 60.0


def play(history: list[Slate | Seen], ledger: Ledger) -> NaiveLedger:
    """Every event to both, one by one; what they say of impressions must agree."""
    naive = NaiveLedger()
    for event in history:
        if isinstance(event, Slate):
            is_new = event.request_id not in naive.served
            naive.serve(*event)
            assert ledger.record([event.receipt], SECONDS) == Counts(new=is_new, repeated=not is_new)
        else:
            said = naive.see(*event)
            counts = ledger.record_impressions([event.impression], SECONDS)
            assert counts == Counts(said == "recorded", said == "repeated", said == "unknown")
    return naive


def check(ledger: Ledger, naive: NaiveLedger) -> None:
    board = Board(clock=lambda: NOW)
    board.refresh(ledger, SECONDS)
    for key in STREAMS:
        assert_alike(board.tally(key, HALF_LIVES[key.attribute]), naive.tally(key, HALF_LIVES[key.attribute], NOW))


@settings(max_examples=30, deadline=None)
@given(history=histories())
def test_sqlite(history: list[Slate | Seen]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder))
        check(ledger, play(history, ledger))
        ledger.close()


class Shared(NamedTuple):
    server: Valkey
    store: Store


@pytest.fixture(scope="module")
def valkey() -> Iterator[Shared]:
    with running_valkey() as server:
        store = Store(StoreAddress.parse(server.url))
        store.start(SECONDS)
        yield Shared(server, store)
        store.close()


@settings(max_examples=60, deadline=None)
@given(history=histories())
def test_valkey(valkey: Shared, history: list[Slate | Seen]) -> None:
    valkey.server.ask("FLUSHALL")
    ledger = RedisLedger(valkey.store)
    check(ledger, play(history, ledger))


@settings(max_examples=20, deadline=None)
@given(history=histories())
def test_one_batch_is_as_good_as_many(history: list[Slate | Seen]) -> None:
    """And what was read bit by bit is what is read at once."""
    naive, board = NaiveLedger(), Board(clock=lambda: NOW)
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder))
        slates = [event for event in history if isinstance(event, Slate)]
        reports = [event for event in history if isinstance(event, Seen)]
        for slate in slates:
            naive.serve(*slate)
        for report in reports:
            naive.see(*report)
        ledger.record([slate.receipt for slate in slates], SECONDS)
        board.refresh(ledger, SECONDS)
        ledger.record_impressions([report.impression for report in reports], SECONDS)
        board.refresh(ledger, SECONDS)
        for key in STREAMS:
            assert_alike(board.tally(key, HALF_LIVES[key.attribute]), naive.tally(key, HALF_LIVES[key.attribute], NOW))
        ledger.close()
