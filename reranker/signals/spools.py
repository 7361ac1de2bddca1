"""Columns on their way into a catalog: they come in batches, wait in files, and leave as the sections of one file.

Only dictionaries are in memory. A column that appears late has nothing for the items before; it may turn out to hold
several values an item, or a classifier's probabilities, only when all of it was seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn
from reranker.candidates import EmbeddingColumn, Id
from reranker.signals.layout import MOST_SCALE, PRECISIONS, AttributeEntry, EmbeddingEntry, Section, TextSections

Write = Callable[[str, Iterator[NDArray[Any]]], Section]
"""Writes a section of a type from its pieces."""

MOST_LABELS = 256  # of a classifier: the table of its probabilities is dense
_PIECE = 1 << 18  # rows, or codes, that are in memory at a time


class Spool:
    """Numbers of one type that wait in a file, which is open only while something is done with it."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.dtype, self.count = np.dtype(dtype), 0
        self._path = path
        path.touch()

    def add(self, numbers: NDArray[Any]) -> None:
        """More of them."""
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(numbers, self.dtype).data)
        self.count += numbers.size

    def add_zeros(self, count: int) -> None:
        """So many zeros, which take no room in the file."""
        self.count += count
        os.truncate(self._path, self.count * self.dtype.itemsize)

    def pieces(self, size: int = _PIECE) -> Iterator[NDArray[Any]]:
        """All of them, so many at a time."""
        with self._path.open("rb") as file:
            while data := file.read(size * self.dtype.itemsize):
                yield np.frombuffer(data, self.dtype)


class IdSpool:
    """Ids, all of one kind: text or 64-bit numbers."""

    def __init__(self, folder: Path) -> None:
        self.is_text: bool | None = None
        self.numbers = Spool(folder / "numbers", "<u8")
        self.lengths, self.data = Spool(folder / "lengths", "<u4"), Spool(folder / "texts", "<u1")
        self.count = 0

    def add(self, ids: list[Id]) -> None:
        """More of them, of the kind that was there first."""
        self.count += len(ids)
        if self.is_text:
            texts = [str(item).encode() for item in ids]
            self.lengths.add(np.fromiter(map(len, texts), np.uint32, len(texts)))
            self.data.add(np.frombuffer(b"".join(texts), np.uint8))
        else:
            self.numbers.add(np.array(ids, np.uint64))


class VectorSpool:
    """One embedding in its final form."""

    def __init__(self, name: str, folder: Path, dimension: int, precision: str) -> None:
        self.name, self.dimension, self.precision, self.missing = name, dimension, precision, 0
        self._vectors = Spool(folder / "vectors", PRECISIONS[precision])
        self._scales = Spool(folder / "scales", "<f4") if precision == "int8" else None

    def add(self, column: EmbeddingColumn) -> dict[str, NDArray[np.bool_]]:
        """More rows; what is wrong with some of them, and with which: bool (N,) by reason."""
        known = column.norms > 0
        self.missing += int(np.count_nonzero(~known))
        matrix = np.where(known[:, None], column.matrix, np.float32(0.0))
        if self._scales is not None:
            scales = np.minimum(np.abs(matrix).max(axis=1) / np.float32(127.0), MOST_SCALE)
            self._scales.add(scales)
            with np.errstate(invalid="ignore", divide="ignore"):
                levels = np.rint(matrix / scales[:, None])
            levels[scales == 0] = 0
            self._vectors.add(levels.astype(np.int8))
            return {"is too small to be kept as int8": known & (scales == 0)}
        if self.precision == "float32":
            self._vectors.add(matrix)
            return {}
        with np.errstate(over="ignore", under="ignore"):
            halves = matrix.astype(np.float16)
        self._vectors.add(halves.view(np.uint16))
        return {
            "has numbers beyond 65504, the largest of float16": np.logical_not(np.isfinite(halves).all(axis=1)),
            "is too small to be kept as float16": known & np.logical_not(halves.any(axis=1)),
        }

    def add_absent(self, count: int) -> None:
        """So many items that have none."""
        self.missing += count
        self._vectors.add_zeros(count * self.dimension)
        if self._scales is not None:
            self._scales.add_zeros(count)

    def leave(self, write: Write) -> EmbeddingEntry:
        """Write the sections."""
        vectors = write(PRECISIONS[self.precision], self._vectors.pieces())
        scales = None if self._scales is None else write("<f4", self._scales.pieces())
        return EmbeddingEntry(self.name, self.dimension, self.precision, self.missing, vectors, scales)


