"""Attribute columns: what any form of values becomes, dictionary-coded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reranker.errors import Violation
from reranker.inputs import MASKED, entries, is_masked, list_rows, read_numbers
from reranker.texts import TORN, are_whole, is_whole

_VALUE = "must be text, a finite number or a boolean, not empty"
_NO_COLUMN = (str, bytes, bytearray, Mapping)  # iterable, but not one entry a candidate


@dataclass(frozen=True, slots=True, eq=False)
class LabelProbabilities:
    """A classifier's output: `probabilities[i, l]` is P(candidate i carries labels[l]); a row of zeros is unknown."""

    labels: Sequence[str]
    probabilities: ArrayLike


@dataclass(slots=True, eq=False)
class AttributeColumn:
    """One attribute, dictionary-coded: code 0 is unknown, code c is `values[c - 1]`.

    With `offsets` (int32, N + 1) candidate i carries `codes[offsets[i]:offsets[i + 1]]`, else `codes[i]` (int32).
    `probabilities` (float32, N x len(values)) replace codes for a classifier's output.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int32]
    offsets: NDArray[np.int32] | None = None
    probabilities: NDArray[np.float32] | None = None

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Who has a value: bool (N,). Not for probabilities."""
        return self.codes > 0 if self.offsets is None else np.diff(self.offsets) > 0

    @property
    def unknown(self) -> int:
        """How many have none. Not for probabilities."""
        if self.offsets is None:
            return len(self.codes) - int(np.count_nonzero(self.codes))
        return len(self.offsets) - 1 - int(np.count_nonzero(np.diff(self.offsets)))

    def hard(self, threshold: float) -> AttributeColumn:
        """The column with probabilities replaced by the most probable label where that reaches `threshold`."""
        if self.probabilities is None:
            return self
        best = self.probabilities.argmax(axis=1) if self.values else np.zeros(len(self.probabilities), np.intp)
        known = np.zeros(len(best), bool)
        if self.values:
            top = self.probabilities[np.arange(len(best)), best]
            known = (top >= np.float32(threshold)) & (top > 0)
        return AttributeColumn(self.values, np.where(known, best + 1, 0).astype(np.int32))

    def take(self, rows: NDArray[np.integer]) -> AttributeColumn:
        """The column of the candidates in `rows`, in that order. O(rows)."""
        if self.probabilities is not None:
            return AttributeColumn(self.values, self.codes, None, self.probabilities[rows])
        if self.offsets is None:
            return AttributeColumn(self.values, self.codes.take(rows))
        sizes = np.diff(self.offsets)[rows]
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(sizes, out=offsets[1:])
        starts = np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return AttributeColumn(self.values, self.codes[starts + np.arange(offsets[-1])], offsets)

    def listed(self) -> list[list[str]]:
        """The values of every item; none where they are unknown. Not for probabilities."""
        if self.offsets is None:
            return [[self.values[code - 1]] if code else [] for code in self.codes.tolist()]
        codes, offsets = self.codes.tolist(), self.offsets.tolist()
        return [[self.values[code - 1] for code in codes[a:b]] for a, b in pairwise(offsets)]


def attribute_text(value: Any) -> str:
    """An attribute value as text; empty when it has none (NaN, infinity, torn text, another type).

    An enum is its value.
    """
    if isinstance(value, str):
        text = str.__str__(value)  # str() of an enum that is text would be the name of its member
        return text if is_whole(text) else ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(float(value)) if np.isfinite(value) else ""
    return ""


def attribute_column(path: str, data: Any, count: int, found: list[Violation]) -> AttributeColumn | None:
    """A column of `count` entries from values, lists of values, probabilities or a ready column; None if it is none.

    Nothing of the caller's memory is kept.
    """
    if isinstance(data, AttributeColumn):
        return _ready_column(path, data, count, found)
    if isinstance(data, LabelProbabilities):
        return _probabilities(path, data, count, found)
    if is_masked(data):
        found.append(Violation(path, MASKED))
        return None
    values = entries(data, refused=_NO_COLUMN)
    if values is None:
        found.append(Violation(path, "must be a list of values, one entry per id"))
        return None
    if len(values) != count:
        found.append(Violation(path, f"must have one entry per id: {count}, has {len(values)}"))
        return None
    return _coded_texts(values) or _coded(path, values, found)


def _coded_texts(values: list[Any]) -> AttributeColumn | None:
    """A column of one text or None an item, the common case, with no look at each item from Python; None for others.

    What equals a text and has its hash is that text as far as a column goes, so types count for distinct values alone.
    """
    try:
        distinct = dict.fromkeys(values)
    except TypeError:  # lists of values
        return None
    distinct.pop(None, None)
    if not set(map(type, distinct)) <= {str} or "" in distinct or not are_whole(distinct):
        return None
    code_of: dict[str | None, int] = {value: code for code, value in enumerate(distinct, start=1)}
    code_of[None] = 0
    return AttributeColumn(tuple(distinct), np.fromiter(map(code_of.__getitem__, values), np.int32, len(values)))


