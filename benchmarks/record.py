"""Where results go: one JSON file a run, with the machine and the versions in it."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
COMPARED = ("numpy", "numba", "pyversity", "dppy", "langchain-core", "qdrant-client", "fairsearchcore", "aif360")


def write(path: Path, found: dict[str, Any]) -> None:
    """Write `found` with where it was measured; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**_where(), **found}, indent=1) + "\n")
    part.replace(path)


def said(path: Path) -> None:
    """Say where it was written, as short as can be."""
    here = Path.cwd()
    print(f"written to {path.relative_to(here) if path.is_relative_to(here) else path}")


def _where() -> dict[str, Any]:
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", ""),
    }
    return {"machine": machine, "versions": {name: _version(name) for name in COMPARED}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """What Linux calls it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
