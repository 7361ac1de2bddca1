"""The shelf: another version takes over when it is whole, and the last good one stays when it is not."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import pytest

from reranker.errors import BadCatalog
from reranker.observability.metrics import Metrics
from reranker.runtime.catalog import CatalogWatch
from reranker.signals import Shelf
from tests.reference.catalogs import build_rows

ROWS = [{"id": f"i{i}", "embedding": [1.0, float(i)], "tone": "x"} for i in range(100)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    build_rows(tmp_path, ROWS, version="v1")
    return Shelf(tmp_path)


def point_to(folder: Path, name: str) -> None:
    (folder / "current").write_text(name)


def test_a_folder_without_a_version_cannot_serve(tmp_path: Path) -> None:
    with pytest.raises(BadCatalog, match="has no current version"):
        Shelf(tmp_path)


def test_a_new_version_takes_over_once(shelf: Shelf) -> None:
    assert not shelf.refresh()
    build_rows(shelf.folder, ROWS[:50], version="v2")
    assert shelf.refresh()
    assert (shelf.catalog.version, len(shelf.catalog)) == ("v2", 50)
    assert not shelf.refresh()
    point_to(shelf.folder, "v1\n")  # back to the one before, by hand
    assert shelf.refresh()
    assert shelf.catalog.version == "v1"


def test_who_began_with_a_version_keeps_it_and_then_it_is_let_go(shelf: Shelf) -> None:
    held = shelf.catalog
    build_rows(shelf.folder, ROWS[:50], version="v2", keep=1)
    assert shelf.refresh()
    assert not held.path.exists()
    assert held.candidates(["i99"], [1.0]).attributes["tone"].values == ("x",)
    assert str(held.path) in Path("/proc/self/maps").read_text()
    path = str(held.path)
    del held
    gc.collect()
    assert path not in Path("/proc/self/maps").read_text()


def test_what_cannot_serve_is_refused_and_the_last_good_one_stays(shelf: Shelf) -> None:
    good = build_rows(shelf.folder, ROWS, version="v2").path
    data = bytearray(good.read_bytes())
    data[len(data) // 3] ^= 1
    good.write_bytes(data)
    with pytest.raises(BadCatalog, match="was damaged"):
        shelf.refresh()
    good.write_bytes(data[:100])
    with pytest.raises(BadCatalog, match="is cut off"):
        shelf.refresh()
    for name, words in (("v9", "No such file"), ("../v1", "must hold the name of a version"), ("", "must hold")):
        point_to(shelf.folder, name)
        with pytest.raises(BadCatalog, match=words):
            shelf.refresh()
    (shelf.folder / "current").unlink()
    with pytest.raises(BadCatalog, match="has no current version"):
        shelf.refresh()
    build_rows(shelf.folder, [{"id": 1, "tone": "x"}], version="v3")
    with pytest.raises(BadCatalog, match="has ids that are numbers, where text serve"):
        shelf.refresh()
    assert (shelf.catalog.version, shelf.catalog.find(["i7"]).tolist()) == ("v1", [7])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_watch_counts_and_logs_each_version_once(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    watch = CatalogWatch(shelf, metrics, seconds=60)
    with caplog.at_level(logging.INFO, logger="reranker"):
        logging.getLogger("reranker").propagate = True
        watch.start()
        point_to(shelf.folder, "v9")
        for _ in range(3):
            watch.look()
        build_rows(shelf.folder, ROWS[:50], version="v2")
        for _ in range(3):
            watch.look()
        watch.close()
    assert [record.getMessage() for record in caplog.records] == ["catalog serves", "catalog refused", "catalog serves"]
    assert value(metrics, "reranker_catalog_items") == 50
    assert (value(metrics, "reranker_catalog_built_timestamp_seconds") or 0) > 1.7e9
    assert value(metrics, "reranker_catalog_loads_total", result="loaded") == 1
    assert value(metrics, "reranker_catalog_loads_total", result="refused") == 1


def test_whatever_goes_wrong_the_watch_goes_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = CatalogWatch(shelf, Metrics(), seconds=0.01)
    monkeypatch.setattr(shelf, "refresh", lambda: 1 / 0)
    with caplog.at_level(logging.ERROR, logger="reranker"):
        logging.getLogger("reranker").propagate = True
        watch.start()
        while len(caplog.records) < 2:
            watch._end.wait(0.01)
        watch.close()
    assert {record.getMessage() for record in caplog.records} == {"looking for a new catalog failed"}
