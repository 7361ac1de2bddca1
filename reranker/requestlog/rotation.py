"""A folder of request logs that grows, turns over, and forgets: one file at a time is written, the others are whole.

requests-20261129T100000Z-3f2a91.rlog.part   being written: compressed piece by piece, locked by its writer
requests-20261129T100000Z-3f2a91.rlog.gz     done; deleted when it is older than `keep_days`
requests-20261129T100000Z-3f2a91.parquet     the same as Parquet, where that is asked for

What a writer left behind that was killed is finished by the next one that starts: every whole record of it. A Parquet
file cannot be read before its last byte is there, so it is made of the file that was written piece by piece: whatever
kills the writer, no record that was written is lost.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from reranker.errors import InvalidInput
from reranker.requestlog.files import framed, read, write
from reranker.requestlog.whole import PRIVATE
from reranker.v1.request_log_pb2 import RequestLog

_OPEN = ".rlog.part"
FORMATS = {"rlog": ".rlog.gz", "parquet": ".parquet"}
"""What a finished file is called at its end, by the name of its format."""
_PREFIX = "requests-"
_TIME = "%Y%m%dT%H%M%SZ"
_DAY = 86_400.0


class RotatingLog:
    """Appends records to a folder; for one thread. A file ends at `file_bytes` of compressed data or `seconds` of age.

    Several processes may write to one folder: names are unique, and nobody touches a file that another has locked.
    Raises `MissingExtra` where `form` is "parquet" and the extra of that name is not installed.
    """

    def __init__(
        self,
        folder: Path,
        file_bytes: int,
        seconds: float,
        keep_days: float,
        form: str = "rlog",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._file_bytes, self._seconds, self._keep_days = folder, file_bytes, seconds, keep_days
        self._clock, self._done = clock, FORMATS[form]
        self._write = _writer_of(form)
        self._path: Path | None = None
        self._descriptor = -1
        self._size = 0
        self._began = 0.0

    def tidy(self) -> None:
        """Finish what dead writers left, and delete what is too old. Raises `OSError`."""
        for path in sorted(self._folder.glob(f"{_PREFIX}*{_OPEN}")):
            if path != self._path:
                self._finish_if_abandoned(path)
        oldest = self._clock() - self._keep_days * _DAY
        for path in self._folder.glob(f"{_PREFIX}*"):
            with suppress(FileNotFoundError):  # another writer to this folder was quicker
                if path.name.endswith(tuple(FORMATS.values())) and path.stat().st_mtime < oldest:
                    path.unlink()

    def append(self, records: Iterable[RequestLog]) -> int:
        """Write the records and return the bytes that took: all of them or, raising `OSError`, none."""
        data = gzip.compress(framed(records), mtime=0)  # a stream of its own: a reader goes from one to the next
        if self._size >= self._file_bytes or self._clock() - self._began >= self._seconds:
            self.rotate()  # before anything is written: what it raises is then true of these records
        if self._path is None:
            self._open()
        try:
            _write_all(self._descriptor, data)
        except OSError:
            self._undo()
            raise
        self._size += len(data)
        return len(data)

    def keep_up(self) -> None:
        """What is due though nothing is written: end a file of that age, and tidy up. Raises `OSError`."""
        if self._path is not None and self._clock() - self._began >= self._seconds:
            self.rotate()
        else:
            self.tidy()

    def rotate(self) -> None:
        """End the file that is being written, if there is one, and tidy up. Raises `OSError`."""
        if self._path is None:
            return
        path, size, self._path, self._size = self._path, self._size, None, 0
        try:
            os.fsync(self._descriptor)
            if size and self._done == FORMATS["rlog"]:
                path.rename(self._place_of(path))  # it is compressed already
            else:
                self._finish(path)
        finally:
            os.close(self._descriptor)  # and with it the lock
        self.tidy()

    def _open(self) -> None:
        now = self._clock()
        began = datetime.fromtimestamp(now, UTC).strftime(_TIME)
        path = self._folder / f"{_PREFIX}{began}-{secrets.token_hex(3)}{_OPEN}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path, self._size, self._began = path, 0, now

    def _place_of(self, path: Path) -> Path:
        return path.with_name(path.name.removesuffix(_OPEN) + self._done)

    def _finish(self, path: Path) -> None:
        """Write what a file that is locked holds to its place, as old as it is, and delete it."""
        for left in path.parent.glob(f".{path.name.removesuffix(_OPEN)}.*.partial"):  # by whoever was killed at this
            left.unlink(missing_ok=True)
        records = _whole_records(path)
        first = next(records, None)
        if first is not None:
            age = path.stat().st_mtime
            self._write(self._place_of(path), chain([first], records), PRIVATE)
            os.utime(self._place_of(path), (age, age))
        path.unlink(missing_ok=True)

    def _finish_if_abandoned(self, path: Path) -> None:
        """Keep every whole record of a file that nobody writes any more."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # its writer, or another tidier, was quicker
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            if path.exists():
                self._finish(path)
        finally:
            os.close(descriptor)

    def _undo(self) -> None:
        """Take back half of a write; where even that fails, leave the file to whoever tidies up."""
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            os.close(self._descriptor)
            self._path = None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _writer_of(form: str) -> Callable[[Path, Iterable[RequestLog], int], int]:
    if form == "parquet":
        from reranker.requestlog import parquet

        return parquet.write
    return write


def _whole_records(path: Path) -> Iterator[RequestLog]:
    try:
        yield from read(path)
    except InvalidInput:
        return  # the writer was killed half-way through the last piece
