from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from reranker.requestlog import read
from reranker.requestlog.files import framed
from reranker.requestlog.rotation import FORMATS, RotatingLog
from reranker.requestlog.traffic import SUFFIXES, parsed, records_of
from reranker.v1.request_log_pb2 import RequestLog


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def records(*names: str) -> list[RequestLog]:
    made = [RequestLog() for _ in names]
    for record, name in zip(made, names, strict=True):
        record.metadata.kind = name
        record.metadata.origin = os.urandom(100).hex()
    return made


def kinds(folder: Path) -> list[str]:
    """Of every record in the files that are done; each of them is whole, or reading it fails."""
    done = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    return [record.metadata.kind for record in parsed(records_of(done))]


def log(
    folder: Path, clock: Clock | None = None, *, size: int = 1 << 20, seconds: float = 60.0, form: str = "rlog"
) -> RotatingLog:
    return RotatingLog(folder, size, seconds, 2.0, form, clock or Clock())


both_forms = pytest.mark.parametrize("form", FORMATS)


@both_forms
def test_batches_of_one_file_are_read_as_one(tmp_path: Path, form: str) -> None:
    writer = log(tmp_path, form=form)
    writer.append(records("a", "b"))
    writer.append(records("c"))
    assert kinds(tmp_path) == []
    (part,) = tmp_path.iterdir()
    assert [record.metadata.kind for record in read(part)] == ["a", "b", "c"]
    writer.rotate()
    assert kinds(tmp_path) == ["a", "b", "c"]
    (done,) = tmp_path.iterdir()
    assert done.name.endswith(FORMATS[form])
    assert done.stat().st_mode & 0o007 == 0
    writer.rotate()
    assert len(list(tmp_path.iterdir())) == 1


@both_forms
def test_a_file_ends_by_size_and_by_age(tmp_path: Path, form: str) -> None:
    clock = Clock()
    writer = log(tmp_path, clock, size=150, form=form)
    for name in "abc":
        writer.append(records(name, name))
        clock.now += 1.0
    assert len(list(tmp_path.glob(f"*{FORMATS[form]}"))) == 2
    writer.rotate()
    writer = log(tmp_path, clock, seconds=10.0, form=form)
    writer.append(records("d"))
    clock.now += 9.0
    writer.append(records("e"))
    assert len(list(tmp_path.glob("*.part"))) == 1
    clock.now += 1.0
    writer.append(records("f"))
    assert kinds(tmp_path) == ["a", "a", "b", "b", "c", "c", "d", "e"]
    writer.rotate()
    assert kinds(tmp_path)[-1] == "f"


def test_what_is_too_old_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    clock = Clock()
    for name, days in (("old", 3.0), ("young", 1.0)):
        writer = log(tmp_path, clock)
        writer.append(records(name))
        writer.rotate()
        path = max(tmp_path.glob("*.gz"), key=lambda each: each.stat().st_ctime)
        path.rename(tmp_path / f"requests-{name}.rlog.gz")
        os.utime(tmp_path / f"requests-{name}.rlog.gz", (clock.now - days * 86_400.0,) * 2)
    (tmp_path / "requests-old.parquet").touch()
    os.utime(tmp_path / "requests-old.parquet", (clock.now - 3.0 * 86_400.0,) * 2)
    for name in ("mine.rlog.gz", "requests.txt", "requests-mine.txt"):
        (tmp_path / name).write_text("not of this log")
        os.utime(tmp_path / name, (0.0, 0.0))
    log(tmp_path, clock).tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.rlog.gz",
        "requests-mine.txt",
        "requests-young.rlog.gz",
        "requests.txt",
    ]


