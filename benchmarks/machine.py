"""What this machine can do at most, with one BLAS thread, as NumPy reaches it: SGEMM, SGEMV and streams of memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

MILLION = 1_000_000


@dataclass(frozen=True)
class Peaks:
    """The best of many rounds: multiply-adds and bytes a second, in thousand millions."""

    sgemm: float
    sgemv_cached: float
    sgemv_memory: float
    copy_cached: float
    copy_memory: float
    triad_memory: float

    def rows(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def measure(seconds: float = 0.5, large: int = 64 * MILLION) -> Peaks:
    """Run each for about `seconds`; `large` bytes an array is meant to be more than every cache.

    The cached SGEMV is the size of a request, 1000 x 128. NumPy has no fused triad: a = b + s · c is two passes over
    memory, and the five arrays that they read and write are counted as such.
    """
    numbers = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return numbers.random(shape, np.float32)

    side = 768 if large >= MILLION else 64
    a, b, c = drawn(side, side), drawn(side, side), np.empty((side, side), np.float32)
    small, vector, answer = drawn(1000, 128), drawn(128), np.empty(1000, np.float32)
    wide, at = drawn(max(large // 4096, 2), 1024), drawn(1024)
    long = np.empty(len(wide), np.float32)
    x, y, z = drawn(large // 4), drawn(large // 4), np.empty(large // 4, np.float32)
    near, near_copy = drawn(32_768), np.empty(32_768, np.float32)

    def triad() -> None:
        np.multiply(y, np.float32(3.0), out=z)
        np.add(x, z, out=z)

    return Peaks(
        sgemm=_best(lambda: np.matmul(a, b, out=c), float(side) ** 3, seconds),
        sgemv_cached=_best(lambda: np.matmul(small, vector, out=answer), small.size, seconds),
        sgemv_memory=_best(lambda: np.matmul(wide, at, out=long), wide.size, seconds),
        copy_cached=_best(lambda: np.copyto(near_copy, near), 2.0 * near.nbytes, seconds),
        copy_memory=_best(lambda: np.copyto(z, x), 2.0 * x.nbytes, seconds),
        triad_memory=_best(triad, 5.0 * x.nbytes, seconds),
    )


def _best(call: Callable[[], object], amount: float, seconds: float) -> float:
    """The most `amount` a second, in thousand millions: a peak is what was reached once, not the median."""
    call()
    least, stop = np.inf, time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        end = time.perf_counter()
        least = min(least, end - start)
        if end > stop:
            return float(amount / least / 1e9)
