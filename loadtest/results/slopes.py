"""Whether a figure rises while time goes by: a straight line through means of blocks of seconds, and how sure it is.

Seconds next to each other are alike, which would make the line look surer than it is; blocks of them much less so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.results.confidence import quantile

BLOCKS = 20
FEWEST = 5
SMALL = 0.05
"""A change over the whole run that nobody minds, as a share of the mean."""


@dataclass(frozen=True, slots=True)
class Slope:
    """The mean of a figure, and its change from the beginning to the end as a share of that, with its 95 % interval."""

    mean: float
    change: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool | None:
        """No more than a small rise, or none shown; None where nothing is known."""
        if math.isnan(self.change):
            return None
        return self.high <= SMALL or self.low <= 0.0

    @property
    def verdict(self) -> str:
        """In words."""
        if self.is_flat is None:
            return "not known"
        if not self.is_flat:
            return "RISES"
        return "flat" if self.high <= SMALL else "no rise shown"


def slope_of(values: Sequence[float]) -> Slope:
    """From one value a second; those that are not finite are left out of their block."""
    blocks = [
        float(np.mean(part[np.isfinite(part)]))
        for part in np.array_split(np.array(values, float), BLOCKS)
        if np.isfinite(part).any()
    ]
    if len(blocks) < FEWEST:
        return Slope(math.nan, math.nan, math.nan, math.nan)
    x = np.linspace(-0.5, 0.5, len(blocks))
    y = np.array(blocks)
    mean, squares = float(y.mean()), float(x @ x)
    slope = float(x @ y) / squares
    rest = y - mean - slope * x
    reach = quantile(len(blocks) - 2) * math.sqrt(float(rest @ rest) / (len(blocks) - 2) / squares)
    return Slope(mean, slope / mean, (slope - reach) / mean, (slope + reach) / mean)
