"""`reranker rerank` and the help, as a person at a terminal meets them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from reranker.cli import main

ROWS = [
    {"id": "a", "score": 3, "embedding": [1, 0], "tone": "dark"},
    {"id": "b", "score": 2, "embedding": [1, 0], "tone": "dark"},
    {"id": "c", "score": 1, "embedding": None, "tone": None},
    {"id": "d", "score": 0, "embedding": [0, 1], "tone": "light"},
]
COLUMNS = {"ids": ["a", "b"], "scores": [1, 2], "attributes": {"tone": ["dark", "light"]}}


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "tones.toml"
    path.write_text('[objective]\nstrategy = "relevance"\n[[quotas]]\nattribute = "tone"\nmin_count = { light = 1 }')
    return str(path)


def rerank(policy: str, tree: Any, monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(tree if isinstance(tree, str) else json.dumps(tree)))
    return main(["rerank", "--policy", policy, "--candidates", "-", *flags])


def test_a_slate_is_printed(policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert rerank(policy, ROWS, monkeypatch, "--slate-size", "3", "--explain") == 0
    text = capsys.readouterr().out
    assert [line.split()[1] for line in text.splitlines() if line[:4].strip().isdigit()] == ["a", "b", "d"]
    assert "SATISFIED by policy tones" in text
    assert text.count("upstream rank") >= 3


def test_json_is_for_programs(policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert rerank(policy, COLUMNS, monkeypatch, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ids"] == ["b", "a"]
    assert answer["status"] == "SATISFIED"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{", "must be JSON"),
        ("5", "an object of columns or a list of rows"),
        ({"ids": [], "colour": []}, "candidates.colour"),
        ({"scores": []}, "candidates.ids: is missing"),
        ([{"id": "a"}, {"id": "a", "score": 1}], "candidates.scores[0]"),
    ],
)
def test_bad_candidates_end_with_2(
    policy: str, tree: Any, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerank(policy, tree, monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_2(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rerank", "--policy", policy, "--candidates", "/does/not/exist.json"]) == 2
    assert main(["rerank", "--policy", "/does/not/exist.toml", "--candidates", "-"]) == 2
    assert "exist.json" in capsys.readouterr().err


def ids_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    ids: list[str] = json.loads(capsys.readouterr().out)["ids"]
    return ids


def test_pages_go_on_where_the_last_one_ended(
    policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = []
    for page in ("1", "2", "3"):
        assert rerank(policy, ROWS, monkeypatch, "--slate-size", "3", "--page", page, "--json") == 0
        pages.append(ids_of(capsys))
    assert pages == [["a", "b", "d"], ["c"], []]
    assert rerank(policy, ROWS, monkeypatch, "--page", "0") == 2
    assert "pages count from 1" in capsys.readouterr().err


def test_a_user_may_narrow_the_list(
    policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerank(policy, ROWS, monkeypatch, "--refine", "tone=light,mid", "--json") == 0
    assert ids_of(capsys) == ["d"]
    for flag in ("tone", "tone=", "=light", "tone=light,"):
        assert rerank(policy, ROWS, monkeypatch, "--refine", flag) == 2
        assert "must look like" in capsys.readouterr().err


def test_recently_shown_items_repel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (varied := tmp_path / "varied.toml").write_text('[objective]\nstrategy = "mmr"\ndiversity = 0.9\n')
    recent = tmp_path / "recent.json"
    firsts = []
    for seen in (
        [],
        ["a"],
        [{"id": "z", "embedding": [1, 0]}],
        {"ids": ["z"], "embeddings": [[1, 0]], "attributes": {"tone": ["dark"]}},
    ):
        recent.write_text(json.dumps(seen))
        assert rerank(str(varied), ROWS, monkeypatch, "--recent", str(recent), "--json") == 0
        firsts.append(ids_of(capsys)[0])
    assert firsts == ["a", "c", "c", "c"]  # c has no embedding and d no score, but nothing of what was seen


@pytest.mark.parametrize(
    ("seen", "message"),
    [("5", "an object of columns"), ("[true]", "a list of rows"), ('{"ids": 5}', "candidates.ids"), ("{", "JSON")],
)
def test_bad_recent_items_end_with_2_and_name_the_file(
    policy: str,
    tmp_path: Path,
    seen: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (recent := tmp_path / "recent.json").write_text(seen)
    assert rerank(policy, ROWS, monkeypatch, "--recent", str(recent)) == 2
    text = capsys.readouterr().err
    assert str(recent) in text
    assert message in text


def test_help_names_the_settings_and_their_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "--drain-delay" in text
    assert "RERANKER_WORKER_THREADS" in text
