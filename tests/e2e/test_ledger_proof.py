"""The small form of `make ledger-proof`: processes that are killed again and again lose and repeat nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize("place", ["sqlite", "valkey"])
def test_every_request_is_counted_exactly_once(place: str) -> None:
    words = [sys.executable, "-m", "benchmarks.ledger_proof", "--on", place, "--requests", "1500", "--kills", "3"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kills = re.search(r"; (\d+) times one was killed", done.stdout)
    assert kills is not None
    assert int(kills[1]) >= 4  # of 12: a quick process may be through before it is hit
    assert " 0 differ" in done.stdout
