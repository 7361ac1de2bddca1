"""Length-delimited `RequestLog` files: each record is its size as a varint, then the message; `.gz` is compressed."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from google.protobuf.message import DecodeError

from reranker.errors import InvalidInput, Violation
from reranker.requestlog.whole import ANYBODY, whole
from reranker.v1.request_log_pb2 import RequestLog

_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_RECORD = 1 << 28  # bytes; a size beyond it is taken for garbage instead of being allocated
_LONGEST_VARINT = 5  # bytes: enough for any size up to the largest record


def write(path: str | os.PathLike[str], records: Iterable[RequestLog], mode: int = ANYBODY) -> int:
    """Write `records` to `path`, compressed if it ends in `.gz`, and return how many there were.

    The file appears whole or not at all. Equal records give equal bytes. `mode` as in `whole`.
    """
    target, count = Path(path), 0
    with (
        whole(target, mode) as unfinished,
        _create(unfinished, compressed=target.suffix == ".gz") as stream,
    ):
        for record in records:
            body = record.SerializeToString(deterministic=True)
            stream.write(_varint(len(body)))
            stream.write(body)
            count += 1
    return count


def read(path: str | os.PathLike[str]) -> Iterator[RequestLog]:
    """The records of `path`, one at a time, decompressed if the content is gzip, whatever the file is called.

    Raises `InvalidInput` naming the byte offset (in the decompressed stream) of the first record that cannot be read;
    the records before it have been given by then. `OSError` if the file cannot be opened.
    """
    for offset, body in _bodies(path):
        try:
            yield RequestLog.FromString(body)
        except DecodeError:
            reason = "the record is not a RequestLog message"
            raise InvalidInput([Violation(f"byte {offset}", reason)], source=os.fspath(path)) from None


def read_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The records of `path` as the bytes of their messages, unparsed; else as `read`."""
    return (body for _, body in _bodies(path))


def framed(records: Iterable[RequestLog]) -> bytes:
    """Records as they stand in a file that is not compressed."""
    bodies = [record.SerializeToString(deterministic=True) for record in records]
    return b"".join(part for body in bodies for part in (_varint(len(body)), body))


def _bodies(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Where each record stands and its bytes."""
    with _open(Path(path)) as stream:
        offset = 0
        while True:
            body, size = _next_body(stream, offset, os.fspath(path))
            if body is None:
                return
            yield offset, body
            offset += size


def _next_body(stream: IO[bytes], offset: int, source: str) -> tuple[bytes | None, int]:
    """The record at `offset` and how many bytes it took with its size; None at a clean end."""
    try:
        header, length = _read_varint(stream)
        if header == 0:
            return None, 0
        if length > _LARGEST_RECORD:
            raise _Broken(f"a record claims {length} bytes, the limit is {_LARGEST_RECORD}; is this a request log?")
        body = stream.read(length)
        if len(body) < length:
            raise _Broken(f"the file ends inside a record: {length} bytes were promised, {len(body)} are there")
        return body, header + length
    except _Broken as broken:
        reason = str(broken)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = f"the compressed stream is damaged or cut off ({error})"
    raise InvalidInput([Violation(f"byte {offset}", reason)], source=source)


class _Broken(Exception):
    """What is wrong with the bytes of one record."""


def _read_varint(stream: IO[bytes]) -> tuple[int, int]:
    """The bytes a varint took and its value; (0, 0) at the end of the file."""
    value = 0
    for position in range(_LONGEST_VARINT):
        byte = stream.read(1)
        if not byte:
            if position == 0:
                return 0, 0
            raise _Broken("the file ends inside a record's size")
        value |= (byte[0] & 0x7F) << (7 * position)
        if byte[0] < 0x80:
            return position + 1, value
    raise _Broken("a record's size is not a varint; is this a request log?")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@contextmanager
def _create(path: Path, compressed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        # No name and no time in the header, so that equal records make equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
            yield cast("IO[bytes]", stream)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        # No RequestLog starts with these bytes: as a size and a tag they would be a group, which proto3 does not have.
        if raw.peek(2)[:2] != _GZIP_MAGIC:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
            yield cast("IO[bytes]", stream)
