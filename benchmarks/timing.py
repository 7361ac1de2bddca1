"""Interleaved timing of several callables."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np

FEWEST = 3  # a median of fewer is no median


def medians(calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 4.0) -> dict[str, float]:
    """Median milliseconds by name, in about `seconds` altogether; the collector of garbage is off.

    The calls take turns, each round in another order, drawn from a fixed seed, so that a machine that slows down slows
    all of them and nobody always follows the same neighbour. Each has an equal share of the time: one so slow that its
    share ends before the rounds do takes part in fewer of them, spread evenly, though in three at least.
    """
    turns = {name: _turns(call, rounds, seconds / len(calls)) for name, call in calls.items()}
    most = max(turns.values())
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order, shuffled = list(calls.items()), np.random.default_rng(0)
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        for done in range(most):
            for name, call in (order[at] for at in shuffled.permutation(len(order))):
                if (done + 1) * turns[name] // most == done * turns[name] // most:
                    continue
                start = time.perf_counter()
                call()
                taken[name].append((time.perf_counter() - start) * 1e3)
    finally:
        if was_on:
            gc.enable()
    return {name: float(np.median(values)) for name, values in taken.items()}


def _turns(call: Callable[[], object], rounds: int, share: float) -> int:
    """How often a call fits into its share of the time, judged by running it."""
    once = _seconds(call)
    if once < share:  # the first run may have had to warm up
        once = min(once, _seconds(call))
    return max(FEWEST, min(rounds, int(share / once)))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
