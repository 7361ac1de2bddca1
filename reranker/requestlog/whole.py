"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o640
"""The mode of what was recorded of people's requests."""
ANYBODY = 0o666
"""The mode of other files, less the process's umask."""


@contextmanager
def whole(path: Path, mode: int = ANYBODY) -> Iterator[Path]:
    """Where to write what shall stand at `path`: it is moved there, synced, when the block ends without an exception.

    Until then, and where the machine stops in the middle, `path` is as it was. Raises `OSError`.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode))
        yield unfinished
        with unfinished.open("rb+") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
