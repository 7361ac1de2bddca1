"""Embedding columns: five ways to write vectors on the wire, one matrix in the house."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import EmbeddingColumn
from reranker.codec.arrays import repeated
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.kernels.door import measure_rows
from reranker.v1 import candidates_pb2

_BYTES_PER_NUMBER = {"float32": 4, "float16": 2, "int8": 1}
_FORMS = ("values", *_BYTES_PER_NUMBER)
# Every float16 as float32, by its bits: a look-up takes a third of the time of NumPy's conversion.
_FLOAT16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
_SHOWN = 20  # numbers that are not finite, listed one by one


def decode_embeddings(
    message: candidates_pb2.CandidateList, count: int, limits: Limits, found: list[Violation]
) -> dict[str, EmbeddingColumn]:
    """The embedding columns by name; what is wrong with them is added to `found`."""
    columns: dict[str, EmbeddingColumn] = {}
    if len(message.embeddings) > limits.embeddings:
        reason = f"must be at most {limits.embeddings} columns, are {len(message.embeddings)}"
        found.append(Violation("candidates.embeddings", reason))
        return columns
    for i, column in enumerate(message.embeddings):
        path = f"candidates.embeddings[{i}]"
        if column.name in columns:
            found.append(Violation(f"{path}.name", "must be unique among the embeddings"))
        if len(column.name) > limits.text_length:
            found.append(Violation(f"{path}.name", f"must have at most {limits.text_length} characters"))
        decoded = _decode_column(path, column, count, limits, found)
        if decoded is not None:
            columns[column.name] = decoded
    return columns


def _decode_column(
    path: str, column: candidates_pb2.EmbeddingColumn, count: int, limits: Limits, found: list[Violation]
) -> EmbeddingColumn | None:
    missing = _missing_rows(path, column, count, found)
    # Read once: every look at a field of bytes copies them.
    forms = {form: data for form in _FORMS if len(data := getattr(column, form))}
    if count == 0 and not forms:
        return None
    if not 1 <= column.dimension <= limits.dimension:
        reason = f"must be from 1 to {limits.dimension}, is {column.dimension}"
        found.append(Violation(f"{path}.dimension", reason))
        return None
    if len(forms) != 1:
        listed = " and ".join(forms) or "none"
        found.append(Violation(path, f"exactly one of {', '.join(_FORMS)} must be filled, {listed} is"))
        return None
    (form, data) = next(iter(forms.items()))
    if not _right_length(path, column.dimension, form, len(data), count, found):
        return None
    matrix = _matrix(path, column, form, data, count, found)
    return None if matrix is None else _checked(f"{path}.{form}", matrix, missing, found)


def _right_length(path: str, dimension: int, form: str, actual: int, count: int, found: list[Violation]) -> bool:
    width = _BYTES_PER_NUMBER.get(form, 1)
    unit = "bytes" if form in _BYTES_PER_NUMBER else "numbers"
    wanted = count * dimension * width
    if actual == wanted:
        return True
    size = f"{count} candidates x {dimension}" + (f" x {width} bytes" if width > 1 else "")
    found.append(Violation(f"{path}.{form}", f"must hold {size} = {wanted} {unit}, holds {actual}"))
    return False


def _matrix(
    path: str, column: candidates_pb2.EmbeddingColumn, form: str, data: Any, count: int, found: list[Violation]
) -> NDArray[np.float32] | None:
    shape = (count, column.dimension)
    if form == "values":
        return repeated(data, np.float32).reshape(shape)
    if form == "float32":
        return np.frombuffer(data, "<f4").astype(np.float32, copy=False).reshape(shape)
    if form == "float16":
        return _FLOAT16.take(np.frombuffer(data, "<u2")).reshape(shape)
    matrix = np.frombuffer(data, np.int8).astype(np.float32).reshape(shape)
    scales = repeated(column.int8_scales, np.float32)
    if len(scales) not in (0, count):
        reason = f"must be empty or hold one scale per candidate: {count}, holds {len(scales)}"
        found.append(Violation(f"{path}.int8_scales", reason))
        return None
    if len(scales):
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as a row that is not finite
            matrix *= scales[:, None]
    return matrix


def _missing_rows(
    path: str, column: candidates_pb2.EmbeddingColumn, count: int, found: list[Violation]
) -> NDArray[np.uint32] | None:
    if not column.missing_rows:
        return None
    rows = repeated(column.missing_rows, np.uint32)
    beyond = np.flatnonzero(rows >= count)
    if len(beyond) == 0:
        return rows
    for i in beyond[:_SHOWN].tolist():
        reason = f"must be a candidate's index, below {count}"
        found.append(Violation(f"{path}.missing_rows[{i}]", reason))
    return None


def _checked(
    path: str, matrix: NDArray[np.float32], missing: NDArray[np.uint32] | None, found: list[Violation]
) -> EmbeddingColumn:
    norms = np.empty(len(matrix))
    zeros = measure_rows(matrix, norms)
    if missing is not None:
        norms[missing] = 0.0
        zeros = -1
    if zeros < 0 and not np.isfinite(norms).all():
        _list_numbers(path, matrix, norms, found)
    return EmbeddingColumn(matrix, norms, zeros)


def _list_numbers(path: str, matrix: NDArray[np.float32], norms: NDArray[np.float64], found: list[Violation]) -> None:
    """Each number that is not finite: by its index in a repeated field, by its place in words for a byte string."""
    bad = ~np.isfinite(matrix) & ~np.isfinite(norms)[:, None]
    rows, columns = (index.tolist() for index in np.nonzero(bad))
    width = matrix.shape[1]
    for row, column in list(zip(rows, columns, strict=True))[:_SHOWN]:
        index = f"[{row * width + column}]" if path.endswith(".values") else ""
        reason = f"must be finite: number {column} of candidate {row}'s vector is not"
        found.append(Violation(f"{path}{index}", reason))
    if len(rows) > _SHOWN:
        found.append(Violation(path, f"must be finite; {len(rows) - _SHOWN} more numbers are not"))
