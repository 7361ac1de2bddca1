"""The small forms of `make replay-proof` and `make bench-stream`: what is killed loses nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra parquet")
pytestmark = pytest.mark.timeout(700)
PATIENCE = 600.0  # a run begins again after each kill: twenty seconds, where others keep the cores busy


def done(module: str, *flags: str) -> str:
    words = [sys.executable, "-m", f"benchmarks.{module}", *flags]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_replay_that_is_killed_again_and_again_has_the_same_bytes() -> None:
    said = done("replay_proof", "--requests", "3000", "--kills", "3", "--shard", "50")
    kills = [int(count) for count in re.findall(r"(\d+) times", said)]
    assert sum(kills) >= 1, said  # of 3: a quick run may be through before it is hit
    assert "60 files" in said
    assert " 0 differ" in said
    assert "missing: 0, there twice: 0, beyond the last: 0" in said


def test_a_long_replay_goes_on_in_its_folder_and_watches_disk_and_memory(tmp_path: Path) -> None:
    flags = ("--requests", "2000", "--folder", str(tmp_path))
    said = done("replay_stream", *flags)
    assert "2,000 requests in" in said
    assert "at most 4 GB of disk: yes" in said
    before = {path.name: path.read_bytes() for path in (tmp_path / "run" / "results").iterdir()}
    assert "0 requests in" in done("replay_stream", *flags)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run" / "results").iterdir()} == before
