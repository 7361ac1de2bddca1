"""What a server is started with, gathered in one folder: two servers that are compared get the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.catalog import DATA
from examples.server_process import ROOT
from loadtest.errors import LoadtestError
from loadtest.workload.bodies import corpus_of, lengthened
from loadtest.workload.scenario import Scenario

_HERE = Path(__file__).resolve().parent.parent
FOLDERS = (_HERE.parent / "policies", _HERE / "policies")
"""The worked examples, and those that only put a server under load."""

_PREFIX = "loadtest-server-"


class Gathered(NamedTuple):
    """The policies that a scenario names and no others, and the flags that its requests need of a server."""

    policies: Path
    flags: tuple[str, ...]


@contextmanager
def gathered(scenario: Scenario) -> Iterator[Gathered]:
    """All of it, for as long as the context lasts. Raises `LoadtestError` for a policy that nobody has."""
    _remove_orphans()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        policies = Path(folder) / "policies"
        policies.mkdir()
        for name in scenario.policies:
            found = [path for path in (place / f"{name}.toml" for place in FOLDERS) if path.exists()]
            if not found:
                raise LoadtestError(f"there is no policy {name!r} in policies/ or loadtest/policies/")
            shutil.copy(found[0], policies)
        if scenario.catalog is None:
            yield Gathered(policies, ())
        else:
            catalog = Path(folder) / "catalog"
            _build(catalog, *scenario.catalog)
            yield Gathered(policies, ("--catalog", str(catalog)))


def _build(folder: Path, name: str, dimension: int) -> None:
    """The item catalog of a corpus, its vectors repeated to a length, in float16 as they were recorded."""
    corpus = corpus_of(name)
    items = folder.with_suffix(".npz")
    with np.load(DATA / name / "catalog.npz", allow_pickle=False) as stored:
        parts = {key: stored[key] for key in stored.files}
    np.savez(items, **{**parts, "embeddings": lengthened(corpus.embeddings, dimension)})
    words = [
        sys.executable,
        "-m",
        "reranker.cli",
        "catalog",
        "build",
        "--precision",
        "float16",
        str(folder),
        str(items),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadtestError(f"no catalog could be built of {name}: {done.stderr.strip()}")


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
