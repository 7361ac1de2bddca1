from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from reranker.errors import InvalidInput
from reranker.requestlog import read, write
from reranker.v1.request_log_pb2 import RequestLog


def records(count: int = 5) -> list[RequestLog]:
    made = []
    for i in range(count):
        record = RequestLog()
        record.metadata.kind = "text_search"
        record.request.request_id = f"request {i}"
        record.request.candidates.scores.extend([0.5] * 20 * i)
        made.append(record)
    return made


@pytest.mark.parametrize("name", ["traffic.rlog", "traffic.rlog.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write(path, iter(records())) == 5
    assert list(read(path)) == records()
    assert list(read(str(path))) == records()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_gz_is_compressed_and_equal_records_make_equal_files(tmp_path: Path) -> None:
    first, second, plain = tmp_path / "a.rlog.gz", tmp_path / "b.rlog.gz", tmp_path / "a.rlog"
    for path in (first, second, plain):
        write(path, records())
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()) == plain.read_bytes()


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    write(tmp_path / "a.rlog.gz", records())
    renamed = (tmp_path / "a.rlog.gz").rename(tmp_path / "a.rlog")
    assert list(read(renamed)) == records()


def test_an_empty_log_has_no_records(tmp_path: Path) -> None:
    for name in ("empty.rlog", "empty.rlog.gz"):
        assert write(tmp_path / name, []) == 0
        assert list(read(tmp_path / name)) == []


def test_an_empty_record_is_a_record(tmp_path: Path) -> None:
    write(tmp_path / "a.rlog", [RequestLog(), RequestLog()])
    assert list(read(tmp_path / "a.rlog")) == [RequestLog(), RequestLog()]


def test_a_cut_file_gives_what_is_whole_and_then_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.rlog"
    write(path, records())
    whole = path.read_bytes()
    sizes = [record.ByteSize() for record in records()]
    third = sum(sizes[:2]) + 1 + 2  # one byte of size for the first record, two for the second
    path.write_bytes(whole[: third + 50])
    reading = read(path)
    assert [next(reading), next(reading)] == records()[:2]
    with pytest.raises(InvalidInput, match=rf"a\.rlog: byte {third}: the file ends inside a record: {sizes[2]} bytes"):
        next(reading)


def test_every_cut_is_an_error_or_a_clean_end(tmp_path: Path) -> None:
    path = tmp_path / "a.rlog"
    write(path, records(3))
    whole = path.read_bytes()
    clean = 0
    found = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            clean += len(list(read(path))) < 3
        except InvalidInput as error:
            found.append(error.violations)
    assert all(len(violations) == 1 and violations[0].path.startswith("byte ") for violations in found)
    assert clean == 3  # between two records only, the empty file among them


def test_a_damaged_gzip_stream_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.rlog.gz"
    write(path, records())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match="compressed stream is damaged or cut off"):
        list(read(path))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(InvalidInput, match="byte"):
        list(read(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff" * 20, "not a varint"),
        (b"\xff\xff\xff\xff\x0f", "the limit is"),
        (b"\x05hello", "not a RequestLog message"),
        (b"\x80", "ends inside a record's size"),
    ],
)
def test_garbage_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.rlog"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"byte 0: .*{reason}"):
        list(read(path))


def test_a_failing_source_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.rlog"
    write(path, records(1))

    def failing() -> object:
        yield RequestLog()
        raise RuntimeError("source failed")

    with pytest.raises(RuntimeError, match="source failed"):
        write(path, failing())  # type: ignore[arg-type]
    assert list(read(path)) == records(1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.rlog"]
