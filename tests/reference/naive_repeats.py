"""What repetition costs (`[[spacings]]`, `[[decays]]`), candidate by candidate from the words of the policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.naive_bounds import as_labels


def repeat_cost(
    policy: Mapping[str, Any],
    columns: Mapping[str, Sequence[Any]],
    relevance: NDArray[np.float64],
    earlier: Sequence[int],
) -> NDArray[np.float64]:
    """What every candidate pays behind the earlier picks; `relevance` is (1 - diversity) x r."""
    labels = as_labels(columns)
    cost = np.zeros(len(relevance))
    for item in range(len(relevance)):
        for spacing in policy.get("spacings", []):
            for distance in range(1, min(spacing["window"], len(earlier)) + 1):
                column = labels.get(spacing["attribute"], [frozenset()] * len(relevance))
                shared = column[item] & column[earlier[-distance]]
                cost[item] += spacing["penalty"] * _shape(spacing, distance) * len(shared)
        counts = 1.0
        for decay in policy.get("decays", []):
            column = labels.get(decay["attribute"], [frozenset()] * len(relevance))
            seen = [sum(value in column[pick] for pick in earlier) for value in column[item]]
            floor = decay.get("floor", 0.0)
            counts *= min((floor + (1.0 - floor) * decay["factor"] ** n for n in seen), default=1.0)
        cost[item] += (1.0 - counts) * (relevance[item] - relevance.min())
    return cost


def _shape(spacing: Mapping[str, Any], distance: int) -> float:
    word = spacing.get("decay", "reciprocal")
    if word == "reciprocal":
        return 1.0 / distance
    return math.exp(-(distance - 1) / spacing["window"]) if word == "exponential" else 1.0
