"""The keys of cursors, from a file: the first seals, every one opens. No error and no log line shows any of a key."""

from __future__ import annotations

import base64
import binascii
import string
from pathlib import Path

from reranker.engine.seal import LEAST_KEY, Seals
from reranker.errors import InvalidInput, Violation

_MOST_BYTES = 65_536  # of the file: more is some other file
_FORM = f"must be base64 or hex text of at least {LEAST_KEY} bytes, such as `openssl rand -base64 32` gives"


def read_seals(path: Path) -> Seals:
    """The seals of a file of keys, one a line; blank lines and those that begin with # are passed over.

    A line of hexadecimal digits alone is hex, any other base64, plain or URL-safe. Raises `InvalidInput` naming the
    file and every line that is wrong.
    """
    secrets, found = _secrets(_text(path))
    if not secrets and not found:
        found.append(Violation("key", f"there is none: each line {_FORM}"))
    if found:
        raise InvalidInput(found, source=str(path))
    return Seals(*secrets)


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise InvalidInput([Violation("cursor_key_file", reason)], source=str(path)) from None
    if len(text) > _MOST_BYTES:
        reason = f"must be at most {_MOST_BYTES} bytes: one key a line"
        raise InvalidInput([Violation("cursor_key_file", reason)], source=str(path))
    return text


def _secrets(text: bytes) -> tuple[list[bytes], list[Violation]]:
    """The keys in their order, and what is wrong with the lines that hold none."""
    found: list[Violation] = []
    line_of: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith(b"#"):
            continue
        secret = _decoded(stripped)
        if secret is None or len(secret) < LEAST_KEY:
            found.append(Violation("key", _FORM, number))
        elif secret in line_of:
            found.append(Violation("key", f"is that of line {line_of[secret]}", number))
        else:
            line_of[secret] = number
    return list(line_of), found


def _decoded(line: bytes) -> bytes | None:
    """The bytes that a line of text stands for; None when it is neither hex nor base64."""
    try:
        text = line.decode("ascii")
        if set(text) <= set(string.hexdigits):
            return bytes.fromhex(text)
        plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (UnicodeDecodeError, binascii.Error, ValueError):
        return None
