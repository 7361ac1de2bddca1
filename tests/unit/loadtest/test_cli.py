"""Flags and scenarios that are wrong end with 2 and say why, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import cli


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rate", "no-such"], "there is no scenario 'no-such'"),
        (["rate", "small", "--rate", "0"], "rate must be above 0"),
        (["rate", "small", "--seconds", "-3"], "seconds must be above 0"),
        (["rate", "small", "--server", "10.1.2.3:50051"], "is not this machine"),
        (["compare", "small", "--with", "no-such-commit"], "no commit"),
        (["sweep", "small", "--processes", "0"], "processes must be above 0"),
    ],
)
def test_mistakes_end_with_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_scenario_file_of_ones_own_is_named_in_its_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nrate = 'fast'\n")
    assert cli.main(["rate", str(path)]) == 2
    assert "mine.toml: run.rate must be of type float" in capsys.readouterr().err


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["rate", "small", "--speed", "3"])