def test_time_ends_files_and_deletes_them_though_nothing_is_written(tmp_path: Path) -> None:
    clock = Clock()
    writer = log(tmp_path, clock, seconds=60.0)
    writer.keep_up()
    writer.append(records("a"))
    clock.now += 59.0
    writer.keep_up()
    assert kinds(tmp_path) == []
    clock.now += 1.0
    writer.keep_up()
    assert kinds(tmp_path) == ["a"]
    (done,) = tmp_path.iterdir()
    os.utime(done, (clock.now, clock.now))
    clock.now += 2.0 * 86_400.0
    writer.keep_up()
    assert kinds(tmp_path) == ["a"]
    clock.now += 1.0
    writer.keep_up()
    assert list(tmp_path.iterdir()) == []
    writer.append(records("b"))
    writer.rotate()
    assert kinds(tmp_path) == ["b"]


@both_forms
def test_what_a_dead_writer_left_is_finished_up_to_its_last_whole_record(tmp_path: Path, form: str) -> None:
    clock = Clock()
    dead = log(tmp_path, form=form)
    dead.append(records("a", "b"))
    dead.append(records("c"))
    (part,) = tmp_path.iterdir()
    whole = part.read_bytes()
    os.close(dead._descriptor)  # as the end of a process does: the lock goes, the file stays
    part.write_bytes(whole + gzip.compress(framed(records("d")))[:60])
    os.utime(part, (clock.now - 3_600.0,) * 2)
    half = tmp_path / f".{part.name.removesuffix('.rlog.part')}{FORMATS[form]}.77.partial"
    half.write_bytes(b"PAR1")  # it was killed while it finished the file
    log(tmp_path, form=form).tidy()
    assert kinds(tmp_path) == ["a", "b", "c"]
    (done,) = tmp_path.iterdir()
    assert done.stat().st_mtime == clock.now - 3_600.0
    assert done.stat().st_mode & 0o007 == 0
    part.write_bytes(b"")
    log(tmp_path, form=form).tidy()
    assert kinds(tmp_path) == ["a", "b", "c"]
    assert not part.exists()


@both_forms
def test_what_a_living_writer_writes_is_left_alone(tmp_path: Path, form: str) -> None:
    living = log(tmp_path, form=form)
    living.append(records("a"))
    log(tmp_path).tidy()
    assert len(list(tmp_path.glob("*.part"))) == 1
    living.append(records("b"))
    living.rotate()
    assert kinds(tmp_path) == ["a", "b"]


def test_a_full_disk_loses_the_batch_and_keeps_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = log(tmp_path)
    writer.append(records("a"))
    real = os.write
    written = 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal written
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[:20])
        return written

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        writer.append(records("b"))
    monkeypatch.setattr(os, "write", real)
    writer.append(records("c"))
    writer.rotate()
    assert kinds(tmp_path) == ["a", "c"]


def test_a_file_that_cannot_even_be_cut_is_left_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    writer = log(tmp_path)
    writer.append(records("a"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", broken)
        patched.setattr(os, "ftruncate", broken)
        with pytest.raises(OSError, match="Input"):
            writer.append(records("b"))
    writer.append(records("c"))
    writer.rotate()
    assert sorted(kinds(tmp_path)) == ["a", "c"]


def test_a_folder_that_is_gone_raises_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    writer = log(folder)
    with pytest.raises(FileNotFoundError):
        writer.append(records("a"))
    folder.mkdir()
    writer.append(records("b"))
    writer.rotate()
    assert kinds(folder) == ["b"]


def test_a_file_that_cannot_be_ended_costs_the_next_batch_and_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    writer = log(tmp_path, clock, seconds=5.0)
    writer.append(records("a"))
    clock.now += 5.0

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input"):
            writer.append(records("b"))
    writer.append(records("c"))
    writer.rotate()
    assert sorted(kinds(tmp_path)) == ["a", "c"]


def test_a_disk_that_is_full_at_the_end_of_a_file_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = log(tmp_path, form="parquet")
    writer.append(records("a", "b"))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writer, "_write", full)
        with pytest.raises(OSError, match="No space"):
            writer.rotate()
    assert kinds(tmp_path) == []
    writer.append(records("c"))
    writer.rotate()
    assert sorted(kinds(tmp_path)) == ["a", "b", "c"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet"}
