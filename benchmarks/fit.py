"""Exponents of growth: least squares of log time against log size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Power:
    """time = factor · size ** exponent, and the share of the variance of log time that it explains."""

    exponent: float
    factor: float
    explained: float


def power(sizes: Sequence[float], times: Sequence[float]) -> Power:
    """The fit of at least two points with positive coordinates."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(times, float))
    exponent, level = np.polyfit(x, y, 1)
    spread = float(((y - y.mean()) ** 2).sum())
    missed = float(((y - (level + exponent * x)) ** 2).sum())
    return Power(float(exponent), float(np.exp(level)), 1.0 - missed / spread if spread > 0 else 1.0)
