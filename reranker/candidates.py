"""What comes in: the candidates' columns, checked once at the door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reranker.errors import InvalidInput, Violation
from reranker.kernels.rows import row_norms

Id: TypeAlias = str | int
_SHOWN = 20  # violations of one kind that are listed one by one; the rest is counted


@dataclass(frozen=True, slots=True, eq=False)
class LabelProbabilities:
    """A classifier's output: `probabilities[i, l]` is P(candidate i carries labels[l]); a row of zeros is unknown."""

    labels: Sequence[str]
    probabilities: ArrayLike


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingColumn:
    """One named embedding: `matrix` float32 (N, D), C-contiguous; `norms` float64 (N,), 0 where it is missing."""

    matrix: NDArray[np.float32]
    norms: NDArray[np.float64]

    @property
    def missing(self) -> int:
        """How many candidates have no embedding."""
        return int(np.count_nonzero(self.norms == 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class AttributeColumn:
    """One attribute, dictionary-coded: code 0 is unknown, code c is `values[c - 1]`.

    With `offsets` (int32, N + 1) candidate i carries `codes[offsets[i]:offsets[i + 1]]`, else `codes[i]` (int32).
    `probabilities` (float32, N x len(values)) replace codes for a classifier's output.
    """

    values: tuple[str, ...]
    codes: NDArray[np.int32]
    offsets: NDArray[np.int32] | None = None
    probabilities: NDArray[np.float32] | None = None

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


class Candidates:
    """A checked candidate list.

    `ids` are all text or all integers, unique; `scores` N finite floats; `embeddings` an (N, D) array, a sequence of
    rows in which None means missing, a mapping from names to either, or None; `attributes` maps names to one value an
    item (None = unknown), to lists of values, or to `LabelProbabilities`. Values become text: 3 is "3", True is
    "true". Raises `InvalidInput` naming every violation. Complexity O(N (D + attributes)).
    """

    __slots__ = ("attributes", "embeddings", "ids", "scores")

    ids: Sequence[Id]
    scores: NDArray[np.float64]
    embeddings: Mapping[str, EmbeddingColumn]
    attributes: Mapping[str, AttributeColumn]

    def __init__(
        self,
        ids: Iterable[Any],
        scores: ArrayLike,
        embeddings: ArrayLike | Sequence[Any] | Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        found: list[Violation] = []
        self.ids = _checked_ids(list(ids), found)
        count = len(self.ids)
        self.scores = checked_scores(scores, count, found)
        named = embeddings if isinstance(embeddings, Mapping) else {"": embeddings}
        self.embeddings = {
            name: vectors
            for name, rows in named.items()
            if rows is not None and (vectors := _embedding_column(_path("embeddings", name), rows, count, found))
        }
        self.attributes = {
            str(name): column
            for name, data in (attributes or {}).items()
            if (column := _attribute_column(_path("attributes", str(name)), data, count, found))
        }
        if found:
            raise InvalidInput(found)

    @classmethod
    def from_columns(
        cls,
        ids: Sequence[Id],
        scores: NDArray[np.float64],
        embeddings: Mapping[str, EmbeddingColumn],
        attributes: Mapping[str, AttributeColumn],
    ) -> Candidates:
        """Columns that the caller has checked already, as the wire's codec does."""
        self = cls.__new__(cls)
        self.ids, self.scores, self.embeddings, self.attributes = ids, scores, embeddings, attributes
        return self

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Candidates({len(self)} items, embeddings {list(self.embeddings)}, attributes {list(self.attributes)})"


def checked_scores(scores: ArrayLike, count: int, found: list[Violation]) -> NDArray[np.float64]:
    """Scores as float64 of the right length, or violations added to `found`."""
    path = "candidates.scores"
    try:
        array = np.ascontiguousarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        found.append(Violation(path, "must be numbers"))
        return np.zeros(count)
    if array.ndim != 1 and not (array.size == 0 and count == 0):
        found.append(Violation(path, f"must be one-dimensional, has {array.ndim} dimensions"))
    elif len(array) != count:
        found.append(Violation(path, f"must have one score per id: {count}, has {len(array)}"))
    else:
        list_rows(path, ~np.isfinite(array), "must be finite", found)
    return array


def embedding_column(
    path: str, matrix: NDArray[np.float32], missing: NDArray[np.bool_] | None, found: list[Violation]
) -> EmbeddingColumn:
    """A float32 matrix with its row lengths; rows in `missing` are ignored, rows that are not finite are violations."""
    norms = row_norms(matrix)
    if missing is not None:
        norms[missing] = 0.0
    list_rows(path, ~np.isfinite(norms), "must be finite", found)
    return EmbeddingColumn(matrix, norms)


def list_rows(path: str, bad: NDArray[np.bool_], reason: str, found: list[Violation]) -> None:
    """One violation per marked row, the first few by index and the rest as a count."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad)
    found.extend(Violation(f"{path}[{row}]", reason) for row in rows[:_SHOWN].tolist())
    if len(rows) > _SHOWN:
        found.append(Violation(path, f"{reason}; {len(rows) - _SHOWN} more rows are not"))


def _path(column: str, name: str) -> str:
    return f"candidates.{column}[{name!r}]" if name else f"candidates.{column}"


def _checked_ids(ids: list[Any], found: list[Violation]) -> Sequence[Id]:
    kinds = set(map(type, ids))
    if kinds <= {str} or kinds <= {int}:  # the common case, without a look at each id from Python
        list_duplicates("candidates.ids", ids, found)
        return ids
    plain: list[Id] = [int(item) if isinstance(item, np.integer) else item for item in ids]
    wrong = [i for i, item in enumerate(plain) if not isinstance(item, str | int) or isinstance(item, bool)]
    found.extend(Violation(f"candidates.ids[{i}]", "must be text or an integer") for i in wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        found.append(Violation("candidates.ids", f"must be text or integers; {len(wrong) - _SHOWN} more are not"))
    if wrong:
        return plain
    if len({type(item) is int for item in plain}) > 1:
        found.append(Violation("candidates.ids", "must be all text or all integers"))
    list_duplicates("candidates.ids", plain, found)
    return plain


def list_duplicates(path: str, ids: Sequence[Id], found: list[Violation]) -> None:
    """A violation for each id that an earlier one repeats."""
    if len(set(ids)) == len(ids):
        return
    first: dict[Id, int] = {}
    repeats = [(i, first[item]) for i, item in enumerate(ids) if first.setdefault(item, i) != i]
    found.extend(Violation(f"{path}[{i}]", f"must be unique, repeats {path}[{j}]") for i, j in repeats[:_SHOWN])
    if len(repeats) > _SHOWN:
        found.append(Violation(path, f"must be unique; {len(repeats) - _SHOWN} more repeat an earlier one"))


def _embedding_column(path: str, rows: Any, count: int, found: list[Violation]) -> EmbeddingColumn | None:
    missing: NDArray[np.bool_] | None = None
    if not isinstance(rows, np.ndarray) and isinstance(rows, Sequence) and any(row is None for row in rows):
        missing = np.array([row is None for row in rows], bool)
        width = next((len(row) for row in rows if row is not None), 1)
        rows = [np.zeros(width) if row is None else row for row in rows]
    try:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is reported by row below
            matrix = np.ascontiguousarray(rows, dtype=np.float32)
    except (TypeError, ValueError):
        found.append(Violation(path, "must be rows of numbers, all of one length"))
        return None
    if count == 0 and matrix.size == 0:
        return None
    if matrix.ndim != 2 or matrix.shape[0] != count or matrix.shape[1] == 0:
        shape = " x ".join(map(str, matrix.shape))
        found.append(Violation(path, f"must be {count} rows of at least one number, is {shape}"))
        return None
    return embedding_column(path, matrix, missing, found)


def _attribute_column(path: str, data: Any, count: int, found: list[Violation]) -> AttributeColumn | None:
    if isinstance(data, AttributeColumn):
        return data
    if isinstance(data, LabelProbabilities):
        return _probability_column(path, data, count, found)
    values = list(data)
    if len(values) != count:
        found.append(Violation(path, f"must have one entry per id: {count}, has {len(values)}"))
        return None
    lists = any(isinstance(value, list | tuple | set | frozenset | np.ndarray) for value in values)
    coder = _Coder(path, found)
    if set(map(type, values)) <= {str, type(None)} and "" not in values:  # the common case, one look-up an item
        distinct = dict.fromkeys(value for value in values if value is not None)
        code_of = {value: code for code, value in enumerate(distinct, start=1)}
        codes = np.fromiter((code_of.get(value, 0) for value in values), np.int32, count)
        return AttributeColumn(tuple(distinct), codes)
    if not lists:
        return AttributeColumn(
            codes=np.array([coder.code(v, i) for i, v in enumerate(values)], np.int32), values=coder.values
        )
    rows = [coder.codes(value, i) for i, value in enumerate(values)]
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    flat = np.array([code for row in rows for code in row], np.int32)
    return AttributeColumn(coder.values, flat, offsets)


class _Coder:
    """Turns values into codes and remembers the dictionary."""

    def __init__(self, path: str, found: list[Violation]) -> None:
        self._path, self._found = path, found
        self._code_of: dict[str, int] = {}

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self._code_of)

    def code(self, value: Any, row: int) -> int:
        if value is None:
            return 0
        text = attribute_text(value)
        if not text:
            self._found.append(
                Violation(f"{self._path}[{row}]", "must be text, a finite number or a boolean, not empty")
            )
            return 0
        return self._code_of.setdefault(text, len(self._code_of) + 1)

    def codes(self, value: Any, row: int) -> list[int]:
        items = value if isinstance(value, list | tuple | set | frozenset | np.ndarray) else [value]
        ordered = sorted(items, key=str) if isinstance(items, set | frozenset) else items
        return [code for code in dict.fromkeys(self.code(item, row) for item in ordered) if code]


def attribute_text(value: Any) -> str:
    """An attribute value as text; empty when it has none (NaN, infinity, another type)."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(float(value)) if np.isfinite(value) else ""
    return ""


def _probability_column(
    path: str, data: LabelProbabilities, count: int, found: list[Violation]
) -> AttributeColumn | None:
    labels = tuple(attribute_text(label) for label in data.labels)
    if len(set(labels)) < len(labels) or "" in labels:
        found.append(Violation(f"{path}.labels", "must be distinct, not empty"))
    try:
        matrix = np.ascontiguousarray(data.probabilities, dtype=np.float32)
    except (TypeError, ValueError):
        found.append(Violation(f"{path}.probabilities", "must be numbers"))
        return None
    if matrix.shape != (count, len(labels)):
        shape = " x ".join(map(str, matrix.shape))
        found.append(Violation(f"{path}.probabilities", f"must be {count} x {len(labels)}, is {shape}"))
        return None
    return probability_column(path, labels, matrix, found)


def probability_column(
    path: str, labels: tuple[str, ...], matrix: NDArray[np.float32], found: list[Violation]
) -> AttributeColumn:
    """A classifier's column; entries outside 0..1 and rows that add up to more than 1 are violations."""
    with np.errstate(invalid="ignore"):
        outside: NDArray[np.bool_] = np.logical_not(((matrix >= 0) & (matrix <= 1)).all(axis=1))
        over = ~outside & (matrix.sum(axis=1, dtype=np.float64) > 1.0 + 1e-3)
    list_rows(f"{path}.probabilities", outside, "must be between 0 and 1", found)
    list_rows(f"{path}.probabilities", over, "must add up to at most 1", found)
    return AttributeColumn(labels, np.zeros(len(matrix), np.int32), None, matrix)
