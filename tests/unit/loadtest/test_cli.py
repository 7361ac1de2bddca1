"""Flags and scenarios that are wrong end with 2 and say why, before anything is started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest import cli
from loadtest.errors import GeneratorFailed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rate", "no-such"], "there is no scenario 'no-such'"),
        (["rate", "small", "--rate", "0"], "rate must be above 0"),
        (["rate", "small", "--seconds", "-3"], "seconds must be above 0"),
        (["rate", "small", "--server", "10.1.2.3:50051"], "is not this machine"),
        (["compare", "small", "--with", "no-such-commit"], "no commit"),
        (["sweep", "small", "--processes", "0"], "processes must be above 0"),
        (["rate", "small", "--rate", "nan"], "run.rate must be above 0"),
        (["rate", "small", "--rate", "inf"], "run.rate must be above 0"),
        (["rate", "small", "--rate", "1e12"], "run.rate must be above 0"),
        (["rate", "small", "--warm-up", "1e9"], "run.warm_up must be from 0 to 3,600"),
        (["rate", "small", "--seconds", "1e9"], "run.seconds must be above 0 and at most 14,400"),
        (["rate", "small", "--seed", "-1"], "run.seed must be from 0"),
        (["rate", "small", "--server", "127.0.0.1:99999"], "ports are from 1 to 65535"),
        (["rate", "small", "--pid", "1"], "--pid is for a server that runs already"),
        (["rate", "small", "--server", "127.0.0.1:5", "--pid", "999999999"], "no process 999999999"),
        (["compare", "small", "--with", ".", "--pairs", "1"], "pairs must be from 3"),
        (["sweep", "small", "--longest", "0"], "longest must be above 0"),
        (["sweep", "small", "--longest", "nan"], "longest must be above 0"),
        (["rate", "small", "--out", "/dev/null/folder"], "--out: cannot write"),
    ],
)
def test_mistakes_end_with_2(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
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


def failing(error: BaseException) -> Callable[..., Any]:
    def mode(*_: Any) -> Any:
        raise error

    return mode


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ZeroDivisionError("by nothing"), 4, "failed unexpectedly: ZeroDivisionError: by nothing"),
        (OSError(28, "No space left on device"), 4, "No space left"),
        (GeneratorFailed("a client process died"), 4, "a client process died"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_goes_wrong_is_never_a_missed_promise(
    error: BaseException,
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(cli._MODES, "rate", failing(error))
    monkeypatch.setattr(cli, "_forget_output", lambda: None)
    assert cli.main(["rate", "small", "--out", str(tmp_path)]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") <= 1
    assert "Traceback" not in said


def test_a_traceback_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(cli._MODES, "rate", failing(ZeroDivisionError()))
    monkeypatch.setenv(cli.DEBUG, "1")
    assert cli.main(["rate", "small", "--out", str(tmp_path)]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_signals_are_handled_while_it_runs_and_left_alone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    stopped: list[int] = []
    for number in numbers:

        def mode(*_: Any, number: signal.Signals = number) -> Any:
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                for other in numbers:  # impatience does not keep it from stopping what it has started
                    os.kill(os.getpid(), other)
                stopped.append(number)

        monkeypatch.setitem(cli._MODES, "rate", mode)
        try:
            code = cli.main(["rate", "small", "--out", str(tmp_path)])
        except SystemExit as left:
            code = int(str(left.code))
        assert code == 128 + number
        assert stopped.pop() == number
    assert [signal.getsignal(number) for number in numbers] == before
