"""The file of cursor keys: what it may hold, and mistakes that are named without showing a key."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from reranker.engine.seal import BadSeal, Seal, Seals
from reranker.errors import InvalidInput
from reranker.runtime import process
from reranker.runtime.keys import read_seals
from reranker.runtime.settings import Settings
from reranker.v1.cursor_pb2 import Cursor

ONE, OTHER = bytes(range(32)), bytes(range(100, 150))
PAGE = Cursor(policy_revision="r", shown=3)


def seals_of(folder: Path, text: str | bytes) -> Seals:
    path = folder / "keys"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_seals(path)


def refusal_of(folder: Path, text: str | bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        seals_of(folder, text)
    return raised.value


@pytest.mark.parametrize(
    "line",
    [
        base64.b64encode(OTHER).decode(),
        base64.urlsafe_b64encode(OTHER).decode(),
        base64.b64encode(OTHER).decode().rstrip("="),
        OTHER.hex(),
        OTHER.hex().upper(),
        f"  {OTHER.hex()}\t\r",
    ],
    ids=["base64", "url-safe", "no padding", "hex", "HEX", "spaces"],
)
def test_a_key_is_base64_or_hex(tmp_path: Path, line: str) -> None:
    assert seals_of(tmp_path, f"{line}\n").open(Seal(OTHER).close(PAGE))[0] == PAGE


def test_the_first_key_seals_and_every_key_opens(tmp_path: Path) -> None:
    seals = seals_of(tmp_path, f"# new\n{ONE.hex()}\n\n# old\n{base64.b64encode(OTHER).decode()}\n")
    assert seals.current.close(PAGE) == Seal(ONE).close(PAGE)
    assert [seals.open(Seal(key).close(PAGE))[0] for key in (ONE, OTHER)] == [PAGE, PAGE]
    with pytest.raises(BadSeal):
        seals.open(Seal(bytes(16)).close(PAGE))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (ONE[:15].hex(), [1]),
        ("a passphrase is no key!", [1]),
        (f"{ONE.hex()}\nabc\n{OTHER.hex()}\n{'z' * 30}é\n", [2, 4]),
        (f"{ONE.hex()}0", [1]),
        (b"\xff\xfe" * 20, [1]),
        (f"{ONE.hex()}\n\n{base64.b64encode(ONE).decode()}", [3]),
        ("", [0]),
        ("# none yet\n\n", [0]),
    ],
    ids=["short", "words", "two lines", "odd hex", "bytes", "twice", "empty", "comments"],
)
def test_every_bad_line_is_named_and_none_is_shown(tmp_path: Path, text: str | bytes, lines: list[int]) -> None:
    error = refusal_of(tmp_path, text)
    assert [violation.line for violation in error.violations] == lines
    assert str(tmp_path / "keys") in str(error)
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    assert not any(line and line in str(error) for line in shown.splitlines())


@pytest.mark.parametrize(("listen", "level"), [("127.0.0.1:0", "INFO"), ("0.0.0.0:0", "WARNING")])
def test_without_keys_a_server_for_others_warns(listen: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("reranker").propagate = True
    with caplog.at_level(logging.INFO, logger="reranker"):
        process.warn_of_cursors(Settings(listen=listen))
    assert [record.levelname for record in caplog.records] == [level]


def test_a_key_of_sixteen_bytes_is_long_enough(tmp_path: Path) -> None:
    assert seals_of(tmp_path, ONE[:16].hex()).current.close(PAGE) == Seal(ONE[:16]).close(PAGE)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    assert "at most 65536 bytes" in str(refusal_of(tmp_path, b"0" * 70_000))
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_seals(tmp_path / "nothing")
