"""Attribute columns: dictionary codes for one value or several, a classifier's probabilities, plain numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, attribute_text, list_duplicates, list_rows, probability_column
from reranker.codec.arrays import check_texts, repeated
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.kernels.door import copy_codes
from reranker.v1 import candidates_pb2


def decode_attributes(
    message: candidates_pb2.CandidateList, count: int, limits: Limits, found: list[Violation]
) -> dict[str, AttributeColumn]:
    """The attribute columns by name; what is wrong with them is added to `found`."""
    columns: dict[str, AttributeColumn] = {}
    if len(message.attributes) > limits.attributes:
        reason = f"must be at most {limits.attributes} columns, are {len(message.attributes)}"
        found.append(Violation("candidates.attributes", reason))
        return columns
    seen: set[str] = set()
    for i, column in enumerate(message.attributes):
        path = f"candidates.attributes[{i}]"
        if not 1 <= len(column.name) <= limits.text_length:
            found.append(Violation(f"{path}.name", f"must have 1 to {limits.text_length} characters"))
        elif column.name in seen:
            found.append(Violation(f"{path}.name", "must be unique among the attributes"))
        seen.add(column.name)
        decoded = _decode_column(path, column, count, limits, found)
        if decoded is not None:
            columns[column.name] = decoded
    return columns


def _decode_column(
    path: str, column: candidates_pb2.AttributeColumn, count: int, limits: Limits, found: list[Violation]
) -> AttributeColumn | None:
    coded = bool(column.codes or column.offsets)
    filled = [coded, bool(column.probabilities), bool(column.numbers)]
    if sum(filled) != 1 and not (sum(filled) == 0 and count == 0):
        reason = "exactly one of codes (with or without offsets), probabilities and numbers must be filled"
        found.append(Violation(path, f"{reason}, {sum(filled)} are"))
        return None
    if column.numbers:
        return _numbers(path, column, count, found)
    dictionary = _dictionary(path, column, limits, found)
    if column.probabilities:
        return _probabilities(path, column, dictionary, count, limits, found)
    codes = repeated(column.codes, np.uint32)
    if column.offsets:
        return _several_values(path, dictionary, codes, repeated(column.offsets, np.uint32), count, limits, found)
    return _one_value(path, dictionary, codes, count, found)


def _dictionary(
    path: str, column: candidates_pb2.AttributeColumn, limits: Limits, found: list[Violation]
) -> tuple[str, ...]:
    values = tuple(column.dictionary)
    if len(values) > limits.dictionary:
        reason = f"must be at most {limits.dictionary} values, are {len(values)}"
        found.append(Violation(f"{path}.dictionary", reason))
        return values
    check_texts(f"{path}.dictionary", values, limits.text_length, found)
    list_duplicates(f"{path}.dictionary", values, found)
    return values


def _one_value(
    path: str, dictionary: tuple[str, ...], codes: NDArray[np.uint32], count: int, found: list[Violation]
) -> AttributeColumn | None:
    if len(codes) != count:
        found.append(Violation(f"{path}.codes", f"must be one per candidate: {count}, are {len(codes)}"))
        return None
    own, used = np.empty(count, np.int32), np.zeros(len(dictionary) + 1, bool)
    carried = copy_codes(codes, own, used)
    if carried < 0:
        list_rows(f"{path}.codes", codes > len(dictionary), _code_rule(dictionary), found)
        return None
    column = AttributeColumn(dictionary, own)
    return column if carried == len(dictionary) else _without_unused(column)


def _several_values(
    path: str,
    dictionary: tuple[str, ...],
    codes: NDArray[np.uint32],
    offsets: NDArray[np.uint32],
    count: int,
    limits: Limits,
    found: list[Violation],
) -> AttributeColumn | None:
    if len(codes) > limits.values_per_column:
        reason = f"must be at most {limits.values_per_column} in all, are {len(codes)}"
        found.append(Violation(f"{path}.codes", reason))
        return None
    if not _sound_offsets(path, codes, offsets, count, found):
        return None
    outside = (codes > len(dictionary)) | (codes == 0)
    if outside.any():
        rule = f"must be from 1 to {len(dictionary)}: an item of unknown value has no codes at all"
        list_rows(f"{path}.codes", outside, rule, found)
        return None
    rows = np.repeat(np.arange(count, dtype=np.int64), (offsets[1:] - offsets[:-1]).astype(np.int64))
    keys = rows * (len(dictionary) + 1) + codes
    _, first = np.unique(keys, return_index=True)
    if len(first) < len(keys):
        repeats = np.ones(len(keys), bool)
        repeats[first] = False
        list_rows(f"{path}.codes", repeats, "must be distinct within one candidate", found)
        return None
    return _without_unused(AttributeColumn(dictionary, codes.astype(np.int32), offsets.astype(np.int32)))


def _sound_offsets(
    path: str, codes: NDArray[np.uint32], offsets: NDArray[np.uint32], count: int, found: list[Violation]
) -> bool:
    path = f"{path}.offsets"
    if len(offsets) != count + 1:
        reason = f"must be one more than the candidates: {count + 1}, are {len(offsets)}"
        found.append(Violation(path, reason))
        return False
    before = len(found)
    if offsets[0] != 0:
        found.append(Violation(f"{path}[0]", "must be 0"))
    falls = np.zeros(len(offsets), bool)
    falls[1:] = offsets[1:] < offsets[:-1]
    list_rows(path, falls, "must not be smaller than the one before", found)
    if offsets[-1] != len(codes):
        reason = f"must be the number of codes, {len(codes)}"
        found.append(Violation(f"{path}[{count}]", reason))
    return len(found) == before


def _probabilities(
    path: str,
    column: candidates_pb2.AttributeColumn,
    dictionary: tuple[str, ...],
    count: int,
    limits: Limits,
    found: list[Violation],
) -> AttributeColumn | None:
    if not 1 <= len(dictionary) <= limits.labels:
        reason = f"must be 1 to {limits.labels} labels beside probabilities, are {len(dictionary)}"
        found.append(Violation(f"{path}.dictionary", reason))
        return None
    wanted, actual = count * len(dictionary), len(column.probabilities)
    if actual != wanted:
        size = f"{count} candidates x {len(dictionary)} labels = {wanted}"
        found.append(Violation(f"{path}.probabilities", f"must hold {size} numbers, holds {actual}"))
        return None
    matrix = repeated(column.probabilities, np.float32).reshape(count, len(dictionary))
    return probability_column(path, dictionary, matrix, found)


def _numbers(
    path: str, column: candidates_pb2.AttributeColumn, count: int, found: list[Violation]
) -> AttributeColumn | None:
    numbers = repeated(column.numbers, np.float64)
    if len(numbers) != count:
        found.append(Violation(f"{path}.numbers", f"must be one per candidate: {count}, are {len(numbers)}"))
        return None
    finite = np.isfinite(numbers)
    if not finite.all():
        list_rows(f"{path}.numbers", ~finite, "must be finite; an unknown value needs codes", found)
        return None
    code_of: dict[str, int] = {}
    codes = [code_of.setdefault(attribute_text(number), len(code_of) + 1) for number in numbers.tolist()]
    return AttributeColumn(tuple(code_of), np.array(codes, np.int32))


def _code_rule(dictionary: tuple[str, ...]) -> str:
    return f"must be 0 (unknown) or from 1 to {len(dictionary)}, the dictionary's length"


def _without_unused(column: AttributeColumn) -> AttributeColumn:
    """The column without dictionary entries that no candidate carries, so that the wire gives what Python gives."""
    used = np.zeros(len(column.values) + 1, bool)
    used[column.codes] = True
    used[0] = True
    if used.all():
        return column
    renumbered = (np.cumsum(used) - 1).astype(np.int32)
    values = tuple(value for value, kept in zip(column.values, used[1:].tolist(), strict=True) if kept)
    return AttributeColumn(values, renumbered[column.codes], column.offsets)
