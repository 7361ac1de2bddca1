"""A folder of policies as bytes: read at once, so that what is checked is what was compared and what serves."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from reranker.policy.files import read_bytes


@dataclass(frozen=True, slots=True)
class Folder:
    """What the `*.toml` of a folder held when it was read; equal when all of it is.

    `files` are bytes by name, or why a file could not be read; `problem` says why the folder could not.
    """

    path: Path
    files: tuple[tuple[str, bytes | str], ...] = ()
    problem: str = ""

    @classmethod
    def read(cls, path: Path) -> Folder:
        """All files at once, hidden ones left out."""
        if not path.is_dir():
            return cls(path, problem="is not a folder")
        try:
            names = sorted(name for name in os.listdir(path) if name.endswith(".toml") and not name.startswith("."))
        except OSError as error:
            return cls(path, problem=f"cannot be read: {error.strerror}")
        return cls(path, tuple((name, _read(path / name)) for name in names))

    def with_file(self, name: str, data: bytes) -> Folder:
        """The same with another file, or with other contents of one."""
        others = [file for file in self.files if file[0] != name]
        return replace(self, files=tuple(sorted([*others, (name, data)], key=lambda file: file[0])))


def _read(path: Path) -> bytes | str:
    try:
        return read_bytes(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
