"""The replay's intervals written as their definition says: one draw after the other, one request after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np


def ends(
    values: Sequence[float],
    low: float,
    high: float,
    level: float,
    weights: Sequence[Sequence[float]],
    unseen: Sequence[float],
) -> tuple[float, float]:
    """Both ends from drawn weights: of each request in each draw, and of the request that nobody has seen."""
    there = [i for i, value in enumerate(values) if not math.isnan(value)]
    lower, upper = [], []
    for drawn, extra in zip(weights, unseen, strict=True):
        total = sum(drawn[i] * values[i] for i in there)
        weight = sum(drawn[i] for i in there)
        lower.append(total / weight if math.isinf(low) else (total + extra * low) / (weight + extra))
        upper.append(total / weight if math.isinf(high) else (total + extra * high) / (weight + extra))
    share = (1.0 - level) / 2.0
    last = len(lower) - 1
    mean = sum(values[i] for i in there) / len(there)
    return (
        min(sorted(lower)[math.floor(share * last)], mean),
        max(sorted(upper)[math.ceil((1.0 - share) * last)], mean),
    )


def halvings(values: Sequence[float]) -> list[float]:
    """The difference of the halves' means of every way to halve the requests."""
    places = range(len(values))
    found = []
    for some in combinations(places, len(values) // 2):
        others = [i for i in places if i not in some]
        found.append(abs(float(np.mean([values[i] for i in some]) - np.mean([values[i] for i in others]))))
    return found
