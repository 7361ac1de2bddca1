"""A folder of catalog versions, and the small file `current` that names the one that serves.

Versions are added under names of their own and never changed; `current` is replaced in one step. So a reader finds the
old version or the new one, whole, at any moment, and one that has the old one mapped keeps it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reranker.errors import BadCatalog

POINTER, SUFFIX = "current", ".catalog"
_LOCK, _SCRATCH = ".lock", ".building-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
NAME_RULE = "must be 1 to 64 letters, digits, dots, dashes or underscores, the first of them a letter or a digit"


def is_version_name(text: str) -> bool:
    """Whether a version may be called that: it names a file, and no path."""
    return _NAME.fullmatch(text) is not None


def current_file(folder: Path) -> Path:
    """The file of the version that serves. Raises `BadCatalog` when the folder names none."""
    try:
        name = (folder / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        build = f"`reranker catalog build {folder} items.jsonl` makes one"
        raise BadCatalog(folder, f"has no current version: {build}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadCatalog(folder / POINTER, f"cannot be read: {error}") from None
    if not is_version_name(name):
        raise BadCatalog(folder / POINTER, f"must hold the name of a version: it {NAME_RULE}")
    return folder / f"{name}{SUFFIX}"


def versions(folder: Path) -> list[Path]:
    """The files of all versions, the newest first."""
    return sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A scratch folder on the same file system, for one build at a time; gone afterwards, whatever happens.

    Raises `BadCatalog` while another build is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadCatalog(folder, "another build is at work there: wait until it ends") from None
        for left_over in folder.glob(f"{_SCRATCH}*"):  # of a build that was killed: nobody else holds the lock
            shutil.rmtree(left_over, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def publish(folder: Path, built: Path, version: str, keep: int) -> Path:
    """Make a finished file of the folder's file system the current version; the `keep` newest versions stay.

    A file that is mapped by somebody lives on until they let go of it, deleted or not.
    """
    file = folder / f"{version}{SUFFIX}"
    os.replace(built, file)
    _sync(folder)
    pointer = built.parent / POINTER
    with pointer.open("w", encoding="utf-8") as stream:
        stream.write(f"{version}\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(pointer, folder / POINTER)
    _sync(folder)
    for old in [each for each in versions(folder) if each != file][max(0, keep - 1) :]:
        old.unlink(missing_ok=True)
    return file


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
