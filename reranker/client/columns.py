"""Columns as a `CandidateList` message; everything the server would refuse is refused here, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.client.reference import Reference, refer
from reranker.client.values import as_text, is_missing, is_several, is_torn
from reranker.errors import InvalidInput, Violation
from reranker.texts import TORN
from reranker.v1.candidates_pb2 import AttributeColumn, CandidateList, EmbeddingColumn

_SHOWN = 20  # violations of one kind that are listed one by one; the rest is counted


def from_columns(
    ids: Iterable[Any],
    scores: Iterable[Any],
    embeddings: Any = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    half_precision: bool = False,
    catalog: Reference = False,
) -> CandidateList:
    """The message for N candidates.

    `ids` are all text or all integers from 0 to 2^64 - 1, unique; `scores` N finite numbers; `embeddings` an (N, D)
    array, a sequence of N vectors in which None, NaN or NA means missing, or a mapping from names to either;
    `attributes` maps names to one value an item (missing: unknown), to lists of values, to mappings from labels to
    probabilities, or to an object with `labels` and `probabilities`. Embeddings travel as float32, with
    `half_precision` as float16. `catalog` refers to columns of the server's item catalog: True means all that are not
    given here, `by_reference` names some; the server then looks them up by id.
    Raises `InvalidInput` naming every violation. The message's columns are copies.
    """
    found: list[Violation] = []
    message = CandidateList()
    id_list = list(ids)
    _fill_ids(message, id_list, found)
    _fill_scores(message, scores, len(id_list), found)
    _add_signals(message, len(id_list), embeddings, attributes, half_precision, found)
    refer(message, catalog, found)
    if found:
        raise InvalidInput(found)
    return message


def recent_items(
    ids: Iterable[Any],
    embeddings: Any = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    half_precision: bool = False,
    catalog: Reference = False,
) -> CandidateList:
    """Items that the user saw recently, oldest first, for `request_context(recent=...)`: columns without scores.

    The words are those of `from_columns`. Where neither embeddings nor attributes nor `catalog` are given, the server
    looks the ids up among the candidates. Raises `InvalidInput` naming every violation.
    """
    found: list[Violation] = []
    message = CandidateList()
    id_list = list(ids)
    _fill_ids(message, id_list, found, unique=False)
    _add_signals(message, len(id_list), embeddings, attributes, half_precision, found)
    refer(message, catalog, found)
    if found:
        raise InvalidInput(found)
    return message


def _add_signals(
    message: CandidateList,
    count: int,
    embeddings: Any,
    attributes: Mapping[str, Any] | None,
    half_precision: bool,
    found: list[Violation],
) -> None:
    named = embeddings if isinstance(embeddings, Mapping) else {"": embeddings}
    for name, vectors in named.items():
        if vectors is not None:
            path = f"embeddings[{name!r}]" if name else "embeddings"
            if is_torn(name):
                found.append(Violation(path, TORN))
                continue
            _add_embedding(message, path, str(name), vectors, count, half_precision, found)
    for name, values in (attributes or {}).items():
        _add_attribute(message, str(name), values, count, found)


def _list_rows(path: str, rows: Sequence[int], reason: str, found: list[Violation]) -> None:
    found.extend(Violation(f"{path}[{row}]", reason) for row in rows[:_SHOWN])
    if len(rows) > _SHOWN:
        found.append(Violation(path, f"{reason}; {len(rows) - _SHOWN} more are not"))


def _fill_ids(message: CandidateList, ids: list[Any], found: list[Violation], unique: bool = True) -> None:
    plain = [int(item) if isinstance(item, np.integer) else item for item in ids]
    numbers = all(isinstance(item, int) and not isinstance(item, bool) for item in plain)
    if plain and numbers:
        _list_rows("ids", [i for i, n in enumerate(plain) if not 0 <= n < 2**64], "must be from 0 to 2^64 - 1", found)
    else:
        wrong = [i for i, item in enumerate(plain) if not isinstance(item, str) or not item]
        _list_rows("ids", wrong, "must be text that is not empty, or all ids integers", found)
        _list_rows("ids", [i for i, item in enumerate(plain) if is_torn(item)], TORN, found)
    if found:
        return
    if unique and len(set(plain)) < len(plain):
        first: dict[Any, int] = {}
        repeats = [i for i, item in enumerate(plain) if first.setdefault(item, i) != i]
        _list_rows("ids", repeats, "must be unique, an earlier candidate has this one", found)
    field: Any = message.item_numbers if plain and numbers else message.item_ids
    field.extend(plain)


def _fill_scores(message: CandidateList, scores: Iterable[Any], count: int, found: list[Violation]) -> None:
    if not isinstance(scores, np.ndarray):
        scores = [np.nan if is_missing(score) else score for score in scores]
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        found.append(Violation("scores", "must be numbers"))
        return
    if array.shape != (count,):
        found.append(Violation("scores", f"must be one per id: {count}, are {' x '.join(map(str, array.shape))}"))
        return
    _list_rows("scores", np.flatnonzero(~np.isfinite(array)).tolist(), "must be finite", found)
    message.scores.extend(array.tolist())


def _add_embedding(
    message: CandidateList, path: str, name: str, vectors: Any, count: int, half: bool, found: list[Violation]
) -> None:
    missing = np.zeros(0, np.int64)
    if not (isinstance(vectors, np.ndarray) and vectors.dtype != object):
        vectors, missing = _filled(list(vectors))
    if len(vectors) and len(missing) == len(vectors):
        return  # nobody has one: as if the column were not there
    try:
        with np.errstate(over="ignore"):  # too large a number becomes infinite and is reported below
            matrix = np.ascontiguousarray(vectors, dtype="<f2" if half else "<f4")
    except (TypeError, ValueError):
        found.append(Violation(path, "must be vectors of numbers, all of one length"))
        return
    if count == 0 and matrix.size == 0:
        return
    if matrix.ndim != 2 or len(matrix) != count or matrix.shape[1] == 0:
        shape = " x ".join(map(str, matrix.shape))
        found.append(Violation(path, f"must be {count} vectors of at least one number, is {shape}"))
        return
    finite = np.isfinite(matrix).all(axis=1)
    finite[missing] = True
    kind = "float16" if half else "float32"
    _list_rows(path, np.flatnonzero(~finite).tolist(), f"must be finite as {kind}", found)
    column = EmbeddingColumn(name=name, dimension=matrix.shape[1], missing_rows=missing.tolist())
    setattr(column, kind, matrix.tobytes())
    message.embeddings.append(column)


def _filled(vectors: list[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    """Zeros in place of missing vectors, and where they are."""
    missing = [i for i, vector in enumerate(vectors) if is_missing(vector)]
    if missing and len(missing) < len(vectors):
        present = next(vector for vector in vectors if not is_missing(vector))
        width = len(present) if hasattr(present, "__len__") else 1
        zeros = np.zeros(width, np.float32)
        vectors = [zeros if is_missing(vector) else vector for vector in vectors]
    return vectors, np.array(missing, np.int64)


def _add_attribute(message: CandidateList, name: str, values: Any, count: int, found: list[Violation]) -> None:
    path = f"attributes[{name!r}]"
    if not name:
        found.append(Violation(path, "the name must not be empty"))
        return
    if is_torn(name):
        found.append(Violation(path, TORN))
        return
    if hasattr(values, "labels") and hasattr(values, "probabilities"):
        _add_probabilities(message, name, values.labels, values.probabilities, count, found)
        return
    rows = [None if not is_several(value) and is_missing(value) else value for value in values]
    if len(rows) != count:
        found.append(Violation(path, f"must have one entry per id: {count}, has {len(rows)}"))
        return
    if any(isinstance(value, Mapping) for value in rows):
        _add_label_mappings(message, name, rows, found)
        return
    coder = _Coder(path, found)
    column = AttributeColumn(name=name)
    if any(is_several(value) for value in rows):
        lists = [coder.codes(value, row) for row, value in enumerate(rows)]
        column.codes.extend(code for codes in lists for code in codes)
        column.offsets.extend(np.cumsum([0, *map(len, lists)]).tolist())
    else:
        column.codes.extend(coder.code(value, row) for row, value in enumerate(rows))
    column.dictionary.extend(coder.dictionary)
    message.attributes.append(column)


def _add_label_mappings(message: CandidateList, name: str, rows: list[Any], found: list[Violation]) -> None:
    """Rows such as {"f": 0.9, "m": 0.1}; an unknown row is all zeros."""
    wrong = [i for i, row in enumerate(rows) if row is not None and not isinstance(row, Mapping)]
    if wrong:
        _list_rows(f"attributes[{name!r}]", wrong, "must map labels to probabilities, as other rows do", found)
        return
    labels = list(dict.fromkeys(label for row in rows if row is not None for label in row))
    matrix = [[0.0 if row is None else row.get(label, 0.0) for label in labels] for row in rows]
    _add_probabilities(message, name, labels, matrix, len(rows), found)


def _add_probabilities(
    message: CandidateList, name: str, labels: Sequence[Any], probabilities: Any, count: int, found: list[Violation]
) -> None:
    path = f"attributes[{name!r}]"
    texts = [as_text(label) for label in labels]
    if any(map(is_torn, labels)):
        found.append(Violation(f"{path}.labels", TORN))
        return
    if not texts or "" in texts or len(set(texts)) < len(texts):
        found.append(Violation(f"{path}.labels", "must be distinct, not empty"))
        return
    try:
        matrix = np.asarray(probabilities, dtype=np.float32).reshape(-1, len(texts))
    except (TypeError, ValueError):
        found.append(Violation(f"{path}.probabilities", f"must be {count} x {len(texts)} numbers"))
        return
    if len(matrix) != count:
        found.append(Violation(f"{path}.probabilities", f"must be {count} rows, are {len(matrix)}"))
        return
    with np.errstate(invalid="ignore"):
        sound = ((matrix >= 0) & (matrix <= 1)).all(axis=1) & (matrix.sum(axis=1, dtype=np.float64) <= 1.001)
    rule = "must be between 0 and 1 and add up to at most 1"
    _list_rows(f"{path}.probabilities", np.flatnonzero(~sound).tolist(), rule, found)
    column = AttributeColumn(name=name, dictionary=texts, probabilities=matrix.ravel().tolist())
    message.attributes.append(column)


class _Coder:
    """Turns values into codes and remembers the dictionary, in the order of first appearance."""

    def __init__(self, path: str, found: list[Violation]) -> None:
        self._path, self._found = path, found
        self._code_of: dict[str, int] = {}

    @property
    def dictionary(self) -> list[str]:
        return list(self._code_of)

    def code(self, value: Any, row: int) -> int:
        """A value's code from 1, 0 when it is missing."""
        if is_missing(value):
            return 0
        text = as_text(value)
        if not text:
            reason = TORN if is_torn(value) else "must be text, a finite number or a boolean, not empty"
            self._found.append(Violation(f"{self._path}[{row}]", reason))
            return 0
        return self._code_of.setdefault(text, len(self._code_of) + 1)

    def codes(self, value: Any, row: int) -> list[int]:
        """The distinct codes of one item's values; a lone value counts as a list of one."""
        items = value if is_several(value) else [value]
        ordered = sorted(items, key=str) if isinstance(items, set | frozenset) else items
        return [code for code in dict.fromkeys(self.code(item, row) for item in ordered) if code]
