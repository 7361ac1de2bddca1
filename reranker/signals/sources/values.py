"""Values of rows as columns that `Candidates` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reranker.attributes import LabelProbabilities


def vectors(values: list[Any]) -> list[Any] | None:
    """Vectors, None where one is missing; None in all when nobody has one."""
    return values if any(value is not None for value in values) else None


def attribute(values: list[Any]) -> Any:
    """Values as they are; rows such as {"f": 0.9, "m": 0.1} as a classifier's probabilities."""
    if not any(isinstance(value, Mapping) for value in values):
        return values
    rows = [value if isinstance(value, Mapping) else {} for value in values]
    if any(value is not None and not isinstance(value, Mapping) for value in values):
        return values  # a mixture: `Candidates` names the rows that are no values
    labels = list(dict.fromkeys(label for row in rows for label, share in row.items() if share is not None))
    shares = [[row.get(label) or 0.0 for label in labels] for row in rows]
    return LabelProbabilities(labels, np.array(shares, np.float32) if _are_numbers(shares) else shares)


def _are_numbers(shares: list[list[Any]]) -> bool:
    return all(isinstance(share, int | float) and not isinstance(share, bool) for row in shares for share in row)
