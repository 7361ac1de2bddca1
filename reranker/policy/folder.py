"""A folder of policies as bytes: read at once, so that what is checked is what was compared and what serves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reranker.errors import InvalidInput, Violation
from reranker.policy.files import read_bytes


@dataclass(frozen=True, slots=True)
class Folder:
    """What the `*.toml` of a folder held: bytes by name, or why a file could not be read. Equal when all of it is."""

    source: str
    files: tuple[tuple[str, bytes | str], ...]

    @classmethod
    def read(cls, folder: Path) -> Folder:
        """All files at once, hidden ones left out. Raises `InvalidInput` when it is no folder."""
        if not folder.is_dir():
            raise InvalidInput([Violation("policies", "is not a folder")], str(folder))
        paths = sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
        return cls(str(folder), tuple((path.name, _read(path)) for path in paths))

    @property
    def digest(self) -> str:
        """A hash over names and contents."""
        digest = hashlib.sha256()
        for name, data in self.files:
            content = data if isinstance(data, bytes) else data.encode()
            digest.update(f"{len(name.encode())} {len(content)} {name}".encode("utf-8", "surrogateescape") + content)
        return digest.hexdigest()


def _read(path: Path) -> bytes | str:
    try:
        return read_bytes(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
