"""`reranker check-policy` and `describe` of routes.toml and of a folder, as their owner meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reranker.cli import main

ROUTES = '[[routes]]\nwhen = { surface = ["search"] }\nsalt = "s"\narms = { a = 0.1, default = 0.9 }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.toml").write_text("")
    (tmp_path / "routes.toml").write_text(ROUTES)
    return tmp_path


@pytest.mark.parametrize("name", ["", "routes.toml"])
def test_sound_ones(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-policy", str(folder / name)]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{folder / name}: sound, revision ")
    assert [line.split(",")[0].strip() for line in others] == ["a", "default", "routes.toml"]


def test_who_moves(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "routes.toml").write_text(ROUTES.replace("0.1,", "0.05,").replace("0.9", "0.95"))
    assert main(["check-policy", str(folder / "routes.toml"), "--since", str(old / "routes.toml")]) == 0
    assert "1. 5 % of requests with surface search move from default to a." in capsys.readouterr().out


def test_mistakes_of_all_files_come_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text("[objective]\ndiversity = 9\n")
    (folder / "routes.toml").write_text(ROUTES + "x = 1\n")
    assert main(["check-policy", str(folder / "routes.toml")]) == 2
    text = capsys.readouterr().err
    assert "a.toml, line 2: objective.diversity" in text
    assert "routes.toml, line 5: routes[0].x: is not a word here" in text


def test_flags_that_do_not_go_with_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-policy", str(folder), "--candidates", "-", "--slate-size", "3"]) == 2
    text = capsys.readouterr().err
    assert "--candidates: goes with the file of one policy" in text
    assert "--slate-size: goes with the file of one policy" in text
    assert main(["check-policy", str(folder / "a.toml"), "--since", "x"]) == 2
    assert "--since: goes with routes.toml or a folder" in capsys.readouterr().err
    (folder / "routes.toml").unlink()
    assert main(["check-policy", str(folder), "--since", "x"]) == 2
    assert "--since: goes with routes.toml, and there is none" in capsys.readouterr().err
    assert main(["check-policy", str(folder / "routes.toml")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(folder / "routes.toml")]) == 0
    text = capsys.readouterr().out
    assert "1. Requests with surface search meet a (10 %) and default (90 %)." in text
    assert main(["describe", str(folder)]) == 0
    assert "\na, revision " in capsys.readouterr().out
    (folder / "routes.toml").unlink()
    assert main(["describe", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("Requests that name no policy meet default.")
