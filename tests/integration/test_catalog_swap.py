"""A running server takes over new versions of its catalog while callers go on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker.client import Client, from_columns
from reranker.errors import BadCatalog
from reranker.runtime.catalog import CatalogWatch
from reranker.runtime.server import Server, check
from reranker.runtime.settings import Settings
from tests.reference.catalogs import build_rows

IDS = [f"i{i}" for i in range(40)]
SCORES = np.linspace(1, 0, 40)


def rows(tone: str) -> list[dict[str, Any]]:
    """Items of which everything says which version they are of."""
    return [{"id": item, "embedding": [float(i + 1), 2.0], "tone": tone} for i, item in enumerate(IDS)]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path]]:
    monkeypatch.setattr(CatalogWatch.__init__, "__defaults__", (0.02,))
    folder = tmp_path / "catalog"
    build_rows(folder, rows("v0"), version="v0")
    server = Server(Settings(listen="127.0.0.1:0", admin="", catalog=folder, grace=1.0))
    server.warm_up()
    yield server, folder
    server.drain()


def test_no_request_is_dropped_and_none_sees_two_versions(serving: tuple[Server, Path]) -> None:
    server, folder = serving
    stop = threading.Event()
    versions: Counter[str] = Counter()
    torn: list[str] = []
    failures: list[Exception] = []
    candidates = from_columns(IDS, SCORES, catalog=True)

    def call() -> None:
        with Client(server.address, deadline=10, on_error="raise") as client:
            while not stop.is_set():
                try:
                    slate = client.rerank(candidates, 5, measures=True)
                except Exception as error:
                    failures.append(error)
                    return
                assert slate.response is not None
                version = slate.response.catalog_version
                versions[version] += 1
                (group,) = slate.response.measures.after.groups
                if list(group.values) != [version]:
                    torn.append(version)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for number in range(1, 9):
        name = f"v{number}"
        build_rows(folder, rows(name), version=name, keep=1)  # the version that serves is deleted under the server
        end = time.monotonic() + 20
        while not versions[name] and not failures and time.monotonic() < end:
            time.sleep(0.01)
    stop.set()
    for caller in callers:
        caller.join(20)
    assert failures == []
    assert torn == []
    assert set(versions) == {f"v{number}" for number in range(9)}
    maps = Path("/proc/self/maps").read_text()
    assert f"{folder}/v8.catalog" in maps
    assert f"{folder}/v3.catalog" not in maps


def test_a_bad_version_is_passed_over(serving: tuple[Server, Path]) -> None:
    server, folder = serving
    candidates = from_columns(IDS, SCORES, catalog=True)
    (folder / "bad.catalog").write_bytes((folder / "v0.catalog").read_bytes()[:-20])
    (folder / "current").write_text("bad\n")
    time.sleep(0.2)
    with Client(server.address, deadline=10, on_error="raise") as client:
        assert client.rerank(candidates, 5).response.catalog_version == "v0"  # type: ignore[union-attr]
        build_rows(folder, rows("v1"), version="v1")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if client.rerank(candidates, 5).response.catalog_version == "v1":  # type: ignore[union-attr]
                return
    raise AssertionError("the good version after the bad one was not taken over")


def test_a_server_does_not_start_without_its_catalog(tmp_path: Path) -> None:
    settings = Settings(listen="127.0.0.1:0", admin="", catalog=tmp_path)
    for start in (lambda: Server(settings), lambda: check(settings)):
        with pytest.raises(BadCatalog, match="has no current version"):
            start()


def test_a_damaged_catalog_ends_the_warm_up(tmp_path: Path) -> None:
    path = build_rows(tmp_path, rows("v0"), version="v0").path
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    settings = Settings(listen="127.0.0.1:0", admin="", catalog=tmp_path, grace=1.0)
    server = Server(settings)
    with pytest.raises(BadCatalog, match="was damaged"):
        server.warm_up()
    server.drain()
    with pytest.raises(BadCatalog, match="was damaged"):
        check(settings)
