"""Slow, obvious twins of the subtopic and variety measures: loops over items, determinants by permutations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np

Sets = Sequence[frozenset[str]]  # the subtopics of each item of a list; an empty set is unknown


def recall(items: Sets, candidates: Sets) -> float | None:
    to_be_had = frozenset().union(*candidates)
    return len(frozenset().union(*items)) / len(to_be_had) if to_be_had else None


def coverage(items: Sets, asked: Sequence[str]) -> float | None:
    return sum(any(value in item for item in items) for value in asked) / len(asked) if asked else None


def _gain(item: frozenset[str], before: Sets, alpha: float) -> float:
    return sum((1 - alpha) ** sum(value in other for other in before) for value in item)


def _dcg(items: Sets, alpha: float) -> float:
    return sum(_gain(item, items[:at], alpha) / math.log2(at + 2) for at, item in enumerate(items))


def alpha_ndcg(items: Sets, candidates: Sets, alpha: float) -> float | None:
    ideal: list[frozenset[str]] = []
    left = list(candidates)
    while left and len(ideal) < len(items):
        best = max(range(len(left)), key=lambda at: (_gain(left[at], ideal, alpha), -at))
        ideal.append(left.pop(best))
    return _dcg(items, alpha) / _dcg(ideal, alpha) if _dcg(ideal, alpha) > 0 else None


def err_ia(items: Sets, candidates: Sets, stops: Sequence[dict[str, float]]) -> float | None:
    """`stops` says of each item how likely it satisfies who means a subtopic."""
    to_be_had = frozenset().union(*candidates)
    if not items or not to_be_had:
        return None
    total = 0.0
    for value in to_be_had:
        looking = 1.0
        for slot, item in enumerate(items, 1):
            if value in item:
                total += looking * stops[slot - 1][value] / slot / len(to_be_had)
                looking *= 1.0 - stops[slot - 1][value]
    return total


def _cosines(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    def cosine(one: Sequence[float], other: Sequence[float]) -> float:
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        return dot / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))

    present = [row for row in rows if any(row)]
    return [[cosine(one, other) for other in present] for one in present]


def vendi(rows: Sequence[Sequence[float]]) -> float | None:
    cosines = _cosines(rows)
    if not cosines:
        return None
    shares = [value / len(cosines) for value in np.linalg.eigvals(np.array(cosines)).real.tolist()]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 1e-14))


def determinant(rows: Sequence[Sequence[float]]) -> float:
    """Leibniz's sum over permutations, of the matrix (1 + cosine) / 2."""
    matrix = [[(1 + cosine) / 2 for cosine in row] for row in _cosines(rows)]
    total = 0.0
    for order in permutations(range(len(matrix))):
        odd = sum(a > b for at, a in enumerate(order) for b in order[at:]) % 2
        total += (-1) ** odd * math.prod(matrix[row][column] for row, column in enumerate(order))
    return total
