"""What a catalog is built from: the same items by way of JSONL, .npz, Parquet, Arrow files and Arrow streams."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reranker.errors import InvalidInput, MissingExtra
from reranker.signals import Catalog
from reranker.signals.build import build_catalog
from reranker.signals.sources import Names, read_batches

ROWS: list[dict[str, Any]] = [
    {"id": "a", "embedding": [1.0, 2.0], "tone": "dark", "genre": ["noir", "crime"], "gender": {"f": 0.75, "m": 0.25}},
    {"id": "b", "embedding": None, "tone": None, "genre": [], "gender": None},
    {"id": "c", "embedding": [0.5, -4.0], "tone": "light", "genre": ["noir"], "gender": {"f": 0.0, "m": 1.0}},
]
MISSING = {"id": "d"}


def jsonl(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n\n" for row in ROWS) + '{"id": "d"}\n')
    return path


def table() -> pa.Table:
    rows = [*ROWS, {**dict.fromkeys(ROWS[0]), **MISSING}]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("embedding", pa.list_(pa.float32())),
            ("tone", pa.dictionary(pa.int32(), pa.string())),
            ("genre", pa.list_(pa.string())),
            ("gender", pa.struct([("f", pa.float32()), ("m", pa.float32())])),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def parquet(path: Path) -> Path:
    pq.write_table(table(), path, row_group_size=2)
    return path


def arrow_file(path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table().schema) as writer:
        writer.write_table(table(), max_chunksize=3)
    return path


def arrow_stream(path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table().schema) as writer:
        writer.write_table(table())
    return path


def npz(path: Path) -> Path:
    arrays = {
        "ids": np.array(["a", "b", "c", "d"]),
        "titles": np.array(["left", "out", "of", "it"]),
        "embeddings": np.array([[1, 2], [0, 0], [0.5, -4], [0, 0]], np.float16, order="F"),
        "attribute.tone.values": np.array(["dark", "light"]),
        "attribute.tone.codes": np.array([1, 0, 2, 0], np.uint32),
        "attribute.genre.values": np.array(["noir", "crime"]),
        "attribute.genre.codes": np.array([1, 2, 1], np.uint32),
        "attribute.genre.offsets": np.array([0, 2, 2, 3, 3], np.uint32),
        "attribute.gender.labels": np.array(["f", "m"]),
        "attribute.gender.probabilities": np.array([[0.75, 0.25], [0, 0], [0, 1], [0, 0]]),
    }
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return path


WRITERS = {
    "items.jsonl": jsonl,
    "items.parquet": parquet,
    "items.arrow": arrow_file,
    "items.arrows": arrow_stream,
    "items.npz": npz,
}


def built(folder: Path, *sources: str | Path, names: Names | None = None, form: str | None = None) -> Catalog:
    batches = read_batches([str(source) for source in sources], names or Names(), form)
    catalog = Catalog.open(build_catalog(folder / "catalog", batches).path)
    catalog.check()
    return catalog


def holds_the_rows(catalog: Catalog) -> None:
    found = catalog.candidates(["a", "b", "c", "d", "nobody"], np.zeros(5))
    assert list(found.embeddings) == [""]
    assert found.embeddings[""].matrix.tolist() == [[1, 2], [0, 0], [0.5, -4], [0, 0], [0, 0]]
    assert found.attributes["tone"].listed() == [["dark"], [], ["light"], [], []]
    assert found.attributes["genre"].listed() == [["noir", "crime"], [], ["noir"], [], []]
    gender = found.attributes["gender"]
    assert gender.values == ("f", "m")
    assert gender.probabilities is not None
    assert gender.probabilities.tolist() == [[0.75, 0.25], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert found.unknown is not None
    assert found.unknown.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_the_same_catalog(tmp_path: Path, name: str) -> None:
    catalog = built(tmp_path, WRITERS[name](tmp_path / name))
    holds_the_rows(catalog)
    assert set(catalog.attributes) == {"tone", "genre", "gender"}


@pytest.mark.parametrize(("form", "write"), [(None, jsonl), ("arrow", arrow_stream)])
def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str | None, write: Any) -> None:
    data = write(tmp_path / "items").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    holds_the_rows(built(tmp_path, "-", form=form))


def test_several_sources_are_one_catalog(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text('{"id": "e", "tone": "dark", "size": 3}\n{"id": "f"}\n')
    catalog = built(tmp_path, parquet(tmp_path / "items.parquet"), tmp_path / "more.jsonl")
    assert len(catalog) == 6
    found = catalog.candidates(["a", "e"], [2, 1])
    assert found.attributes["size"].listed() == [[], ["3"]]
    assert found.attributes["tone"].listed() == [["dark"], ["dark"]]


@pytest.mark.parametrize("name", WRITERS)
def test_keys_by_name(tmp_path: Path, name: str) -> None:
    ids = "ids" if name.endswith("npz") else "id"
    vector = "embeddings" if name.endswith("npz") else "embedding"
    names = Names(ids, {"image": vector}, {"shade": "tone"})
    catalog = built(tmp_path, WRITERS[name](tmp_path / name), names=names)
    assert (catalog.embeddings, catalog.attributes) == (("image",), ("shade",))
    assert catalog.candidates(["c"], [1]).attributes["shade"].values == ("light",)


@pytest.mark.parametrize("name", WRITERS)
def test_a_key_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name)
    for names in (Names("sku"), Names(None, {"": "vector"}), Names(None, None, {"x": "shape"})):
        with pytest.raises(InvalidInput, match=r"sku|vector|shape") as raised:
            built(tmp_path, path, names=names)
        assert str(path) in str(raised.value)


def test_integers_are_ids_in_every_form(tmp_path: Path) -> None:
    ids = [7, 2**63 + 5, 0]
    (tmp_path / "i.jsonl").write_text("".join(json.dumps({"id": n, "tone": "x"}) + "\n" for n in ids))
    pq.write_table(pa.table({"id": pa.array(ids, pa.uint64()), "tone": ["x"] * 3}), tmp_path / "i.parquet")
    arrays = {"ids": np.array(ids, np.uint64), "attribute.tone": np.array(["x"] * 3)}
    np.savez(tmp_path / "i.npz", allow_pickle=False, **arrays)
    for name in ("i.jsonl", "i.parquet", "i.npz"):
        catalog = built(tmp_path / name.replace(".", "-"), tmp_path / name)
        assert catalog.find(ids).tolist() == [0, 1, 2], name
        assert catalog.candidates([7], [1]).attributes["tone"].values == ("x",)


def test_lines_that_are_no_items(tmp_path: Path) -> None:
    lines = [
        b'{"id": "a"}',
        b"[1]",
        b'{"id": ',
        b'{"tone": "x"}',
        b'"\xff"',
        b"[" * 100_000,
        b'{"id": "b", "tone": ""}',
    ]
    (tmp_path / "items.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(InvalidInput) as raised:
        built(tmp_path, tmp_path / "items.jsonl")
    assert {found.line for found in raised.value.violations} == {2, 3, 4, 5, 6, 7}
    assert all(str(found).startswith(f"{tmp_path}/items.jsonl, line ") for found in raised.value.violations)


@pytest.mark.parametrize("name", ["items.npz", "items.parquet", "items.arrow"])
def test_files_that_are_something_else(tmp_path: Path, name: str) -> None:
    for data in (b"", b"PK\x03\x04 not an archive", b"PAR1 nor this"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match=r"cannot be read as") as raised:
            built(tmp_path, tmp_path / name)
        assert name in str(raised.value)
    with pytest.raises(InvalidInput, match="there is no such file"):
        built(tmp_path, tmp_path / f"no-{name}")


ARRAYS: dict[str, Any] = {"ids": np.array(["a", "b"]), "embeddings": np.eye(2)}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"embeddings": np.eye(3)}, "must have one row an id: 2, has 3"),
        ({"attribute.tone": np.array(["x"])}, "must have one entry an id: 2, has 1"),
        ({"attribute.tone.codes": np.array([1, 1])}, "must be the arrays"),
        ({"attribute.tone": np.array(["x", "y"]), "attribute.tone.codes": np.array([1, 1])}, "must be the arrays"),
        ({"attribute.tone.values": np.array(["x"]), "attribute.tone.codes": np.array([1, 2])}, "must be from 0 to 1"),
        (
            {
                "attribute.tone.values": np.array(["x"]),
                "attribute.tone.codes": np.array([1, 1]),
                "attribute.tone.offsets": np.array([0, 2, 1]),
            },
            "offsets must not fall",
        ),
        ({"attribute.tone": np.array([object(), None])}, "holds Python objects"),
        ({"embeddings": np.array([[1, np.inf], [1, 1]])}, "must be finite"),
    ],
)
def test_archives_whose_arrays_do_not_go_together(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "items.npz", **{**ARRAYS, **more})
    with pytest.raises(InvalidInput, match=words):
        built(tmp_path, tmp_path / "items.npz")


def test_an_archive_larger_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reranker.signals.sources.npz._ROWS", 2)
    monkeypatch.setattr("reranker.signals.spools._PIECE", 3)
    holds_the_rows(built(tmp_path, npz(tmp_path / "items.npz")))


def test_forms_that_cannot_be_told_or_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"must end with \.jsonl"):
        read_batches(["items.csv"], Names())
    with pytest.raises(InvalidInput, match="give a file"):
        read_batches(["-"], Names(), "parquet")
    with pytest.raises(InvalidInput, match="can be read once"):
        read_batches(["-", "-"], Names())
    (tmp_path / "items.csv").write_text('{"id": "a"}\n')
    assert len(built(tmp_path, tmp_path / "items.csv", form="jsonl")) == 1


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("items.parquet", "items.arrow"):
        (tmp_path / name).touch()
        with pytest.raises(MissingExtra, match=r"pip install 'diversity-reranker\[parquet\]'"):
            built(tmp_path, tmp_path / name)
