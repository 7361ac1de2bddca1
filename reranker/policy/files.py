"""Files of words as text: of bounded size, in UTF-8, whatever the path names."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from reranker.errors import InvalidInput, Violation
from reranker.policy.mistakes import MOST_BYTES, TOO_LARGE


def read_bytes(path: Path) -> bytes:
    """The file's bytes, one more than may be where it is too large: it may never end. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def replace_file(path: Path, data: bytes) -> None:
    """Let the file hold these bytes, in one step: nobody reads a part of them. Raises `OSError`."""
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(made).chmod(0o644)  # servers may run as somebody else
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def text_of(data: bytes, source: str, whole: str = "policy") -> str:
    """The text of a file's bytes. Raises `InvalidInput` with the line of what is no text."""
    if len(data) > MOST_BYTES:
        raise InvalidInput([Violation(whole, TOO_LARGE)], source)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        reason = f"is not UTF-8 text (byte {column} of the line)"
        raise InvalidInput([Violation(whole, reason, line)], source) from None
