"""The folder that the documents go to: found out about before a test that may take hours, and nothing in it is lost."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from loadtest.errors import LoadtestError

ENDINGS = (".json", ".html", ".md")


def check_folder(folder: Path) -> None:
    """Make it if need be. Raises `LoadtestError` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LoadtestError(f"--out: cannot write to {folder}: {error.strerror}") from None


def keep_earlier(folder: Path, stem: str) -> str | None:
    """Give the documents of an earlier test with the same name that of their time; returns it, None without any."""
    there = [path for path in (folder / f"{stem}{ending}" for ending in ENDINGS) if path.exists()]
    if not there:
        return None
    written = datetime.fromtimestamp(max(path.stat().st_mtime for path in there), UTC)
    kept = base = f"{stem}-{written:%Y%m%dT%H%M%SZ}"
    number = 1
    while any((folder / f"{kept}{ending}").exists() for ending in ENDINGS):
        number += 1
        kept = f"{base}-{number}"
    for path in there:
        path.rename(folder / f"{kept}{path.suffix}")
    return kept