def _coded(path: str, values: list[Any], found: list[Violation]) -> AttributeColumn:
    """A column of any mixture of values and lists of values."""
    coder = _Coder(len(values))
    offsets: NDArray[np.int32] | None = None
    if any(isinstance(value, list | tuple | set | frozenset | np.ndarray) for value in values):
        rows = [coder.codes(value, i) for i, value in enumerate(values)]
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        codes = np.array([code for row in rows for code in row], np.int32)
    else:
        codes = np.array([coder.code(value, i) for i, value in enumerate(values)], np.int32)
    list_rows(path, coder.wrong, _VALUE, found)
    list_rows(path, coder.torn, TORN, found)
    return AttributeColumn(coder.values, codes, offsets)


class _Coder:
    """Turns values into codes, remembers the dictionary and marks the rows whose values have no text, or torn text."""

    def __init__(self, count: int) -> None:
        self.wrong, self.torn = np.zeros((2, count), bool)
        self._code_of: dict[str, int] = {}

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self._code_of)

    def code(self, value: Any, row: int) -> int:
        if value is None:
            return 0
        text = attribute_text(value)
        if not text:
            (self.torn if isinstance(value, str) and value else self.wrong)[row] = True
            return 0
        return self._code_of.setdefault(text, len(self._code_of) + 1)

    def codes(self, value: Any, row: int) -> list[int]:
        if isinstance(value, np.ndarray) and not is_masked(value):
            value = value.tolist()  # a plain value when the array has no dimension
        items = value if isinstance(value, list | tuple | set | frozenset) else [value]
        ordered = sorted(items, key=str) if isinstance(items, set | frozenset) else items
        return [code for code in dict.fromkeys(self.code(item, row) for item in ordered) if code]


def _probabilities(path: str, data: LabelProbabilities, count: int, found: list[Violation]) -> AttributeColumn | None:
    listed = entries(data.labels, refused=_NO_COLUMN)
    labels = tuple(attribute_text(label) for label in listed or ())
    if not all(is_whole(label) for label in listed or () if isinstance(label, str)):
        found.append(Violation(f"{path}.labels", TORN))
    elif listed is None:
        found.append(Violation(f"{path}.labels", "must be a list of labels"))
    elif len(set(labels)) < len(labels) or "" in labels:
        found.append(Violation(f"{path}.labels", "must be distinct, not empty"))
    matrix = read_numbers(
        f"{path}.probabilities", data.probabilities, np.float32, "must be numbers", found, width=len(labels)
    )
    if matrix is None or listed is None:
        return None
    if matrix.shape != (count, len(labels)):
        shape = " x ".join(map(str, matrix.shape)) or "one number"
        found.append(Violation(f"{path}.probabilities", f"must be {count} x {len(labels)}, is {shape}"))
        return None
    return probability_column(path, labels, matrix, found)


def probability_column(
    path: str, labels: tuple[str, ...], matrix: NDArray[np.float32], found: list[Violation]
) -> AttributeColumn:
    """A classifier's column; entries outside 0..1 and rows that add up to more than 1 are violations."""
    with np.errstate(invalid="ignore", over="ignore"):
        outside: NDArray[np.bool_] = np.logical_not(((matrix >= 0) & (matrix <= 1)).all(axis=1))
        over = ~outside & (matrix.sum(axis=1, dtype=np.float64) > 1.0 + 1e-3)
    list_rows(f"{path}.probabilities", outside, "must be between 0 and 1", found)
    list_rows(f"{path}.probabilities", over, "must add up to at most 1", found)
    return AttributeColumn(labels, np.zeros(len(matrix), np.int32), None, matrix)


def _ready_column(path: str, column: AttributeColumn, count: int, found: list[Violation]) -> AttributeColumn | None:
    """A column that is coded already: copied, and held to its own rules."""
    if column.probabilities is not None:
        return _probabilities(path, LabelProbabilities(column.values, column.probabilities), count, found)
    values = tuple(attribute_text(value) for value in column.values)
    if not all(is_whole(value) for value in column.values if isinstance(value, str)):
        found.append(Violation(f"{path}.values", TORN))
    elif len(set(values)) < len(values) or "" in values:
        found.append(Violation(f"{path}.values", "must be distinct, not empty"))
    codes = _integers(f"{path}.codes", column.codes, found)
    if codes is None:
        return None
    offsets = None if column.offsets is None else _integers(f"{path}.offsets", column.offsets, found)
    if offsets is None and column.offsets is not None:
        return None
    length = len(codes) if offsets is None else len(offsets) - 1
    if length != count:
        found.append(Violation(path, f"must have one entry per id: {count}, has {length}"))
        return None
    if offsets is not None and (offsets[0] != 0 or offsets[-1] != len(codes) or (np.diff(offsets) < 0).any()):
        found.append(Violation(f"{path}.offsets", f"must rise from 0 to the number of codes, {len(codes)}"))
        return None
    least = 0 if offsets is None else 1  # in a list, an item of unknown value has no codes at all
    outside = (codes < least) | (codes > len(values))
    list_rows(f"{path}.codes", outside, f"must be from {least} to {len(values)}", found)
    if offsets is not None:
        keys = np.repeat(np.arange(count), np.diff(offsets)) * (len(values) + 1) + codes
        if len(np.unique(keys)) < len(keys):
            found.append(Violation(f"{path}.codes", "must be distinct within one candidate"))
    return AttributeColumn(values, codes, offsets)


def _integers(path: str, data: Any, found: list[Violation]) -> NDArray[np.int32] | None:
    array = np.asarray(data)
    if array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0):
        with np.errstate(over="ignore"):
            return np.array(array, np.int32, order="C")
    found.append(Violation(path, "must be a one-dimensional array of integers"))
    return None
