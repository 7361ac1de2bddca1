"""The policies that a scenario names, gathered in one folder: two servers that are compared get the same ones."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.errors import LoadtestError

_HERE = Path(__file__).resolve().parent.parent
FOLDERS = (_HERE.parent / "policies", _HERE / "policies")
"""The worked examples, and those that only put a server under load."""

_PREFIX = "loadtest-policies-"


def _remove_orphans() -> None:
    """Folders of load tests that were killed before they could remove them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = re.match(rf"{_PREFIX}(\d+)-", folder.name)
        try:
            if owner and folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
                os.kill(int(owner[1]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, OverflowError):
            continue  # somebody else's, or gone meanwhile


@contextmanager
def gathered(names: Sequence[str]) -> Iterator[Path]:
    """A folder that holds these policies and no others. Raises `LoadtestError` for a name that nobody has."""
    _remove_orphans()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        for name in names:
            found = [path for path in (place / f"{name}.toml" for place in FOLDERS) if path.exists()]
            if not found:
                raise LoadtestError(f"there is no policy {name!r} in policies/ or loadtest/policies/")
            shutil.copy(found[0], folder)
        yield Path(folder)
