"""An item catalog as a dictionary of rows: the slow, obvious twin of the mapped one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker import Candidates


def rows_of(known: Sequence[Any], asked: Sequence[Any]) -> list[int]:
    """Where each asked id stands among the known ones, -1 where it does not."""
    first = {item: row for row, item in reversed(list(enumerate(known)))}
    return [first.get(item, -1) for item in asked]


def kept(vector: Sequence[float], precision: str) -> list[float]:
    """A vector as a precision keeps it, number by number."""
    if precision == "float16":
        return [float(np.float16(np.float32(number))) for number in vector]
    if precision == "int8":
        most = max(abs(np.float32(number)) for number in vector)
        scale = most / np.float32(127.0)
        if scale == 0:
            return [0.0 for _ in vector]
        return [float(np.float32(round(float(np.float32(number) / scale))) * scale) for number in vector]
    return [float(np.float32(number)) for number in vector]


def numbered(codes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Codes by first occurrence, 0 staying 0, and what they stand for."""
    used: list[int] = []
    out = []
    for code in codes:
        if code and code not in used:
            used.append(code)
        out.append(used.index(code) + 1 if code else 0)
    return out, used


@dataclass
class NaiveCatalog:
    """Rows as a pipeline has them: `id`, `embedding`, and attributes by name."""

    rows: list[dict[str, Any]]
    precision: str = "float32"
    attributes: tuple[str, ...] = ()
    embedding: str = ""
    _row: dict[Any, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._row = {row["id"]: row for row in self.rows}

    def candidates(self, ids: Sequence[Any], scores: NDArray[np.float64]) -> Candidates:
        """What a caller would send inline who has looked everything up himself."""
        found = [self._row.get(item, {}) for item in ids]
        vectors = [row.get("embedding") for row in found]
        stored = [None if vector is None else kept(vector, self.precision) for vector in vectors]
        embeddings = {self.embedding: stored} if any(vector is not None for vector in stored) else None
        columns = {name: [row.get(name) for row in found] for name in self.attributes}
        return Candidates(ids, scores, embeddings, columns)
