"""`reranker warm-cache`, as whoever builds an image runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def warm_cache(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reranker.cli", "warm-cache", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_kernels_are_compiled_once() -> None:
    assert warm_cache().returncode == 0
    again = warm_cache()
    assert again.returncode == 0, again.stderr
    assert "kernels were there already" in again.stdout
    assert "kernels-" in again.stdout


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    refused = warm_cache("--folder", str(blocked / "cache"))
    assert refused.returncode == 2
    assert refused.stderr.startswith("reranker warm-cache: --folder: cannot be written to")
    assert "Traceback" not in refused.stderr
