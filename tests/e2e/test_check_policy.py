"""`reranker check-policy` on a list, as the owner of a policy meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reranker.cli import main

TONES = ["light"] * 6 + [None] * 2 + ["dark"] * 2


@pytest.fixture
def candidates(tmp_path: Path) -> str:
    """Ten items, the last two dark, with scores from 10 down to 1."""
    path = tmp_path / "list.json"
    columns = {
        "ids": [f"i{rank}" for rank in range(10)],
        "scores": [float(10 - rank) for rank in range(10)],
        "attributes": {"tone": TONES},
    }
    path.write_text(json.dumps(columns))
    return str(path)


def check(tmp_path: Path, words: str, *flags: str) -> int:
    path = tmp_path / "policy.toml"
    path.write_text(f'[objective]\nstrategy = "relevance"\n{words}')
    return main(["check-policy", str(path), *flags])


def test_bounds_that_hold_end_with_0(tmp_path: Path, candidates: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = '[[quotas]]\nattribute = "tone"\nmin_count = { dark = 1 }\nwithin = 5\n'
    assert check(tmp_path, words, "--candidates", candidates, "--slate-size", "5") == 0
    text = capsys.readouterr().out
    assert "on 10 candidates, a slate of 5:" in text
    assert "MET       tone dark: at least 1, has 1" in text
    assert "relevance kept: 90.0% of the upstream order's" in text
    assert "without its quotas 100.0%" in text
    assert "there is no guard" in text
    assert "tone: known for 8 of 10 candidates (80%)" in text


def test_a_broken_bound_ends_with_3_and_says_what_would_help(
    tmp_path: Path, candidates: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = '[[quotas]]\nattribute = "tone"\nmin_count = { dark = 4 }\n'
    assert check(tmp_path, words, "--candidates", candidates) == 3
    text = capsys.readouterr().out
    assert "SUPPLY_LIMITED" in text
    assert "at least 4, has 2 in the first 10 slots" in text
    assert "more of them would do" in text


def test_the_guard_says_whom_it_takes_away(tmp_path: Path, candidates: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = '[guard]\nmin_score = 4\n[[quotas]]\nattribute = "tone"\nmin_count = { dark = 1 }\nwithin = 5\n'
    assert check(tmp_path, words, "--candidates", candidates, "--slate-size", "5") == 3
    text = capsys.readouterr().out
    assert "the guard: 7 of 10 candidates may be lifted" in text
    assert "tone: light 6 of 6, dark 0 of 2" in text
    assert "too few candidates for it pass the guard" in text


@pytest.mark.parametrize(("mode", "word"), [("fail", "REFUSED"), ("strict", "STRICT_UPSTREAM")])
def test_modes_that_do_not_relax(
    tmp_path: Path, candidates: str, mode: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f'[on_infeasible]\nmode = "{mode}"\n[[quotas]]\nattribute = "tone"\nmin_count = {{ dark = 4 }}\n'
    assert check(tmp_path, words, "--candidates", candidates) == 3
    assert word in capsys.readouterr().out


def test_targets_and_fixed_items_come_as_flags(
    tmp_path: Path, candidates: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = '[[quotas]]\nattribute = "tone"\ntarget = "request"\ntolerance = 0.25\n'
    flags = ["--candidates", candidates, "--slate-size", "4"]
    assert check(tmp_path, words, *flags) == 0
    assert "SUSPENDED" in capsys.readouterr().out
    assert check(tmp_path, words, *flags, "--target", "tone:light=0.5,dark=0.5", "--fixed", "1=i6") == 0
    text = capsys.readouterr().out
    assert "tone dark: at least 1, has 1" in text
    assert "tone light: at most 3, has 2" in text


@pytest.mark.parametrize(
    "flags", [["--target", "tone"], ["--target", "tone:dark"], ["--target", "tone:dark=many"], ["--fixed", "one=i3"]]
)
def test_flags_that_say_nothing_end_with_2(
    tmp_path: Path, candidates: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words: Any = '[[quotas]]\nattribute = "tone"\nmin_count = { dark = 1 }\n'
    assert check(tmp_path, words, "--candidates", candidates, *flags) == 2
    assert "must look like" in capsys.readouterr().err


def test_mistakes_have_file_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = '[[quotas]]\nattribute = "tone"\nmin_share = { dark = 2.0 }\ntolerance = 0.1\n'
    assert check(tmp_path, words) == 2
    text = capsys.readouterr().err
    assert "policy.toml" in text
    assert "quotas[0].min_share" in text
    assert "line 5" in text
    assert "quotas[0].tolerance" in text
