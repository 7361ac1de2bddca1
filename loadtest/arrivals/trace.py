"""Arrivals as they came in life: a recorded trace, brought to the rate that is asked for, its bursts kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtest.errors import LoadtestError

FILE = Path(__file__).resolve().parents[2] / "examples" / "data" / "arrivals" / "azure_llm_2023.npz"


@cache
def gaps(name: str) -> NDArray[np.float64]:
    """The milliseconds between one request and the next. Raises `LoadtestError` when there is no such trace."""
    try:
        with np.load(FILE, allow_pickle=False) as stored:
            names = sorted(key.removesuffix(".gaps_ms") for key in stored.files)
            if name not in names:
                raise LoadtestError(f"there is no trace {name!r}; there are {', '.join(names)}")
            return np.asarray(stored[f"{name}.gaps_ms"], np.float64)
    except (OSError, ValueError) as error:
        raise LoadtestError(f"the traces cannot be read from {FILE}: {error}") from None


def replayed(name: str, rate: float, seconds: float, first: int = 0) -> NDArray[np.float64]:
    """Seconds at which rate × seconds consecutive arrivals of the trace are due, drawn together to fill `seconds`.

    So the mean rate is exact, and calm and bursts stand to each other as they did. `first` is the arrival at which to
    begin; the trace starts anew at its end.
    """
    recorded = gaps(name)
    count = max(1, round(rate * seconds))
    # The first gap of the trace is no gap at all: where it starts anew, the mean one stands in for it.
    circle = np.concatenate([[recorded[1:].mean()], recorded[1:]])
    chosen = circle[(first + np.arange(count)) % len(circle)]
    ends = np.cumsum(chosen)
    due: NDArray[np.float64] = (ends - chosen[0] / 2) * (seconds / ends[-1])
    return due
