from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reranker.errors import InvalidInput
from reranker.requestlog import parquet, read_bytes, write
from reranker.requestlog.traffic import Contents, files_of, parsed, records_of
from reranker.v1.request_log_pb2 import RequestLog


def records(count: int, kind: str = "search") -> list[RequestLog]:
    made = []
    for i in range(count):
        record = RequestLog()
        record.metadata.kind = kind
        record.metadata.time.FromMicroseconds(1_000_000 * i)
        record.request.candidates.scores.extend([1.0] * i)
        record.request.slate_size = i
        made.append(record)
    return made


def test_records_are_the_same_in_every_form(tmp_path: Path) -> None:
    made = records(2_500)
    write(tmp_path / "a.rlog", made)
    write(tmp_path / "b.rlog.gz", made)
    assert parquet.write(tmp_path / "c.parquet", iter(made)) == 2_500
    plain = [record.SerializeToString(deterministic=True) for record in made]
    for name in ("a.rlog", "b.rlog.gz", "c.parquet"):
        assert list(records_of([tmp_path / name])) == plain
    assert list(read_bytes(tmp_path / "a.rlog")) == plain
    assert list(parsed(records_of([tmp_path / "c.parquet"]))) == made
    parquet.write(tmp_path / "d.parquet", iter(made))
    assert (tmp_path / "c.parquet").read_bytes() == (tmp_path / "d.parquet").read_bytes()


def test_row_groups_are_bounded_by_rows_and_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = records(2_500)
    parquet.write(tmp_path / "rows.parquet", made[:1] * 2_500)
    parquet.write(tmp_path / "bytes.parquet", made)  # 13 MB in all: under the limit
    monkeypatch.setattr(parquet, "_BYTES", 100_000)
    parquet.write(tmp_path / "small.parquet", made)
    rows = {}
    for name in ("rows", "bytes", "small"):
        about = pq.read_metadata(tmp_path / f"{name}.parquet")
        rows[name] = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
    assert rows["rows"] == rows["bytes"] == [1_000, 1_000, 500]
    assert sum(rows["small"]) == 2_500
    first = 0
    for count in rows["small"]:
        sizes = [record.ByteSize() for record in made[first : first + count]]
        assert sum(sizes[:-1]) < 100_000
        first += count
    assert list(parsed(records_of([tmp_path / "small.parquet"]))) == made


def test_a_folder_stands_for_its_logs_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.rlog", "a.rlog.gz", "deep/c.rlog"):
        write(tmp_path / name, records(1, name))
    (tmp_path / "requests-x.rlog.part").write_bytes(b"being written")
    (tmp_path / "notes.txt").write_text("no log")
    found = files_of([tmp_path])
    assert [path.name for path in found] == ["a.rlog.gz", "b.rlog", "c.rlog"]
    assert [record.metadata.kind for record in parsed(records_of(found))] == ["a.rlog.gz", "b.rlog", "deep/c.rlog"]


def test_every_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput) as error:
        files_of([tmp_path / "gone", tmp_path / "empty"])
    assert len(error.value.violations) == 2


def test_what_is_no_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(InvalidInput, match="not Parquet"):
        list(records_of([tmp_path / "a.parquet"]))
    with pytest.raises(InvalidInput, match="record 2"):
        list(parsed([b"", b"\xff"]))


def test_contents_add_up() -> None:
    contents = Contents()
    for record in records(4):
        contents.add(record.SerializeToString())
    contents.add(b"\xff")
    assert (contents.records, contents.broken, contents.candidates) == (5, 1, [6, 3])
    assert (contents.first, contents.last) == (0.0, 3.0)
    assert contents.kinds == {"search": 4}
