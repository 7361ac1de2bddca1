"""Interleaved timing of several callables."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np


def medians(calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 4.0) -> dict[str, float]:
    """Median milliseconds by name. Every round times each call once, in turn; at most `seconds` altogether."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    stop = time.perf_counter() + seconds
    try:
        for done in range(rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                taken[name].append((time.perf_counter() - start) * 1e3)
            if time.perf_counter() > stop and done >= 4:
                break
    finally:
        gc.enable()
    return {name: float(np.median(values)) for name, values in taken.items()}
