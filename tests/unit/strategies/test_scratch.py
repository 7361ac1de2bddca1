"""Scratch memory: what it is asked for, what it held before, and what lies behind it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config

from reranker.strategies import scratch as scratches
from reranker.strategies.scratch import Scratch

_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("guarded_scratch.py")


def picks(memory: str, first: int, last: int) -> list[str]:
    command = [sys.executable, str(PROGRAM), memory, str(first), str(last)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=variables)
    assert done.returncode == 0, f"ended by {done.returncode} after {done.stdout.splitlines()[-1:]}: {done.stderr}"
    return done.stdout.splitlines()


@pytest.mark.skipif(bool(_CONFIG.DISABLE_JIT), reason="NumPy checks its bounds")
@pytest.mark.skipif(sys.platform != "linux", reason="guards pages with mprotect")
@pytest.mark.parametrize("first", range(0, 900, 300))
def test_nothing_reads_or_writes_behind_its_scratch_or_what_nobody_wrote(first: int) -> None:
    assert picks("guarded", first, first + 300) == picks("ordinary", first, first + 300)


def test_an_array_is_the_same_until_its_shape_changes() -> None:
    scratch = Scratch()
    first = scratch.singles("rows", 3, 16)
    assert scratch.singles("rows", 3, 16) is first
    smaller = scratch.singles("rows", 2, 16)
    assert smaller.shape == (2, 16)
    assert np.shares_memory(first, smaller)
    assert scratch.doubles("rows", 40, 16).dtype == np.float64
    assert scratch.numbers("kinds", 0).shape == (0,)
    assert all(scratch.singles("rows", n, 16).ctypes.data % 64 == 0 for n in range(1, 60))


def test_what_a_huge_request_took_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratches, "_free", [])
    small, huge = Scratch(), Scratch()
    small.singles("rows", 1000, 128)
    huge.singles("rows", 20_000, 4096)
    scratches.give_back(small)
    scratches.give_back(huge)
    assert scratches.borrow() is small
    assert scratches.borrow() not in (small, huge)


def test_what_is_made_together_is_made_again_once_an_array_is_another() -> None:
    scratch, made = Scratch(), []

    def make() -> int:
        made.append(scratch.singles("rows", 3, 16))
        return len(made)

    assert [scratch.together("a", make), scratch.together("a", make), scratch.together("b", make)] == [1, 1, 2]
    scratch.singles("others", 5)  # an array that is new is no array that changed, but nobody tells them apart
    assert scratch.together("b", make) == 3
    scratch.singles("rows", 2, 16)
    assert scratch.together("b", make) == 4
    assert made[3].shape == (3, 16)
