"""Parquet files, Arrow files and Arrow streams, a batch of rows at a time. Nothing else imports pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reranker.errors import FileViolation, InvalidInput, MissingExtra
from reranker.signals.batches import Batch, Places
from reranker.signals.sources import values
from reranker.signals.sources.names import Names

_ROWS = 65_536


def read_parquet(path: Path, names: Names) -> Iterator[Batch]:
    """Batches of the rows of a Parquet file."""
    pyarrow = _pyarrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            keys = _needed(str(path), file.schema_arrow.names, names)
            yield from _batches(file.iter_batches(_ROWS, columns=keys), str(path), names)
    except pyarrow.ArrowInvalid as error:
        raise _refused(path, "Parquet", error) from None


def read_arrow(path: Path, names: Names) -> Iterator[Batch]:
    """Batches of the rows of an Arrow file, or of a stream that was written to a file."""
    pyarrow = _pyarrow()
    try:
        with pyarrow.memory_map(str(path)) as data:
            try:
                reader = pyarrow.ipc.open_file(data)
            except pyarrow.ArrowInvalid:
                data.seek(0)
                yield from _batches(pyarrow.ipc.open_stream(data), str(path), names)
                return
            chunks = (reader.get_batch(number) for number in range(reader.num_record_batches))
            yield from _batches(chunks, str(path), names)
    except pyarrow.ArrowInvalid as error:
        raise _refused(path, "Arrow", error) from None


def read_arrow_stream(stream: BinaryIO, source: str, names: Names) -> Iterator[Batch]:
    """Batches of the rows of an Arrow stream."""
    pyarrow = _pyarrow()
    try:
        with pyarrow.ipc.open_stream(stream) as reader:
            yield from _batches(reader, source, names)
    except pyarrow.ArrowInvalid as error:
        raise _refused(source, "an Arrow stream", error) from None


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    return pyarrow


def _refused(source: Path | str, form: str, error: Exception) -> InvalidInput:
    reason = f"cannot be read as {form}: {str(error).splitlines()[0]}"
    return InvalidInput([FileViolation("file", reason, file=str(source))])


def _needed(source: str, present: list[str], names: Names) -> list[str]:
    """The columns to read."""
    names.require(source, present, "column")
    keys = [names.id_key, *names.embedding_keys.values(), *names.attribute_keys(present).values()]
    return [key for key in dict.fromkeys(keys) if key in present]


def _batches(chunks: Any, source: str, names: Names) -> Iterator[Batch]:
    first = 0
    for chunk in chunks:
        present = list(chunk.schema.names)
        _needed(source, present, names)
        for start in range(0, chunk.num_rows, _ROWS):
            piece = chunk.slice(start, _ROWS)
            yield _batch(piece, present, Places(source, range(first, first + piece.num_rows)), names)
            first += piece.num_rows


def _batch(chunk: Any, present: list[str], places: Places, names: Names) -> Batch:
    found = {name: _vectors(chunk.column(key)) for name, key in names.embedding_keys.items() if key in present}
    return Batch(
        places,
        chunk.column(names.id_key).to_pylist(),
        {name: vectors for name, vectors in found.items() if vectors is not None},
        {name: values.attribute(_plain(chunk.column(key))) for name, key in names.attribute_keys(present).items()},
    )


def _plain(column: Any) -> list[Any]:
    """Python's own values; a map's entries as a dict, as a struct's are."""
    listed: list[Any] = column.to_pylist()
    if str(column.type).startswith("map<"):
        return [None if value is None else dict(value) for value in listed]
    return listed


def _vectors(column: Any) -> Any:
    """Lists without nulls and all of one length are handed over whole; number by number they would cost minutes."""
    lists = column.drop_null()
    lengths = set(lists.value_lengths().to_pylist()) if hasattr(lists, "value_lengths") else set()
    flat = lists.flatten() if len(lengths) == 1 and 0 not in lengths else None
    if flat is None or flat.null_count:
        return values.vectors(column.to_pylist())
    matrix = flat.to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    if not column.null_count:
        return matrix
    spread = np.zeros((len(column), matrix.shape[1]), matrix.dtype)  # a row of zeros is a missing one
    spread[column.is_valid().to_numpy(zero_copy_only=False).astype(bool)] = matrix
    return spread
