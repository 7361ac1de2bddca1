"""What an algorithm needs: multiply-adds and bytes of a slate, counted as a loop that works out everything does them.

These are the eager counts: each slot looks at each candidate. What a lazy scan cannot avoid is in `benchmarks.lazy`.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ours import Setting

FLOAT32 = 4


@dataclass(frozen=True)
class Need:
    """`multiply_adds`; `once` bytes when every input is read one single time; `streamed` when every slot reads anew."""

    multiply_adds: float
    once: float
    streamed: float


def eager(setting: Setting, N: int, D: int, k: int) -> Need:
    """The count for N candidates of D dimensions and k slots.

    The last pick updates nothing. dpp and ssd see one dimension more, the constant that makes cosines (1 + cosine) / 2.
    cover takes all similarities, of which the half is enough, and in each slot one sum over N for every candidate.
    """
    slots = max(min(k, N) - 1, 0)
    once = float(FLOAT32 * N * D)
    if setting.strategy == "cover":
        sums = float(N) * N * (slots + 1)
        return Need(N * float(N) * D / 2 + sums, once, once + FLOAT32 * sums)
    widths = [_width(setting, D, done) for done in range(slots)]
    multiply_adds = float(N) * sum(widths)
    return Need(multiply_adds, once, max(once, FLOAT32 * multiply_adds))


def _width(setting: Setting, D: int, done: int) -> int:
    """How long the row is that one candidate is updated by after `done` updates before."""
    if setting.strategy == "dpp":
        return D + 1 + (min(done, setting.window) if setting.window else done)
    if setting.strategy == "ssd":
        return D + 1 + (min(done, setting.window) if setting.window else done)
    return D
