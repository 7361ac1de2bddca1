"""`reranker catalog build | inspect | verify`, and a server process that serves what was built."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.servers.valkey import running_valkey
from reranker.cli import main
from reranker.cli.catalog import LEFT_OUT
from reranker.client import Client, from_columns
from reranker.signals.erased import add_erased
from reranker.signals.stored import StoredItems, StoredSettings
from reranker.store import StoreAddress
from reranker.store.store import Store
from tests.e2e.processes import ROOT, Process

SHADES = str(ROOT / "examples" / "data" / "shades" / "catalog.npz")
LINES = (
    '{"id": "p1", "embedding": [0.9, 0.1], "tone": "light", "genre": ["a", "b"]}\n'
    '{"id": "p2", "embedding": [0.1, 0.9], "tone": "dark"}\n'
    '{"id": "p3", "tone": "dark"}\n'
)


@pytest.fixture
def items(tmp_path: Path) -> str:
    (tmp_path / "items.jsonl").write_text(LINES)
    return str(tmp_path / "items.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "catalog")


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_build_inspect_and_verify(items: str, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "build", folder, items, "--precision", "float16", "--version", "v1"]) == 0
    out, err = said(capsys)
    assert f"{folder}/v1.catalog: 3 items" in out
    assert "it is current now" in out
    assert err == "" or "compiling kernels" in err
    assert main(["catalog", "inspect", folder]) == 0
    out, _ = said(capsys)
    assert "version v1, built 20" in out
    assert "3 items, ids are text" in out
    assert "embedding, the main one: 2 x float16, 66.7% have it" in out
    assert "attribute tone: 2 values, one value an item, known for 100.0%" in out
    assert "attribute genre: 2 values, several values an item, known for 33.3%" in out
    assert main(["catalog", "inspect", "--json", f"{folder}/v1.catalog"]) == 0
    tree = json.loads(said(capsys)[0])
    assert (tree["version"], tree["items"], tree["ids"]) == ("v1", 3, "text")
    assert tree["embeddings"] == [{"name": "", "dimension": 2, "precision": "float16", "missing": 1}]
    assert main(["catalog", "verify", folder]) == 0
    assert "sound, 3 items, version v1" in said(capsys)[0]


def test_from_standard_input(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reranker.cli", "catalog", "build", folder],
        input=LINES, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 items" in done.stdout


def test_the_three_lines_of_the_docs(tmp_path: Path) -> None:
    """All but the last, which serves: that one is tested below with a port of its own."""
    text = (ROOT / "docs" / "catalog.md").read_text()
    block = text.split("## In three lines")[1].split("```")[1].strip().splitlines()
    assert len(block) == 3
    script = "\n".join(block[:2]).replace("reranker ", f"{sys.executable} -m reranker.cli ")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 items" in done.stdout
    assert "--catalog catalog" in block[2]


def test_keys_by_flag(items: str, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--id", "id", "--embedding", "image=embedding", "--attribute", "shade=tone", "--attribute", "genre"]
    assert main(["catalog", "build", folder, items, *flags]) == 0
    said(capsys)
    assert main(["catalog", "inspect", folder, "--json"]) == 0
    tree = json.loads(said(capsys)[0])
    assert [each["name"] for each in tree["embeddings"]] == ["image"]
    assert [each["name"] for each in tree["attributes"]] == ["shade", "genre"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--embedding", "a", "--embedding", "b"], "is the second one without a name: say NAME=KEY"),
        (["--attribute", "x=a", "--attribute", "x=b"], "gives a name the second key"),
        (["--attribute", "=a"], "must look like KEY or NAME=KEY"),
        (["--keep", "0"], "--keep: must be at least 1"),
        (["--version", "../v"], "version: must be 1 to 64 letters"),
        (["--id", "sku"], "sku: is missing: every item has an id"),
        (["--attribute", "shape"], "shape: there is no such key; there are embedding, genre, id, tone"),
        (["--without", "/does/not/exist"], "No such file"),
    ],
)
def test_flags_that_cannot_be(
    items: str, folder: str, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "build", folder, items, *flags]) == 2
    assert words in said(capsys)[1]
    assert not list(Path(folder).glob("*.catalog"))


def test_every_mistake_of_the_input_has_file_and_line(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "a"}\n{"id": "a", "embedding": ["x"]}\nnot json\n')
    assert main(["catalog", "build", folder, str(path)]) == 2
    err = said(capsys)[1]
    assert "3 violations" in err
    assert f"{path}, line 2: ids: must be unique, repeats line 1" in err
    assert f"{path}, line 3: item: must be one JSON object" in err
    assert "Traceback" not in err


def test_ids_that_are_left_out_and_ids_that_are_absent(
    tmp_path: Path, items: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "erased").write_text("p2\nnobody\n\n")
    assert main(["catalog", "build", folder, items]) == 0
    assert main(["catalog", "verify", folder, "--absent", str(tmp_path / "erased")]) == 3
    out, err = said(capsys)
    assert out.splitlines()[-1] == "nobody"
    assert "1 of 2 ids are absent" in err
    assert "still there: p2" in err
    assert main(["catalog", "build", folder, items, "--without", str(tmp_path / "erased")]) == 0
    assert "2 items, 1 left out" in said(capsys)[0]
    assert main(["catalog", "verify", folder, "--absent", str(tmp_path / "erased")]) == 0
    out, err = said(capsys)
    assert out.split() == ["p2", "nobody"]
    assert "2 of 2 ids are absent" in err


def test_absent_ids_of_a_catalog_of_numbers(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "i.jsonl").write_text('{"id": 5, "tone": "x"}\n{"id": 18446744073709551615, "tone": "x"}\n')
    (tmp_path / "without").write_text("5\n")
    assert main(["catalog", "build", folder, str(tmp_path / "i.jsonl"), "--without", str(tmp_path / "without")]) == 0
    said(capsys)
    monkeypatch.setattr(sys, "stdin", io.StringIO("5\n18446744073709551615\n"))
    assert main(["catalog", "verify", folder, "--absent", "-"]) == 3
    assert said(capsys)[0] == "5\n"
    (tmp_path / "ids").write_text("5\nfive\n")
    assert main(["catalog", "verify", folder, "--absent", str(tmp_path / "ids")]) == 2
    assert "line 2: id: must be a whole number, as the catalog's ids are" in said(capsys)[1]


def test_what_is_no_catalog_is_refused_in_a_line(
    tmp_path: Path, items: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "build", folder, items, "--version", "v1"]) == 0
    path = Path(folder) / "v1.catalog"
    said(capsys)
    for spoil, words in (
        (lambda data: data[:-9], "is cut off"),
        (lambda data: data[:100] + b"?" + data[101:], "was damaged"),
        (lambda data: b"foreign", "is no catalog"),
    ):
        whole = path.read_bytes()
        path.write_bytes(spoil(whole))
        assert main(["catalog", "verify", folder]) == 2
        err = said(capsys)[1]
        assert words in err
        assert len(err.splitlines()) == 1
        path.write_bytes(whole)
    assert main(["catalog", "inspect", str(tmp_path / "nowhere")]) == 2
    assert "cannot be read: No such file" in said(capsys)[1]


def test_erased_ids_of_a_folder_and_of_a_store(
    tmp_path: Path, folder: str, items: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", "build", folder, items]) == 0
    assert main(["catalog", "erased", folder]) == 0
    assert said(capsys)[0].splitlines()[1:] == []
    add_erased(Path(folder), ["p1", "line\nbreak", 7, "  "])
    assert main(["catalog", "erased", folder]) == LEFT_OUT
    out, err = said(capsys)
    assert out.splitlines() == ["p1", "7"]
    assert "2 ids have characters" in err
    (Path(folder) / "erased").write_text("p1\n")
    assert main(["catalog", "erased", folder]) == 2
    assert "line 1 must be one id as JSON" in said(capsys)[1]
    with running_valkey() as valkey:
        store = Store(StoreAddress.parse(valkey.url))
        store.start(10.0)
        StoredItems(store, StoredSettings("shop")).erase(["gone", "p1"], 10.0)
        store.close()
        password = tmp_path / "password"
        password.write_text(valkey.password)
        url = f"redis://127.0.0.1:{valkey.port}"
        assert main(["catalog", "erased", url, "--store-prefix", "shop", "--store-password-file", str(password)]) == 0
        assert sorted(said(capsys)[0].split()) == ["gone", "p1"]
        assert main(["catalog", "erased", url]) == 2
        assert "not_allowed" in said(capsys)[1]
    assert main(["catalog", "erased", "redis://"]) == 2
    assert "must name a host" in said(capsys)[1]


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["build"], ["inspect"], ["verify"], ["erased"]):
        with pytest.raises(SystemExit) as left:
            main(["catalog", *command, "--help"])
        assert left.value.code == 0
        assert "Exit codes: 0 done" in " ".join(said(capsys)[0].split())


def test_a_server_serves_what_was_built_and_the_next_version(tmp_path: Path, folder: str) -> None:
    assert main(["catalog", "build", folder, SHADES, "--precision", "float16", "--version", "v1"]) == 0
    process = Process("--catalog", folder)
    try:
        process.warm()
        with Client(process.address, deadline=10, on_error="raise") as client:
            candidates = from_columns(["sh:00001", "sh:00002", "nobody"], [3, 2, 1], catalog=True)
            first: Any = client.rerank(candidates, 3).response
            assert (first.catalog_version, first.signals.unknown_ids) == ("v1", 1)
            assert main(["catalog", "build", folder, SHADES, "--precision", "int8", "--version", "v2"]) == 0
            for _ in range(2_000):
                latest: Any = client.rerank(candidates, 3).response
                if latest.catalog_version == "v2":
                    break
            assert latest.catalog_version == "v2"
    finally:
        process.kill()


def test_a_server_without_its_catalog_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "server.py", "--listen", "127.0.0.1:0", "--admin", "off", "--catalog", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "has no current version: `reranker catalog build" in done.stderr
