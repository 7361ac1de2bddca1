"""A server that records a sample of its answers, and what is then on disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from reranker.cli import main
from reranker.client import Client, from_columns, request_context
from reranker.requestlog.traffic import files_of, parsed, records_of
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from tests.reference.catalogs import build_rows

PATIENCE = 60.0
IDS = [f"item-{i}" for i in range(30)]
ROWS = [{"id": item, "embedding": [float(i + 1), 2.0], "tone": "dark"} for i, item in enumerate(IDS)]


def serving(folder: Path, catalog: Path, *, sample: float = 1.0) -> Server:
    server = Server(
        Settings(
            listen="127.0.0.1:0",
            admin="127.0.0.1:0",
            grace=5.0,
            catalog=catalog,
            request_log=folder,
            request_log_sample=sample,
        )
    )
    server.warm_up()
    return server


def metric(server: Server, name: str) -> float:
    with urlopen(f"http://{server.admin_address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    build_rows(tmp_path / "catalog", ROWS, version="v3")
    return tmp_path / "catalog"


def test_answers_are_recorded_and_refined_ones_are_not(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    server = serving(folder, catalog)
    inline = from_columns(IDS, np.linspace(1, 0, 30), attributes={"tone": ["dark", "light"] * 15})
    referring = from_columns(IDS, np.linspace(1, 0, 30), catalog=True)
    try:
        with Client(server.address, deadline=30, on_error="raise") as client:
            served = client.rerank(inline, 5, request_id="first", context=request_context(surface="search", unit="ann"))
            client.rerank(referring, 5, request_id="second")
            refined = request_context(refinement={"tone": ["dark"]})
            client.rerank(inline, 5, request_id="third", context=refined)
            page = request_context(cursor=served.cursor)
            client.rerank(inline, 5, request_id="fourth", context=page)
    finally:
        server.drain()
    first, second = parsed(records_of(files_of([folder])))
    assert served.response is not None
    assert list(first.response.positions) == list(served.response.positions)
    assert first.request.context.surface == "search"
    assert second.response.catalog_version == "v3"
    assert list(second.request.candidates.item_ids) == IDS
    written = first.SerializeToString()
    assert b"item-" not in written
    assert b"ann" not in written
    assert b"first" not in written
    assert main(["log", "inspect", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 records in 1 files")
    assert "by reference to a catalog: 1; with an answer: 2" in said
    assert "catalog: v3 1" in said
    target = tmp_path / "all.rlog"
    assert main(["log", "convert", str(folder), str(target)]) == 0
    assert list(parsed(records_of([target]))) == [first, second]
    assert main(["log", "convert", str(target), str(target)]) == 2
    assert main(["log", "convert", str(target), str(tmp_path / "all.csv")]) == 2


def test_a_folder_that_goes_away_never_touches_an_answer(tmp_path: Path, catalog: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    server = serving(folder, catalog)
    candidates = from_columns(IDS, np.linspace(1, 0, 30))
    shutil.rmtree(folder)
    try:
        with Client(server.address, deadline=30, on_error="raise") as client:
            for _ in range(5):
                assert len(client.rerank(candidates, 5).positions) == 5
            end = time.monotonic() + PATIENCE
            while metric(server, "reranker_request_log_lost_total") < 5 and time.monotonic() < end:
                time.sleep(0.02)
            assert metric(server, "reranker_request_log_lost_total") == 5
            assert len(client.rerank(candidates, 5).positions) == 5
    finally:
        server.drain()


def test_nothing_is_recorded_where_nothing_is_asked_for(tmp_path: Path, catalog: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    server = serving(folder, catalog, sample=0.0)
    try:
        with Client(server.address, deadline=30, on_error="raise") as client:
            client.rerank(from_columns(IDS, np.linspace(1, 0, 30)), 5)
    finally:
        server.drain()
    assert list(folder.iterdir()) == []
