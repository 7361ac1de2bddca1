"""Rows as pipelines hold them (dicts, a pandas DataFrame, an Arrow table) as a `CandidateList` message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from reranker.client.columns import from_columns, recent_items
from reranker.client.reference import Reference
from reranker.errors import InvalidInput, Violation
from reranker.v1.candidates_pb2 import CandidateList

Names: TypeAlias = str | Sequence[str] | Mapping[str, str]
"""Which keys hold something: one, several under their own names, or a mapping from the wire's name to the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateBuilder:
    """Knows which key of a row means what; `build` turns rows into a message.

    `embeddings` is one key (the main embedding, unnamed) or a mapping from embedding names to keys; `attributes` are
    keys, or a mapping from attribute names to keys. A missing value (None, NaN, NA, an absent key) is an unknown
    attribute or a missing embedding; a list is several values; a mapping is probabilities by label. `half_precision`
    sends float16. `catalog` refers to columns of the server's item catalog, as for `from_columns`.
    """

    id_key: str = "id"
    score_key: str = "score"
    embeddings: Names = ()
    attributes: Names = ()
    half_precision: bool = False
    catalog: Reference = False
    _embedding_keys: Mapping[str, str] = field(init=False, repr=False)
    _attribute_keys: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        main = {"": self.embeddings} if isinstance(self.embeddings, str) else _mapping(self.embeddings)
        object.__setattr__(self, "_embedding_keys", main)
        object.__setattr__(self, "_attribute_keys", _mapping(self.attributes))

    def build(self, rows: Any) -> CandidateList:
        """The message for a list of dicts, a pandas DataFrame or a pyarrow Table or RecordBatch.

        Raises `InvalidInput` naming every violation: by column and row, under the names of the wire.
        """
        column = self._columns(rows, self.score_key)
        return from_columns(
            column.values(self.id_key),
            column.values(self.score_key),
            *self._signals(column),
            half_precision=self.half_precision,
            catalog=self.catalog,
        )

    def build_recent(self, rows: Any) -> CandidateList:
        """The message for rows of recently shown items, oldest first, for `request_context(recent=...)`.

        Takes and refuses what `build` does, except that rows need no score.
        """
        column = self._columns(rows)
        signals = self._signals(column)
        return recent_items(
            column.values(self.id_key), *signals, half_precision=self.half_precision, catalog=self.catalog
        )

    def _columns(self, rows: Any, *more_keys: str) -> _Dicts | _Frame | _Arrow:
        """The rows' columns; refuses rows in which nobody has a key that is asked for."""
        column = _columns_of(rows)
        wanted = [self.id_key, *more_keys, *self._embedding_keys.values(), *self._attribute_keys.values()]
        absent = [key for key in dict.fromkeys(wanted) if not column.has(key)]
        if absent:
            raise InvalidInput(Violation(key, f"the {column.kind} has no such {column.part}") for key in absent)
        return column

    def _signals(self, column: _Dicts | _Frame | _Arrow) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        """Embeddings and attributes under the names of the wire."""
        return (
            {name: column.vectors(key) for name, key in self._embedding_keys.items()},
            {name: column.values(key) for name, key in self._attribute_keys.items()},
        )


def from_rows(
    rows: Any,
    *,
    id_key: str = "id",
    score_key: str = "score",
    embeddings: Names = (),
    attributes: Names = (),
    half_precision: bool = False,
    catalog: Reference = False,
) -> CandidateList:
    """`CandidateBuilder(...).build(rows)` in one call."""
    builder = CandidateBuilder(
        id_key=id_key,
        score_key=score_key,
        embeddings=embeddings,
        attributes=attributes,
        half_precision=half_precision,
        catalog=catalog,
    )
    return builder.build(rows)


def _mapping(names: Names) -> Mapping[str, str]:
    if isinstance(names, Mapping):
        return dict(names)
    return {name: name for name in ([names] if isinstance(names, str) else names)}


class _Dicts:
    """Columns of a list of dicts; a key counts as present when one row has it, or when there are no rows."""

    kind, part = "list", "key"

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = list(rows)
        wrong = [i for i, row in enumerate(self._rows) if not isinstance(row, Mapping)]
        if wrong:
            raise InvalidInput(Violation(f"rows[{i}]", "must be a mapping") for i in wrong[:20])

    def has(self, key: str) -> bool:
        return not self._rows or any(key in row for row in self._rows)

    def values(self, key: str) -> list[Any]:
        return [row.get(key) for row in self._rows]

    vectors = values


class _Frame:
    """Columns of a pandas DataFrame."""

    kind, part = "table", "column"

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def has(self, key: str) -> bool:
        return key in self._frame.columns

    def values(self, key: str) -> list[Any]:
        return list(self._frame[key].tolist())

    vectors = values


class _Arrow:
    """Columns of a pyarrow Table or RecordBatch."""

    kind, part = "table", "column"

    def __init__(self, table: Any) -> None:
        self._table = table

    def has(self, key: str) -> bool:
        return key in self._table.schema.names

    def values(self, key: str) -> list[Any]:
        return list(self._table.column(key).to_pylist())

    def vectors(self, key: str) -> Any:
        """Lists without nulls and all of one length are handed over whole; row by row they would cost milliseconds."""
        column = self._table.column(key)
        array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        lists = array.drop_null()
        lengths = set(lists.value_lengths().to_pylist()) if hasattr(lists, "value_lengths") else set()
        flat = lists.flatten() if len(lengths) == 1 else None
        if flat is None or flat.null_count or not lengths - {0}:
            return self.values(key)
        matrix = flat.to_numpy(zero_copy_only=False).reshape(len(lists), -1)
        if not array.null_count:
            return matrix
        present = iter(matrix)
        known = array.is_valid().to_numpy(zero_copy_only=False)
        return [next(present) if has else None for has in np.asarray(known, bool)]


def _columns_of(rows: Any) -> _Dicts | _Frame | _Arrow:
    """By the type's module, so that neither pandas nor pyarrow is imported for those who have neither."""
    module = type(rows).__module__.partition(".")[0]
    if module == "pandas" and hasattr(rows, "columns"):
        return _Frame(rows)
    if module == "pyarrow" and hasattr(rows, "schema"):
        return _Arrow(rows)
    if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
        raise InvalidInput([Violation("rows", "must be a list of dicts, a pandas DataFrame or a pyarrow Table")])
    return _Dicts(rows)
