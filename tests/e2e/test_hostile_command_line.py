"""What a person cannot have meant: the command line refuses it whole, names it, and prints nothing that misleads."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

from reranker.cli import main, terminal
from reranker.kernels import jit

TONES = '[objective]\nstrategy = "relevance"\n[[quotas]]\nattribute = "tone"\nmax_per_value = 1\n'
EVIL = "a\nFAKE: SATISFIED \x1b[31m\u202e"
ROWS = [{"id": f"p{rank}", "score": 9 - rank, "tone": EVIL} for rank in range(3)]


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "tones.toml"
    path.write_text(TONES)
    return str(path)


@pytest.fixture
def listed(tmp_path: Path) -> str:
    return written(tmp_path / "list.json", ROWS)


def written(path: Path, tree: Any) -> str:
    path.write_text(json.dumps(tree))
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of standard error of a command that ends with 2 and says nothing else."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return [line.strip() for line in said.err.splitlines()]


# Flags


@pytest.mark.parametrize("flag", ["²=p1", "-1=p1", "=p1", "1=", "1", f"{'9' * 5000}=p1", "\x1b=p1"])
def test_slots_are_slots(flag: str, policy: str, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(capsys, "check-policy", policy, "--candidates", listed, f"--fixed={flag}")
    assert "must look like 3=ad-17, a slot from 1 and an item's id" in line
    assert line.isprintable()


@pytest.mark.parametrize("item", ["--5", "²", "-", "p1", "1_0", "9" * 5000])
def test_ids_that_are_numbers_are_numbers(
    item: str, policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "numbers.json", {"ids": [1, -5], "scores": [2, 1]})
    (line,) = refused(capsys, "check-policy", policy, "--candidates", path, "--fixed", f"1={item}")
    assert "must look like 3=17: the candidates' ids are integers" in line
    assert main(["check-policy", policy, "--candidates", path, "--fixed", "1=-5"]) == 0


def test_every_flag_that_is_wrong_is_named_at_once(
    policy: str, listed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--slate-size", "2", "--fixed", "1=p1", "--fixed", "1=p2", "--fixed", "9=p2", "--fixed", "2=p7"]
    flags += ["--target", "q", "--target", "g:a=0.5,a=0.2", "--target", "h:a=7"]
    assert refused(capsys, "rerank", "--policy", policy, "--candidates", listed, *flags)[1:] == [
        "--target q: must look like gender:woman=0.4,man=0.6",
        "--target g:a=0.5,a=0.2: gives a value the second share",
        "--fixed 1=p2: slot 1 is taken by another --fixed",
        "--fixed 9=p2: is beyond the slate, which has 2 slots",
        "--fixed 2=p7: names an item that is not among the candidates",
        "--target 'h': every share must be between 0 and 1",
    ]
    (line,) = refused(capsys, "rerank", "--policy", policy, "--candidates", listed, "--slate-size", "-5")
    assert line == "reranker rerank: --slate-size: must be at least 0"


def test_flags_about_candidates_need_candidates(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(capsys, "check-policy", policy, "--slate-size", "-5", "--fixed", "zz", "--target", "q")
    assert lines[1:] == [f"{flag}: goes with --candidates only" for flag in ("--slate-size", "--target", "--fixed")]


# Files


def test_every_mistake_of_every_file_is_named_with_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "bad.toml"
    policy.write_text("[objective]\ndiversity = 7\n")
    columns = {"ids": ["a\ud800", "b", "c"], "scores": [1, "x", math.nan], "embeddings": [[1, 2], [1], [3, 4]]}
    path = written(tmp_path / "bad.json", columns)
    lines = refused(capsys, "rerank", "--policy", str(policy), "--candidates", path, "--fixed", "zz")
    assert lines == [
        "reranker rerank: 6 violations",
        f"{policy}, line 2: objective.diversity: must be between 0 and 1",
        f"{path}: candidates.ids[0]: must be whole Unicode text: half of a surrogate pair stands alone in it",
        f"{path}: candidates.scores[1]: must be a number",
        f"{path}: candidates.scores[2]: must be finite",
        f"{path}: candidates.embeddings[1]: must have 2 numbers, as most rows have",
        "--fixed zz: must look like 3=ad-17, a slot from 1 and an item's id",
    ]


def test_one_file_that_is_wrong_is_named_once(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "bad.json", {"ids": ["a"], "scores": [math.inf]})
    assert refused(capsys, "check-policy", policy, "--candidates", path) == [
        f"reranker check-policy: {path}: candidates.scores[0]: must be finite"
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("{"))
    (line,) = refused(capsys, "check-policy", policy, "--candidates", "-")
    assert line.startswith("reranker check-policy: standard input: candidates: must be JSON: ")
    assert main(["check-policy", "absent.toml", "--candidates", path]) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  absent.toml: file: cannot be read: No such file or directory",
        f"  {path}: candidates.scores[0]: must be finite",
    ]


def test_what_only_policy_and_list_show_is_named_with_the_file(
    tmp_path: Path, listed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "domain.toml"
    policy.write_text(f'{TONES}[labels.tone]\nvalues = ["light"]\n')
    (line,) = refused(capsys, "rerank", "--policy", str(policy), "--candidates", listed)
    assert line.startswith(f"reranker rerank: {listed}: candidates.attributes['tone']: has values outside the domain")


def test_nobody_types_a_list_for_a_policy_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def read(self, size: int | None = -1, /) -> str:
            raise AssertionError

    monkeypatch.setattr("sys.stdin", Terminal())
    (line,) = refused(capsys, "rerank", "--policy", "absent.toml", "--candidates", "-")
    assert "absent.toml" in line


def test_a_huge_policy_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "huge.toml"
    path.write_text('[[quotas]]\nattribute = "a"\nmin_share = { x = 0.1 }\n' * 200_000)
    (line,) = refused(capsys, "check-policy", str(path))
    assert line == f"reranker check-policy: {path}: policy: is too large: at most 262,144 bytes are read"


# The terminal


def test_values_cannot_write_lines_of_their_own(policy: str, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-policy", policy, "--candidates", listed]) == 3
    assert main(["rerank", "--policy", policy, "--candidates", listed, "--explain", "--slate-size", "2"]) == 0
    text = capsys.readouterr().out
    assert text.count(r"tone a\nFAKE: SATISFIED \x1b[31m\u202e") >= 2
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.startswith("FAKE") for line in text.splitlines())


def test_ids_and_names_of_attributes_are_shown_escaped(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "ids.json", [{"id": "\x1b]0;x\x07", "score": 1, "\x1b[2J": float("nan")}])
    assert refused(capsys, "rerank", "--policy", policy, "--candidates", path)[0].endswith(
        r"candidates.attributes['\x1b[2J'][0]: must be text, a finite number or a boolean, not empty"
    )
    path = written(tmp_path / "ids.json", [{"id": "\x1b]0;x\x07", "score": 1}])
    assert main(["rerank", "--policy", policy, "--candidates", path]) == 0
    assert r"   1  \x1b]0;x\x07" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["describe", "check-policy"])
def test_a_policy_cannot_write_lines_of_its_own(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "about.toml"
    path.write_text(f'about = {{ purpose = """one\ntwo""", owner = "o\\u001b[31m\\nFAKE" }}\n{TONES}')
    assert main([command, str(path)]) == 0
    text = capsys.readouterr().out
    assert all(line.isprintable() and not line.startswith("FAKE") for line in text.splitlines())
    if command == "describe":
        assert "Purpose: one two." in text
        assert r"It belongs to o\x1b[31m\nFAKE." in text


def test_names_of_files_are_shown_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\nsound\x1b.toml"
    path.write_text("diversity = 1")
    assert main(["describe", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert r"a\nsound\x1b.toml: 2 violations" in lines[0]
    assert len(lines) == 3
    assert all(map(str.isprintable, lines))


def test_what_the_terminal_lacks_is_escaped(policy: str, tmp_path: Path) -> None:
    path = written(tmp_path / "list.json", [{"id": "é日", "score": 1}])
    done = subprocess.run(
        [sys.executable, "-m", "reranker.cli", "rerank", "--policy", policy, "--candidates", path],
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert r"\xe9\u65e5" in done.stdout


@pytest.mark.parametrize("command", [[], ["serve"], ["rerank"], ["check-policy"], ["describe"]])
def test_help_says_what_the_exit_codes_mean(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 done; 1 something that nobody foresaw; 2 a mistake" in text
    assert "3, of check-policy, a hard bound does not hold" in text


def test_compiling_is_announced_once(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.announcing_compilation("rerank"):
        for add in (1, 2):
            numba.njit(lambda number, add=add: number + add)(1)
    assert capsys.readouterr().err.count("reranker rerank: compiling kernels, once") == 1


def test_nothing_is_announced_where_nothing_compiles(
    policy: str, listed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    jit.warm_up()
    assert main(["rerank", "--policy", policy, "--candidates", listed]) == 0
    numba.njit(lambda number: number)(1)  # nor later on
    assert capsys.readouterr().err == ""
