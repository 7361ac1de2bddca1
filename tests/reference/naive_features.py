"""Similarity from several signals, pair by pair from the words of the policy: an N x N matrix in float64."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.naive_bounds import as_labels

Floats = NDArray[np.float64]


def mixed_similarities(
    policy: Mapping[str, Any],
    count: int,
    embeddings: Mapping[str, NDArray[np.float32]],
    columns: Mapping[str, Sequence[Any]],
    form: str,
) -> Floats:
    """Sum of w S over the sum of w. Whoever lacks a signal is alike to nobody in it, and to himself entirely."""
    total, weights = np.zeros((count, count)), 0.0
    for signal in policy["similarity_signals"]:
        weight = float(signal.get("weight", 1.0))
        weights += weight
        if "signal" in signal:
            values: list[Any] = [None] * count
            if signal["signal"] in embeddings:
                values = [row if row.any() else None for row in np.array(embeddings[signal["signal"]], np.float64)]
        else:
            values = [None] * count
            if signal["attribute"] in columns:
                (labels,) = as_labels({"": columns[signal["attribute"]]}).values()
                values = [label or None for label in labels]
        scale = policy.get("labels", {}).get(signal.get("attribute"), {}).get("values")
        if signal.get("kind") == "ordinal":
            values = _places(values, scale)
        for i in range(count):
            for j in range(count):
                if i == j:
                    total[i, j] += weight
                elif values[i] is not None and values[j] is not None:
                    total[i, j] += weight * _alike(signal.get("kind", "cosine"), form, values[i], values[j])
    return total / weights


def _places(values: list[Any], scale: Sequence[str] | None) -> list[Any]:
    """Place on the scale from 0 to 1; the mean of several."""
    known = {value for label in values if label is not None for value in label}
    order = list(scale) if scale else sorted(known, key=lambda v: (_leading_number(v), v))
    reach = max(len(order) - 1, 1)
    return [None if label is None else sum(map(order.index, label)) / len(label) / reach for label in values]


def _leading_number(value: str) -> float:
    found = re.match(r"[-+]?[0-9.]+", value)
    assert found is not None
    return float(found[0])


def _alike(kind: str, form: str, one: Any, other: Any) -> float:
    if kind == "cosine":
        cosine = float(one @ other / np.sqrt((one @ one) * (other @ other)))
        return cosine if form == "cosine" else (1.0 + cosine) / 2.0
    if kind == "equality":
        return float(one == other)
    if kind == "jaccard":
        return len(one & other) / len(one | other)
    if kind == "ordinal":
        return float(1.0 - abs(one - other))
    first, second = _prefixes(one), _prefixes(other)
    return len(first & second) / float(np.sqrt(len(first) * len(second))) if first and second else 0.0


def _prefixes(label: frozenset[str]) -> set[tuple[str, ...]]:
    """Every prefix, as its levels, of every value."""
    found = set()
    for value in label:
        levels = [level for level in value.split("/") if level]
        found |= {tuple(levels[: depth + 1]) for depth in range(len(levels))}
    return found