class LabelSpool:
    """One attribute: how many values each item has, their codes, and a classifier's probabilities of them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.items = name, 0
        self.code_of: dict[str, int] = {}
        self._sizes, self._codes = Spool(folder / "sizes", "<u4"), Spool(folder / "codes", "<i4")
        self._shares = Spool(folder / "probabilities", "<f4")
        self._classified: bool | None = None
        self._several = False
        self._unknown = 0

    def add(self, column: AttributeColumn) -> str:
        """More items; what is wrong with all of them, empty when nothing is."""
        classified = column.probabilities is not None
        sizes, codes, shares = _entries(column)
        if len(codes):
            if self._classified is not None and self._classified != classified:
                return "must be values everywhere, or probabilities everywhere"
            self._classified = classified
        number = np.zeros(len(column.values) + 1, np.int32)
        for code in np.unique(codes).tolist():  # a value that only items carried that were left out must not stay
            number[code] = self.code_of.setdefault(column.values[code - 1], len(self.code_of) + 1)
        if classified and len(self.code_of) > MOST_LABELS:
            return f"must have at most {MOST_LABELS} labels with probabilities"
        self._several |= column.offsets is not None
        self._unknown += int(np.count_nonzero(sizes == 0))
        self.items += len(sizes)
        self._sizes.add(sizes)
        self._codes.add(number[codes])
        self._shares.add(shares)
        return ""

    def add_absent(self, count: int) -> None:
        """So many items whose value is unknown."""
        self._unknown += count
        self.items += count
        self._sizes.add_zeros(count)

    def leave(self, write: Write) -> AttributeEntry:
        """Write the sections."""
        dictionary = write_texts(list(self.code_of), write)
        entry = AttributeEntry(self.name, len(self.code_of), self._unknown, dictionary)
        codes = probabilities = offsets = None
        narrow = "<u1" if len(self.code_of) < 1 << 8 else "<u2" if len(self.code_of) < 1 << 16 else "<i4"
        if self._classified:
            probabilities = write("<f4", self._dense())
        elif self._several:
            offsets = write("<i8", offsets_of(self._sizes))
            codes = write(narrow, self._codes.pieces())
        else:
            codes = write(narrow, self._one_each())
        return AttributeEntry(entry.name, entry.values, entry.unknown, dictionary, codes, offsets, probabilities)

    def _one_each(self) -> Iterator[NDArray[Any]]:
        """One code an item, 0 where it has none."""
        for sizes, codes, _ in self._items():
            out = np.zeros(len(sizes), np.int32)
            out[sizes > 0] = codes
            yield out

    def _dense(self) -> Iterator[NDArray[Any]]:
        """Rows of probabilities."""
        for sizes, codes, shares in self._items(1 << 14):
            out = np.zeros((len(sizes), len(self.code_of)), np.float32)
            out[np.repeat(np.arange(len(sizes)), sizes), codes - 1] = shares
            yield out

    def _items(self, size: int = _PIECE) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Sizes of some items at a time, with their codes and shares."""
        codes, shares = _Reader(self._codes), _Reader(self._shares)
        for sizes in self._sizes.pieces(size):
            count = int(sizes.sum())
            yield sizes, codes.take(count), shares.take(count) if self._classified else np.zeros(0, np.float32)


class _Reader:
    """The numbers of a spool, as many at a time as are asked for."""

    def __init__(self, spool: Spool) -> None:
        self._pieces = spool.pieces()
        self._left: NDArray[Any] = np.zeros(0, spool.dtype)

    def take(self, count: int) -> NDArray[Any]:
        parts = [self._left]
        held = len(self._left)
        while held < count:
            parts.append(next(self._pieces))
            held += len(parts[-1])
        everything = np.concatenate(parts)
        self._left = everything[count:]
        return everything[:count]


def offsets_of(lengths: Spool) -> Iterator[NDArray[np.int64]]:
    """Where each of the pieces with these lengths begins, and where the last one ends."""
    end = np.int64(0)
    yield np.zeros(1, np.int64)
    for piece in lengths.pieces():
        ends = end + np.cumsum(piece, dtype=np.int64)
        end = ends[-1]
        yield ends


def write_texts(texts: list[str], write: Write) -> TextSections:
    """The sections of texts that are in memory."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return TextSections(write("<i8", iter([offsets])), write("<u1", iter([np.frombuffer(b"".join(encoded), np.uint8)])))


def _entries(column: AttributeColumn) -> tuple[NDArray[np.integer], NDArray[np.int32], NDArray[np.float32]]:
    """How many values each item has, their codes, and their probabilities where a classifier gave them."""
    if column.probabilities is not None:
        rows, labels = np.nonzero(column.probabilities > 0)
        sizes = np.bincount(rows, minlength=len(column.probabilities))
        return sizes, (labels + 1).astype(np.int32), column.probabilities[rows, labels]
    nothing = np.zeros(0, np.float32)
    if column.offsets is None:
        known = column.codes > 0
        return known.astype(np.uint32), column.codes[known], nothing
    return np.diff(column.offsets), column.codes, nothing
