"""What comes in: the candidates' columns, checked once at the door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reranker.attributes import (
    AttributeColumn,
    LabelProbabilities,
    attribute_column,
    attribute_text,
    probability_column,
)
from reranker.errors import InvalidInput, Violation
from reranker.inputs import MASKED, SHOWN, entries, is_masked, list_rows, read_numbers, spread, usual_width
from reranker.kernels.door import are_finite, copy_rows, measure_rows
from reranker.texts import TORN, are_whole, is_whole

__all__ = [
    "AttributeColumn",
    "Candidates",
    "EmbeddingColumn",
    "Id",
    "LabelProbabilities",
    "attribute_text",
    "checked_scores",
    "embedding_column",
    "list_duplicates",
    "list_rows",
    "probability_column",
]

Id: TypeAlias = str | int
_ROWS = "must be rows of numbers, all of one length"


@dataclass(slots=True, eq=False)
class EmbeddingColumn:
    """One named embedding: `matrix` float32 (N, D), C-contiguous; `norms` float64 (N,), 0 where it is missing.

    `missing` is how many candidates have no embedding; counted when it is not given.
    """

    matrix: NDArray[np.float32]
    norms: NDArray[np.float64]
    missing: int = field(default=-1, repr=False)

    def __post_init__(self) -> None:
        if self.missing < 0:
            self.missing = int(np.count_nonzero(self.norms == 0.0))


class Candidates:
    """A checked candidate list, with memory of its own: changing what it was made of changes nothing here.

    `ids` are all text or all integers, unique; `scores` N finite floats; `embeddings` an (N, D) array, a sequence of
    rows in which None means missing, a mapping from names to either, or None; `attributes` maps names to one value an
    item (None = unknown), to lists of values, or to `LabelProbabilities`. Values become text: 3 is "3", True is
    "true". Columns may be any ordered iterable. Raises `InvalidInput` naming every violation; without readable ids
    nothing else can be checked. Complexity O(N (D + attributes)).
    """

    __slots__ = ("attributes", "embeddings", "ids", "scores", "unknown")

    ids: Sequence[Id]
    scores: NDArray[np.float64]
    embeddings: Mapping[str, EmbeddingColumn]
    attributes: Mapping[str, AttributeColumn]
    unknown: NDArray[np.bool_] | None
    """Whom the item catalog does not know: bool (N,); None where nothing was looked up in one."""

    def __init__(
        self,
        ids: Iterable[Any],
        scores: ArrayLike | Iterable[Any],
        embeddings: ArrayLike | Iterable[Any] | Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        found: list[Violation] = []
        self.ids = _own_ids(ids, found)
        count = len(self.ids)
        self.scores = checked_scores(scores, count, found)
        self.embeddings = _embedding_columns(embeddings, count, found)
        self.attributes = _attribute_columns(attributes, count, found)
        self.unknown = None
        if found:
            raise InvalidInput(found)

    @classmethod
    def from_columns(
        cls,
        ids: Sequence[Id],
        scores: NDArray[np.float64],
        embeddings: Mapping[str, EmbeddingColumn],
        attributes: Mapping[str, AttributeColumn],
        unknown: NDArray[np.bool_] | None = None,
    ) -> Candidates:
        """Columns that the caller has checked already and leaves alone from here on, as the wire's codec does."""
        self = cls.__new__(cls)
        self.ids, self.scores, self.embeddings, self.attributes = ids, scores, embeddings, attributes
        self.unknown = unknown
        return self

    def take(self, rows: NDArray[np.integer]) -> Candidates:
        """The candidates in `rows`, in that order. O(rows x (D + attributes))."""
        return Candidates.from_columns(
            [self.ids[row] for row in rows.tolist()],
            self.scores[rows],
            {name: EmbeddingColumn(own.matrix[rows], own.norms[rows]) for name, own in self.embeddings.items()},
            {name: column.take(rows) for name, column in self.attributes.items()},
            None if self.unknown is None else self.unknown[rows],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Candidates({len(self)} items, embeddings {list(self.embeddings)}, attributes {list(self.attributes)})"


def checked_scores(scores: Any, count: int, found: list[Violation]) -> NDArray[np.float64]:
    """Scores as float64 of the right length and of their own memory, or violations added to `found`."""
    path = "candidates.scores"
    if type(scores) is np.ndarray and scores.dtype in (np.float64, np.float32) and scores.shape == (count,):
        copied = scores.astype(np.float64)  # the common case
        if are_finite(copied):
            return copied
    scores = spread(scores)
    array = read_numbers(path, scores, np.float64, "must be numbers", found)
    if array is None:
        if isinstance(scores, list | tuple) and len(scores) != count:
            found.append(Violation(path, f"must have one score per id: {count}, has {len(scores)}"))
        return np.zeros(count)
    if array.ndim != 1 and not (array.size == 0 and len(array) == count == 0):
        found.append(Violation(path, f"must be one-dimensional, has {array.ndim} dimensions"))
    elif len(array) != count:
        found.append(Violation(path, f"must have one score per id: {count}, has {len(array)}"))
    else:
        list_rows(path, ~np.isfinite(array), "must be finite", found)
    return array if array.ndim == 1 else np.zeros(count)


def embedding_column(
    path: str, matrix: NDArray[np.float32], missing: NDArray[np.bool_] | None, found: list[Violation]
) -> EmbeddingColumn:
    """A float32 matrix with its row lengths; rows in `missing` are ignored, rows that are not finite are violations."""
    norms = np.empty(len(matrix))
    zeros = measure_rows(matrix, norms)
    if missing is not None:
        norms[missing] = 0.0
        zeros = -1
    if zeros < 0:
        list_rows(path, ~np.isfinite(norms), "must be finite", found)
    return EmbeddingColumn(matrix, norms, zeros)


def _own_ids(ids: Any, found: list[Violation]) -> Sequence[Id]:
    """A list of its own. Raises `InvalidInput` where there is none: nothing else could be checked."""
    if type(ids) is list:
        listed: list[Any] | None = ids.copy()
    elif type(ids) is np.ndarray and ids.ndim == 1 and ids.dtype.kind in "iuU":
        listed = ids.tolist()
    else:
        listed = None
    if listed and _are_sound(listed):  # the common case, without a look at each id from Python
        return listed
    listed = None if is_masked(ids) else entries(ids, refused=(bytes, bytearray))
    if listed is None:
        reason = MASKED if is_masked(ids) else "must be a list of text or of integers"
        raise InvalidInput([Violation("candidates.ids", reason)])
    return _checked_ids(listed, found)


def _are_sound(ids: list[Any]) -> bool:
    """Whether ids are all text or all integers, unique and whole; False proves nothing.

    Only text can be joined; a sum is an integer if all of its items are, but for booleans, which equal 0 and 1.
    """
    kind = type(ids[0])
    if kind is not int and kind is not str:
        return False
    try:
        unique = set(ids)
        sound = is_whole("".join(ids)) if kind is str else type(sum(ids)) is int
    except TypeError:
        return False
    if len(unique) != len(ids) or not sound:
        return False
    return kind is str or all(type(ids[ids.index(bit)]) is int for bit in (0, 1) if bit in unique)


def _checked_ids(ids: list[Any], found: list[Violation]) -> Sequence[Id]:
    plain = [_plain_id(item) for item in ids]
    wrong = [i for i, item in enumerate(plain) if item is None]
    found.extend(Violation(f"candidates.ids[{i}]", "must be text or an integer") for i in wrong[:SHOWN])
    if len(wrong) > SHOWN:
        found.append(Violation("candidates.ids", f"must be text or integers; {len(wrong) - SHOWN} more are not"))
    sound = [item for item in plain if item is not None]
    if wrong:
        return ids
    kinds = set(map(type, sound))
    if len(kinds) > 1:
        found.append(Violation("candidates.ids", "must be all text or all integers"))
    elif kinds == {str}:
        _list_torn(sound, found)
    list_duplicates("candidates.ids", sound, found)
    return sound


def _list_torn(ids: list[Any], found: list[Violation]) -> None:
    """A violation for each text that no message could carry."""
    if not are_whole(ids):
        list_rows("candidates.ids", np.array([not is_whole(item) for item in ids]), TORN, found)


def _plain_id(item: Any) -> Id | None:
    """Text or an integer, of exactly that type; None when it is neither."""
    if isinstance(item, str):
        return str.__str__(item)
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    return None


def list_duplicates(path: str, ids: Sequence[Id], found: list[Violation]) -> None:
    """A violation for each id that an earlier one repeats."""
    if len(set(ids)) == len(ids):
        return
    first: dict[Id, int] = {}
    repeats = [(i, first[item]) for i, item in enumerate(ids) if first.setdefault(item, i) != i]
    found.extend(Violation(f"{path}[{i}]", f"must be unique, repeats {path}[{j}]") for i, j in repeats[:SHOWN])
    if len(repeats) > SHOWN:
        found.append(Violation(path, f"must be unique; {len(repeats) - SHOWN} more repeat an earlier one"))


def _embedding_columns(data: Any, count: int, found: list[Violation]) -> dict[str, EmbeddingColumn]:
    named = {"": data} if type(data) is np.ndarray or not isinstance(data, Mapping) else data
    columns = {}
    for name, rows in named.items():
        if not isinstance(name, str):
            found.append(Violation("candidates.embeddings", "names must be text"))
            continue
        path = f"candidates.embeddings[{name!r}]" if name else "candidates.embeddings"
        if not is_whole(name):
            found.append(Violation(path, TORN))
        column = None if rows is None else _embedding_column(path, rows, count, found)
        if column is not None:
            columns[str.__str__(name)] = column
    return columns


def _attribute_columns(data: Any, count: int, found: list[Violation]) -> dict[str, AttributeColumn]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        found.append(Violation("candidates.attributes", "must be a mapping from names to columns"))
        return {}
    columns = {}
    for name, values in data.items():
        if not isinstance(name, str) or not name:
            found.append(Violation("candidates.attributes", "names must be text, not empty"))
            continue
        text = str.__str__(name)
        path = f"candidates.attributes[{text!r}]"
        if not is_whole(text):
            found.append(Violation(path, TORN))
        column = attribute_column(path, values, count, found)
        if column is not None:
            columns[text] = column
    return columns


def _copied_rows(data: Any, count: int) -> EmbeddingColumn | None:
    """The column of a float32 matrix of `count` finite rows, copied and measured in one pass; None for all else."""
    if type(data) is not np.ndarray or data.dtype != np.float32 or data.ndim != 2:
        return None
    if not count or data.shape[0] != count or not data.shape[1] or not (data.flags.c_contiguous and data.flags.aligned):
        return None
    matrix, norms = np.empty(data.shape, np.float32), np.empty(count)
    zeros = copy_rows(data, matrix, norms)
    return EmbeddingColumn(matrix, norms, zeros) if zeros >= 0 else None


def _embedding_column(path: str, data: Any, count: int, found: list[Violation]) -> EmbeddingColumn | None:
    copied = _copied_rows(data, count)
    if copied is not None:
        return copied
    rows = spread(data)
    if getattr(rows, "dtype", None) == np.dtype(object) and getattr(rows, "ndim", 0) == 1:
        rows = list(rows)  # a list of rows that was made an array
    missing: NDArray[np.bool_] | None = None
    if isinstance(rows, list | tuple) and any(row is None for row in rows):
        missing = np.array([row is None for row in rows], bool)
        blank = np.zeros(usual_width(rows))
        rows = [blank if row is None else row for row in rows]
    matrix = read_numbers(path, rows, np.float32, _ROWS, found, width=0)
    if matrix is None or (count == 0 and matrix.size == 0):
        return None
    if matrix.ndim == 0:
        found.append(Violation(path, _ROWS))
        return None
    if matrix.ndim != 2 or matrix.shape[0] != count or matrix.shape[1] == 0:
        shape = " x ".join(map(str, matrix.shape))
        found.append(Violation(path, f"must be {count} rows of at least one number, is {shape}"))
        return None
    return embedding_column(path, matrix, missing, found)
