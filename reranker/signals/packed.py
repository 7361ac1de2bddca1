"""An item as the store keeps it: one value with its vectors, its probabilities, its labels, and proof that it is whole.

    header | shape | vectors and probabilities | lengths of the label fields | label fields

Little-endian. The shape names the columns, in JSON, the same bytes for every item that has the same ones: so a value
says what it is by itself, and values of one shape are taken apart by columns. The header has the whole length and a
CRC-32 of what follows them, so a value that was cut off or written over shows. A *tombstone* is a header alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates
from reranker.errors import InvalidInput, StoreLied, Violation

_MAGIC = b"RRI\x01"
_HEADER = struct.Struct("<4sIIQH")  # magic, length, checksum of what follows it, stamp, length of the shape
_CHECKED = 12  # where the checksum's stretch begins
_LENGTH = struct.Struct("<H")
_MOST_NAMES = 65_535  # bytes of a shape: its length has to fit into the header


@dataclass(frozen=True)
class Shape:
    """The columns of a value: embeddings by name with dimension and array type, probabilities by name, labels."""

    embeddings: tuple[tuple[str, int, str], ...]
    probabilities: tuple[tuple[str, tuple[str, ...]], ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, candidates: Candidates) -> Shape:
        """The shape of some items. Vectors that float16 holds exactly are kept so."""
        columns = candidates.attributes.items()
        return cls(
            tuple((name, own.matrix.shape[1], _type_of(own.matrix)) for name, own in candidates.embeddings.items()),
            tuple((name, column.values) for name, column in columns if column.probabilities is not None),
            tuple(name for name, column in columns if column.probabilities is None),
        )

    @classmethod
    def parse(cls, text: bytes) -> Shape:
        """The shape that `encoded` made; raises `StoreLied`."""
        try:
            tree = json.loads(text)
            return cls(
                tuple((str(name), int(dimension), _TYPES[kind]) for name, dimension, kind in tree["e"]),
                tuple((str(name), tuple(map(str, labels))) for name, labels in tree["p"]),
                tuple(map(str, tree["a"])),
            )
        except (KeyError, TypeError, ValueError):
            raise StoreLied("damaged") from None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of all attributes."""
        return (*self.labels, *(name for name, _ in self.probabilities))

    @cached_property
    def encoded(self) -> bytes:
        """The shape in bytes."""
        tree = {"e": self.embeddings, "p": self.probabilities, "a": self.labels}
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def row(self) -> np.dtype[np.void]:
        """Vectors and probabilities of one item."""
        vectors = [(f"e{n}", kind, (dimension,)) for n, (_, dimension, kind) in enumerate(self.embeddings)]
        shares = [(f"p{n}", "<f4", (len(labels),)) for n, (_, labels) in enumerate(self.probabilities)]
        return np.dtype(vectors + shares)

    @cached_property
    def lengths(self) -> struct.Struct:
        """The lengths of the label fields."""
        return struct.Struct(f"<{len(self.labels)}I")


_TYPES = {"<f4": "<f4", "<f2": "<f2"}


def pack(candidates: Candidates, stamp: int) -> list[bytes]:
    """One value an item; scores are left out. O(N (D + attributes)).

    Raises `InvalidInput` when the names of columns and labels are too long together.
    """
    shape = Shape.of(candidates)
    if len(shape.encoded) > _MOST_NAMES:
        reason = f"must have names and labels of at most {_MOST_NAMES} bytes together, have {len(shape.encoded)}"
        raise InvalidInput([Violation("candidates.attributes", reason)])
    rows = np.zeros(len(candidates), shape.row)
    for n, (name, _, _) in enumerate(shape.embeddings):
        own = candidates.embeddings[name]
        rows[f"e{n}"] = np.where(own.norms[:, None] > 0, own.matrix, np.float32(0.0))
    for n, (name, _) in enumerate(shape.probabilities):
        rows[f"p{n}"] = candidates.attributes[name].probabilities
    fields = [list(_fields(candidates.attributes[name])) for name in shape.labels]
    return [
        _sealed(stamp, shape.encoded, row.tobytes() + shape.lengths.pack(*map(len, own)) + b"".join(own))
        for row, own in zip(rows, zip(*fields, strict=True) if fields else ((),) * len(rows), strict=True)
    ]


def tombstone(stamp: int) -> bytes:
    """What stands in place of an item that was erased."""
    return _sealed(stamp, b"", b"")


def unpack(value: bytes) -> tuple[bytes, bytes]:
    """A value's shape, empty for a tombstone, and its body; raises `StoreLied` unless it is whole."""
    if len(value) < _HEADER.size:
        raise StoreLied("damaged")
    magic, length, crc, _, size = _HEADER.unpack_from(value)
    if magic != _MAGIC or length != len(value) or zlib.crc32(value[_CHECKED:]) != crc:
        raise StoreLied("damaged")
    end = _HEADER.size + size
    return value[_HEADER.size : end], value[end:]  # copies: a thousand views would call for the garbage collector


def take_apart(shape: Shape, bodies: Sequence[bytes]) -> tuple[NDArray[np.void], list[list[bytes]]]:
    """Vectors and probabilities of items of one shape (N,), and N fields of each label; raises `StoreLied`."""
    size, lengths = shape.row.itemsize, shape.lengths
    rows = np.frombuffer(b"".join([body[:size] for body in bodies]), np.uint8)
    if len(rows) != size * len(bodies) or any(len(body) < size + lengths.size for body in bodies):
        raise StoreLied("damaged")
    fields: list[list[bytes]] = [[] for _ in shape.labels]
    for body in bodies:
        at = size + lengths.size
        for own, length in zip(fields, lengths.unpack_from(body, size), strict=True):
            own.append(body[at : at + length])
            at += length
        if at != len(body):
            raise StoreLied("damaged")
    table = rows.view(shape.row) if size else np.zeros(len(bodies), shape.row)
    if not all(np.isfinite(table[name]).all() for name in shape.row.names or ()):
        raise StoreLied("damaged")
    return table, fields


def texts_of(field: bytes) -> tuple[str, ...]:
    """The values in a label field; raises `StoreLied`."""
    texts, at = [], 0
    try:
        while at < len(field):
            (length,) = _LENGTH.unpack_from(field, at)
            at += _LENGTH.size + length
            texts.append(field[at - length : at].decode())
    except (struct.error, UnicodeDecodeError):
        raise StoreLied("damaged") from None
    if at > len(field) or "" in texts or len(set(texts)) < len(texts):
        raise StoreLied("damaged")
    return tuple(texts)


def _sealed(stamp: int, shape: bytes, body: bytes) -> bytes:
    tail = struct.pack("<QH", stamp, len(shape)) + shape + body
    return struct.pack("<4sII", _MAGIC, _CHECKED + len(tail), zlib.crc32(tail)) + tail


def _fields(column: AttributeColumn) -> Iterable[bytes]:
    """The label field of each item."""
    encoded = [b""] + [_LENGTH.pack(len(text)) + text for text in map(str.encode, column.values)]
    codes = column.codes.tolist()
    if column.offsets is None:
        return [encoded[code] for code in codes]
    offsets = column.offsets.tolist()
    return [b"".join([encoded[code] for code in codes[a:b]]) for a, b in pairwise(offsets)]


def _type_of(matrix: NDArray[np.float32]) -> str:
    with np.errstate(over="ignore", under="ignore"):
        return "<f2" if np.array_equal(matrix.astype(np.float16).astype(np.float32), matrix) else "<f4"
