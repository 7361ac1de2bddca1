"""Repeated fields and byte strings as NumPy arrays, by the fastest way that this protobuf runtime offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import list_rows
from reranker.errors import Violation
from reranker.v1.candidates_pb2 import EmbeddingColumn

Scalar = TypeVar("Scalar", bound=np.generic)

# Since protobuf 7.35 a repeated field hands its memory over at once; before, NumPy would ask for each number in turn.
_HANDS_OVER = hasattr(type(EmbeddingColumn().values), "__array__")


def repeated(field: Sequence[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """A repeated number field as an array of its own; `dtype` must hold every value of the field's type."""
    if _HANDS_OVER:
        return np.array(field, dtype=dtype)
    return np.fromiter(field, dtype=dtype, count=len(field))


def check_texts(path: str, texts: Sequence[str], limit: int, found: list[Violation]) -> None:
    """A violation for each text that is empty or longer than `limit` characters, by its place alone."""
    lengths = set(map(len, texts))
    if not lengths or (min(lengths) and max(lengths) <= limit):
        return
    each = np.fromiter(map(len, texts), np.int64, len(texts))
    list_rows(path, each == 0, "must not be empty", found)
    list_rows(path, each > limit, f"must have at most {limit} characters", found)
