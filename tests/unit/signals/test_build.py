"""Building: every mistake of the input by its place, what is left out, and a folder that is never in between."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker.errors import BadCatalog, InvalidInput
from reranker.signals import Catalog
from reranker.signals.batches import Batch, Places
from reranker.signals.build import build_catalog
from reranker.signals.columns import Vectors
from reranker.signals.folder import versions
from reranker.signals.layout import EmbeddingEntry, Section
from tests.reference.catalogs import build_rows, catalog_of, some_rows


def mistakes(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidInput) as raised:
        build_rows(tmp_path / "catalog", rows, **options)
    assert not list((tmp_path / "catalog").glob("*.catalog"))
    assert not list((tmp_path / "catalog").glob(".building-*"))
    return [(found.line, found.path, found.reason) for found in raised.value.violations]


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "embedding": [1, 2], "tone": "x"},
        {"id": "b", "embedding": [1], "tone": "x"},
        {"id": "", "embedding": [1, 2]},
        {"id": "c", "embedding": [1, float("nan")]},
        {"id": "d", "tone": {"f": 2.0}},
        {"id": "a"},
        {"id": "y" * 1025},
        {"id": "e", "tone": ""},
    ]
    found = mistakes(tmp_path, rows)
    assert {(line, path) for line, path, _ in found} >= {(2, "embeddings"), (4, "embeddings"), (6, "ids")}
    assert (6, "ids", "must be unique, repeats line 1") in found
    assert [reason for line, path, reason in found if line == 8] == [
        "must be text, a finite number or a boolean, not empty"
    ]


def test_ids_that_no_request_could_name(tmp_path: Path) -> None:
    found = mistakes(tmp_path, [{"id": "a"}, {"id": ""}, {"id": "y" * 1025}, {"id": "y" * 1024}])
    assert found == [(line, "id", "must have 1 to 1024 characters") for line in (2, 3)]
    found = mistakes(tmp_path, [{"id": 1}, {"id": -1}, {"id": 2**64}])
    assert found == [(line, "id", "must be from 0 to 2^64 - 1") for line in (2, 3)]
    assert mistakes(tmp_path, [{"id": "a"}, {"id": 1}])[0][:2] == (0, "ids")
    assert mistakes(tmp_path, [{"id": True}])[0][1] == "ids"


def batches(*parts: list[dict[str, Any]]) -> Any:
    """Rows in batches of our own choosing."""
    first = 1
    for rows in parts:
        keys = dict.fromkeys(key for row in rows for key in row if key not in ("id", "embedding"))
        vectors = [row.get("embedding") for row in rows]
        yield Batch(
            Places("items.jsonl", range(first, first + len(rows)), "line"),
            [row["id"] for row in rows],
            {"": vectors} if any(vector is not None for vector in vectors) else {},
            {key: [row.get(key) for row in rows] for key in keys},
        )
        first += len(rows)


def test_what_only_several_batches_show(tmp_path: Path) -> None:
    def build(*parts: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
        with pytest.raises(InvalidInput) as raised:
            build_catalog(tmp_path, batches(*parts))
        return [(found.line, found.path, found.reason) for found in raised.value.violations]

    assert build([{"id": "a"}, {"id": "b"}], [{"id": "c"}, {"id": "a"}]) == [
        (4, "id", "must be unique, repeats line 1")
    ]
    assert build([{"id": "a"}], [{"id": 1}]) == [(2, "id", "must be text, as the ids before are")]
    assert build([{"id": "a", "embedding": [1, 2]}], [{"id": "b", "embedding": [1, 2, 3]}]) == [
        (2, "embeddings", "must have 2 numbers, as before, has 3")
    ]


PARTS: list[list[dict[str, Any]]] = [
    [{"id": "a"}, {"id": "b"}],
    [{"id": "c", "embedding": [3, 4], "tone": "x"}],
    [{"id": "d", "genre": ["p", "q"]}, {"id": "e", "embedding": [0, 1], "genre": "p"}],
]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_columns_that_come_late_or_stay_away(tmp_path: Path, precision: str) -> None:
    catalog = Catalog.open(build_catalog(tmp_path, batches(*PARTS), precision=precision).path)
    catalog.check()
    found = catalog.candidates(list("abcde"), np.zeros(5))
    assert found.embeddings[""].norms.round(2).tolist() == [0, 0, 5, 0, 1]
    assert found.attributes["tone"].listed() == [[], [], ["x"], [], []]
    assert found.attributes["genre"].listed() == [[], [], [], ["p", "q"], ["p"]]


def test_values_here_and_probabilities_there(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "tone": "x"}, {"id": "b", "tone": {"x": 0.5}}]
    with pytest.raises(InvalidInput):
        build_rows(tmp_path, rows)


@pytest.mark.parametrize(
    ("precision", "vector", "words"),
    [
        ("float16", [70_000.0, 0.0], "beyond 65504"),
        ("float16", [1e-9, 0.0], "too small to be kept as float16"),
        ("int8", [1e-44, 0.0], "too small to be kept as int8"),
    ],
)
def test_vectors_that_a_precision_cannot_keep(tmp_path: Path, precision: str, vector: list[float], words: str) -> None:
    rows = [{"id": "a", "embedding": [1.0, 1.0]}, {"id": "b", "embedding": vector}]
    (found,) = mistakes(tmp_path, rows, precision=precision)
    assert found[:2] == (2, "embeddings")
    assert words in found[2]
    assert build_rows(tmp_path, rows, precision="float32").items == 2


def test_the_largest_numbers_of_float32_stay_finite_as_int8(tmp_path: Path) -> None:
    largest = float(np.finfo(np.float32).max)
    rows = [{"id": "a", "embedding": [largest, -largest / 2]}, {"id": "b", "embedding": [1.0, 2.0]}]
    catalog = Catalog.open(build_rows(tmp_path, rows, precision="int8").path)
    catalog.check()
    matrix = catalog.candidates(["a", "b"], np.zeros(2)).embeddings[""].matrix
    np.testing.assert_allclose(matrix[0] / largest, [1.0, -0.5], atol=0.01)


@pytest.mark.parametrize(
    ("scale", "finite"), [(1.0, True), (1e36, True), (2e36, True), (2.7e36, False), (np.inf, False)]
)
def test_int8_rows_are_finite_when_what_they_stand_for_is(scale: float, finite: bool) -> None:
    levels, scales = np.array([3, 4, -128, 127], np.int8), np.array([1.0, scale], np.float32)
    where, other = Section(0, 4, 0, "<i1"), Section(4, 8, 0, "<f4")
    entry = EmbeddingEntry("", 2, "int8", 0, where, other)
    assert Vectors(entry, 2, lambda section: levels if section is where else scales).are_finite() == finite


def test_many_mistakes_of_a_kind_are_counted(tmp_path: Path) -> None:
    rows = [{"id": f"i{i}", "embedding": [float("inf")]} for i in range(50)]
    found = mistakes(tmp_path, rows)
    assert len(found) <= 22
    assert "30 more" in found[-1][2]


def test_nothing_to_build_is_a_mistake_and_leaves_what_serves(tmp_path: Path) -> None:
    build_rows(tmp_path, some_rows(1, 5), version="v1")
    with pytest.raises(InvalidInput, match="there must be an item: nothing was built"):
        build_rows(tmp_path, [])
    with pytest.raises(InvalidInput, match="an item that is not left out"):
        build_rows(tmp_path, [{"id": "a"}], without={"a"})
    assert Catalog.open(tmp_path).version == "v1"


def test_what_is_left_out_is_nowhere_in_the_file(tmp_path: Path) -> None:
    rows = [{"id": f"item-{i}", "tone": f"tone of {i}", "embedding": [i + 1.0]} for i in range(10)]
    built = build_rows(tmp_path, rows, without={"item-3", "item-7", "nobody"})
    assert (built.items, built.left_out) == (8, 2)
    catalog = Catalog.open(built.path)
    catalog.check()
    assert catalog.find(["item-3", "item-7"]).tolist() == [-1, -1]
    assert catalog.candidates(["item-8"], [1.0]).attributes["tone"].values == ("tone of 8",)
    assert catalog.manifest.left_out == 2
    assert b"item-3" not in built.path.read_bytes()
    assert b"tone of 3" not in built.path.read_bytes()


def test_a_repeat_behind_something_left_out_has_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        build_catalog(
            tmp_path, batches([{"id": "a"}, {"id": "b"}, {"id": "c"}], [{"id": "c"}]), without=frozenset({"a"})
        )
    assert [(found.line, found.reason) for found in raised.value.violations] == [(4, "must be unique, repeats line 3")]


def test_the_same_input_gives_the_same_columns(tmp_path: Path) -> None:
    first, second = (catalog_of(tmp_path, some_rows(3, 40), keep=9) for _ in range(2))
    crcs = [{what: section.crc for what, section in each.manifest.sections.items()} for each in (first, second)]
    assert crcs[0] == crcs[1]
    assert first.version.split("-")[1] == second.version.split("-")[1]


def test_versions_have_names_that_are_files_and_never_change(tmp_path: Path) -> None:
    for name in ("../escape", "a/b", ".hidden", "", "a b", "é", "x" * 65):
        if name:
            with pytest.raises(InvalidInput, match="version"):
                build_rows(tmp_path, [{"id": "a"}], version=name)
    build_rows(tmp_path, [{"id": "a"}], version="v1.2_a-b")
    with pytest.raises(InvalidInput, match="versions never change"):
        build_rows(tmp_path, [{"id": "b"}], version="v1.2_a-b")
    assert Catalog.open(tmp_path).find(["a"]).tolist() == [0]


def test_old_versions_go_and_the_newest_stay(tmp_path: Path) -> None:
    for number in range(5):
        build_rows(tmp_path, [{"id": "a"}], version=f"v{number}", keep=3)
    assert [path.stem for path in versions(tmp_path)] == ["v4", "v3", "v2"]
    build_rows(tmp_path, [{"id": "a"}], version="v5", keep=1)
    assert [path.stem for path in versions(tmp_path)] == ["v5"]
    assert {path.name for path in tmp_path.iterdir()} == {"v5.catalog", "current", ".lock"}


def test_one_build_at_a_time_and_the_ruins_of_a_killed_one_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".building-dead").mkdir()
    (tmp_path / ".building-dead" / "vectors").write_bytes(b"half")
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadCatalog, match="another build is at work there"):
            build_rows(tmp_path, [{"id": "a"}])
        assert (tmp_path / ".building-dead").exists()
    build_rows(tmp_path, [{"id": "a"}])
    assert not (tmp_path / ".building-dead").exists()


def test_a_build_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from batches([{"id": "a"}])
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        build_catalog(tmp_path, broken())
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}


@pytest.mark.parametrize("values", [255, 256, 65_536])
def test_codes_are_as_narrow_as_the_dictionary_allows(tmp_path: Path, values: int) -> None:
    rows = [{"id": i, "creator": f"c{i}"} for i in range(values)]
    catalog = catalog_of(tmp_path, rows)
    (entry,) = catalog.manifest.attributes
    assert entry.codes is not None
    assert entry.codes.dtype == {255: "<u1", 256: "<u2", 65_536: "<i4"}[values]
    last = catalog.candidates([values - 1, 0], [2, 1]).attributes["creator"]
    assert last.values == (f"c{values - 1}", "c0")
    catalog.check()
