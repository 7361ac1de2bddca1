"""A program that selects in scratch memory full of NaN with a page behind it that nobody may touch; prints the picks.

Vector products check no bounds. One that reads or writes behind its arrays ends this program; one that reads what
nobody wrote makes other picks.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker import Candidates, Policy, rerank
from reranker.strategies.scratch import Scratch

_MPROTECT = ctypes.CDLL(None, use_errno=True).mprotect
_KEPT: list[mmap.mmap] = []
_QUOTAS: list[list[dict[str, Any]]] = [
    [],
    [{"attribute": "tone", "min_share": {"1": 0.4}}],
    [{"attribute": "tone", "max_per_value": 1, "window": 3}],
]


def guarded(size: int) -> NDArray[np.uint8]:
    """`size` bytes of 0xFF that end where a page begins that can neither be read nor written."""
    whole = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = mmap.mmap(-1, whole + mmap.PAGESIZE)
    _KEPT.append(pages)
    data = np.frombuffer(pages, np.uint8)
    assert _MPROTECT(ctypes.c_void_p(data.ctypes.data + whole), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    data[:whole] = 0xFF
    return data[whole - size : whole]


def fresh(self: Scratch, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """What `Scratch` gives, guarded."""
    return guarded(int(np.prod(shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)


def cases(seed: int) -> tuple[Candidates, Policy, int]:
    """A list and a policy of sizes around those of registers and blocks."""
    numbers = np.random.default_rng(seed)
    count, width = int(numbers.choice([1, 2, 3, 15, 16, 17, 33, 64, 70])), int(numbers.choice([1, 2, 15, 16, 17, 40]))
    slots = int(numbers.integers(1, count + 3))
    rows = numbers.standard_normal((count, width)).astype(np.float32)
    rows[numbers.random(count) < 0.1] = 0.0
    rows[numbers.random(count) < 0.2] = rows[0]
    scores = numbers.integers(0, 5, count) if seed % 3 == 0 else numbers.standard_normal(count)
    strategy = ("dpp", "mmr", "msd", "ssd", "cover")[seed % 5]
    window = int(numbers.choice([0, 2, 3, 5, 16, 17])) if strategy in ("dpp", "mmr", "ssd") else 0
    objective = {"strategy": strategy, "diversity": float(numbers.choice([0.2, 0.5, 1.0])), "window": window}
    tones = [str(tone) if tone else None for tone in numbers.integers(0, 3, count)]
    quotas = _QUOTAS[seed // 5 % 3]
    candidates = Candidates(range(count), scores, rows, {"tone": tones})
    return candidates, Policy.from_dict({"objective": objective, "quotas": quotas}), slots


if __name__ == "__main__":
    if sys.argv[1] == "guarded":
        Scratch._array = fresh  # type: ignore[method-assign]
        Scratch.together = lambda self, key, make: make()  # type: ignore[method-assign]
    for seed in range(int(sys.argv[2]), int(sys.argv[3])):
        candidates, policy, slots = cases(seed)
        slate = rerank(candidates, policy, slots, explain=seed % 2 == 0)
        print(seed, *slate.positions, *slate.gains.tolist(), flush=True)
