"""NumPy archives, read from the archive a stretch of rows at a time, whatever the size of their arrays.

ids                              text or integers
embeddings, embedding.NAME       rows of numbers
attribute.NAME                   one value an item
attribute.NAME.values, .codes    a dictionary and codes into it, 0 unknown and c the value c - 1
attribute.NAME.offsets           several: item i has codes[offsets[i]:offsets[i + 1]]
attribute.NAME.labels, .probabilities   a classifier's output
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn, LabelProbabilities
from reranker.errors import FileViolation, InvalidInput
from reranker.signals.batches import Batch, Places
from reranker.signals.sources.names import Names

_ROWS = 65_536
_ATTRIBUTE, _EMBEDDING = "attribute.", "embedding."
_PARTS = ("values", "codes", "offsets", "labels", "probabilities")


def read_npz(path: Path, names: Names) -> Iterator[Batch]:
    """Batches of the rows of an archive. Raises `InvalidInput` when its arrays do not go together."""
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as streams:
            yield from _batches(_Archive(archive, str(path), streams), names)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput([FileViolation("file", f"cannot be read as .npz: {error}", file=str(path))]) from None


class _Array:
    """One array of an archive, read from front to back."""

    def __init__(self, stream: Any, name: str) -> None:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read(stream)
        if self.dtype.hasobject:
            raise ValueError(f"{name} holds Python objects: save plain text or numbers")
        self._stream, self._whole = stream, None
        if fortran and len(self.shape) > 1:  # its rows are not one after the other
            self._whole = self._read(int(np.prod(self.shape))).reshape(self.shape, order="F")
        self._row = int(np.prod(self.shape[1:]))
        self._at = 0

    def __len__(self) -> int:
        return int(self.shape[0]) if self.shape else 0

    def take(self, count: int) -> NDArray[Any]:
        """The next rows."""
        self._at += count
        if self._whole is not None:
            return self._whole[self._at - count : self._at]
        return self._read(count * self._row).reshape(count, *self.shape[1:])

    def all(self) -> NDArray[Any]:
        """All rows that are left."""
        return self.take(len(self) - self._at)

    def _read(self, count: int) -> NDArray[Any]:
        data = self._stream.read(count * self.dtype.itemsize)
        if len(data) != count * self.dtype.itemsize:
            raise ValueError("an array is cut off")
        return np.frombuffer(data, self.dtype)


class _Archive:
    """The arrays of an archive by name."""

    def __init__(self, archive: zipfile.ZipFile, source: str, streams: ExitStack) -> None:
        self.source, self._archive, self._streams = source, archive, streams
        self.names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def open(self, name: str) -> _Array:
        return _Array(self._streams.enter_context(self._archive.open(f"{name}.npy")), name)

    def find(self, *names: str) -> str | None:
        """The first of these that is there."""
        return next((name for name in names if name in self.names), None)

    def refused(self, what: str, reason: str) -> InvalidInput:
        return InvalidInput([FileViolation(what, reason, file=self.source)])


def _batches(archive: _Archive, names: Names) -> Iterator[Batch]:
    ids_key = archive.find("ids", "id") if names.ids is None else archive.find(names.ids)
    if ids_key is None:
        wanted = "ids" if names.ids is None else names.ids
        raise archive.refused(wanted, f"there is no such array; there are {', '.join(archive.names[:20])}")
    ids = archive.open(ids_key)
    count = len(ids)
    vectors = {name: archive.open(key) for name, key in _embeddings(archive, names).items()}
    labels = {name: _Attribute(archive, key, count) for name, key in _attributes(archive, names).items()}
    for name, array in vectors.items():
        if len(array) != count:
            raise archive.refused(f"embeddings[{name!r}]", f"must have one row an id: {count}, has {len(array)}")
    for first in range(0, count, _ROWS):
        size = min(_ROWS, count - first)
        yield Batch(
            Places(archive.source, range(first, first + size)),
            ids.take(size).tolist(),
            {name: array.take(size) for name, array in vectors.items()},
            {name: attribute.take(size) for name, attribute in labels.items()},
        )


def _embeddings(archive: _Archive, names: Names) -> dict[str, str]:
    """Arrays by the embedding's name."""
    if names.embeddings is not None:
        return {name: _asked(archive, key, _EMBEDDING) for name, key in names.embeddings.items()}
    main = archive.find("embeddings", "embedding")
    named = {key.removeprefix(_EMBEDDING): key for key in archive.names if key.startswith(_EMBEDDING)}
    return {**({"": main} if main else {}), **named}


def _attributes(archive: _Archive, names: Names) -> dict[str, str]:
    """The first parts of the names of an attribute's arrays, by the attribute's name."""
    if names.attributes is not None:
        return {name: _asked(archive, key, _ATTRIBUTE) for name, key in names.attributes.items()}
    keys = [key for key in archive.names if key.startswith(_ATTRIBUTE)]
    return {key.removeprefix(_ATTRIBUTE): key for key in dict.fromkeys(map(_stem, keys))}


def _asked(archive: _Archive, key: str, prefix: str) -> str:
    for full in (key, prefix + key):
        if full in archive.names or any(name.startswith(f"{full}.") for name in archive.names):
            return full
    raise archive.refused(key, f"there is no such array; there are {', '.join(archive.names[:20])}")


def _stem(key: str) -> str:
    stem, _, last = key.rpartition(".")
    return stem if last in _PARTS and stem != _ATTRIBUTE.rstrip(".") else key


class _Attribute:
    """One attribute in any of its forms."""

    def __init__(self, archive: _Archive, key: str, count: int) -> None:
        parts = {part: archive.open(f"{key}.{part}") for part in _PARTS if f"{key}.{part}" in archive.names}
        self._plain = archive.open(key) if key in archive.names else None
        forms = {("values", "codes"), ("values", "codes", "offsets"), ("labels", "probabilities")}
        if (self._plain is None) == (tuple(parts) not in forms) or (self._plain is not None and parts):
            forms_text = f"{key}, or {key}.values and .codes, perhaps with .offsets, or .labels and .probabilities"
            raise archive.refused(key, f"must be the arrays {forms_text}")
        whole = self._plain or parts.get("offsets") or parts.get("codes") or parts["probabilities"]
        if len(whole) != count + ("offsets" in parts):
            raise archive.refused(key, f"must have one entry an id: {count}, has {len(whole) - ('offsets' in parts)}")
        self._codes, self._probabilities = parts.get("codes"), parts.get("probabilities")
        self._offsets = parts.get("offsets")
        self._texts = tuple(parts["values" if "values" in parts else "labels"].all().tolist()) if parts else ()
        self._end = int(self._offsets.take(1)[0]) if self._offsets is not None else 0

    def take(self, count: int) -> Any:
        """The values of the next items."""
        if self._plain is not None:
            return self._plain.take(count).tolist()
        if self._probabilities is not None:
            return LabelProbabilities(self._texts, self._probabilities.take(count))
        assert self._codes is not None
        if self._offsets is None:
            return AttributeColumn(self._texts, self._codes.take(count))
        ends = self._offsets.take(count).astype(np.int64)
        offsets = np.concatenate([[0], ends - self._end])
        if (np.diff(offsets) < 0).any():
            raise ValueError("offsets must not fall")
        self._end = int(ends[-1])
        return AttributeColumn(self._texts, self._codes.take(int(offsets[-1])), offsets)
