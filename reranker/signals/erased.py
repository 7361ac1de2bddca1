"""Ids that were erased, in a file beside the versions of a catalog: servers hide them at once, builds leave them out.

One id a line, as JSON: a text in quotes or a number. Lines are only ever added, and count from their line break on, so
one that was cut off by a crash is none. To take an id back, write the file anew without it and rename it into place.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path

from reranker.candidates import Id
from reranker.errors import BadCatalog

FILE = "erased"


def read_erased(folder: Path) -> list[Id]:
    """The ids, empty where there is no such file. Raises `BadCatalog` for a file that is something else."""
    path = folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadCatalog(path, f"cannot be read: {error.strerror}") from None
    return _ids_in(path, data)


def mark_of(folder: Path) -> tuple[int, int, int]:
    """What changes when the file does; zeros where there is none."""
    try:
        found = (folder / FILE).stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def add_erased(folder: Path, ids: Sequence[Id]) -> None:
    """Add those ids that are not there yet, and return when all are on the disk. Raises `OSError` and `BadCatalog`."""
    path = folder / FILE
    is_new = not path.exists()
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        data = file.read()
        there = set(_ids_in(path, data))
        fresh = [item for item in ids if item not in there]
        if fresh:  # else the file stays as it is, and nobody has to read it again
            file.truncate(data.rfind(b"\n") + 1)  # a line that was cut off was never promised to anybody
            file.write(b"".join(json.dumps(item).encode() + b"\n" for item in fresh))
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _ids_in(path: Path, data: bytes) -> list[Id]:
    return [_id(path, number, line) for number, line in enumerate(data.split(b"\n")[:-1], start=1)]


def _id(path: Path, number: int, line: bytes) -> Id:
    try:
        item = json.loads(line)
    except ValueError:
        item = None
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise BadCatalog(path, f"line {number} must be one id as JSON, a text in quotes or a number")
    return item
