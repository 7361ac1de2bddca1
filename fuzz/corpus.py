"""The corpus that is kept: by target, in one archive, the requests that between them reach what fuzzing reached."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
_THEN = (1980, 1, 1, 0, 0, 0)  # the oldest time that archives know: the same requests make the same bytes


def archive(target: str) -> Path:
    """Where a target's requests are, named as other fuzzers name theirs."""
    return FOLDER / f"{target}_seed_corpus.zip"


def read(target: str) -> Mapping[str, bytes]:
    """A target's requests by name; none where nothing is kept."""
    file = archive(target)
    if not file.exists():
        return {}
    with zipfile.ZipFile(file) as kept:
        return {name: kept.read(name) for name in sorted(kept.namelist())}


def keep(target: str, requests: Iterable[bytes]) -> None:
    """Make these a target's requests."""
    FOLDER.mkdir(exist_ok=True)
    named = {sha256(data).hexdigest()[:16]: data for data in requests}
    with zipfile.ZipFile(archive(target), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as kept:
        for name in sorted(named):
            kept.writestr(zipfile.ZipInfo(name, _THEN), named[name], zipfile.ZIP_DEFLATED, 9)


def unpack(target: str, folder: Path, more: Iterable[bytes] = ()) -> None:
    """Put them into a folder, a file each, with `more`; what is in there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*read(target).values(), *more):
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
