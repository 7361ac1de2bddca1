"""Request logs as Parquet: the record as it is, and beside it what one would look for. Needs the extra `parquet`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reranker.errors import InvalidInput, MissingExtra, Violation
from reranker.requestlog.whole import ANYBODY, whole
from reranker.v1.request_log_pb2 import RequestLog

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

RECORD = "record"
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("kind", pa.string()),
        ("surface", pa.string()),
        ("policy", pa.string()),
        ("arm", pa.string()),
        ("candidates", pa.int32()),
        ("slate_size", pa.int32()),
        (RECORD, pa.binary()),
    ]
)
_ROWS = 1_000
_BYTES = 16 << 20  # of messages, that one row group holds at most, and a record: what a reader has in memory at once


def write(path: str | os.PathLike[str], records: Iterable[RequestLog], mode: int = ANYBODY) -> int:
    """Write records to a file that appears whole or not at all; returns how many there were. `mode` as in `whole`."""
    count = 0
    with whole(Path(path), mode) as unfinished, pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
        for rows in _groups(records):
            writer.write_batch(_batch(rows))
            count += len(rows)
    return count


def _groups(records: Iterable[RequestLog]) -> Iterator[list[RequestLog]]:
    rows: list[RequestLog] = []
    size = 0
    for record in records:
        rows.append(record)
        size += record.ByteSize()
        if len(rows) == _ROWS or size >= _BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def read_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The records of a Parquet file that has them in a column `record`, as bytes. Raises `InvalidInput`."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InvalidInput([Violation("file", f"is not Parquet: {error}")], os.fspath(path)) from None
    with file:
        if RECORD not in file.schema_arrow.names:
            raise InvalidInput([Violation("file", f"has no column {RECORD!r}")], os.fspath(path))
        for group in range(file.num_row_groups):  # one after the other: a batch would reach across several of ours
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=[RECORD]):
                yield from batch.column(0).to_pylist()


def _batch(logs: list[RequestLog]) -> pa.RecordBatch:
    policies = [log.response.policy_name or log.request.policy_name for log in logs]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([log.metadata.time.ToMicroseconds() for log in logs], pa.int64()).cast(SCHEMA.field(0).type),
            pa.array([log.metadata.kind for log in logs], pa.string()),
            pa.array([log.request.context.surface for log in logs], pa.string()),
            pa.array(policies, pa.string()),
            pa.array([log.response.arm for log in logs], pa.string()),
            pa.array([len(log.request.candidates.scores) for log in logs], pa.int32()),
            pa.array([log.request.slate_size for log in logs], pa.int32()),
            pa.array([log.SerializeToString(deterministic=True) for log in logs], pa.binary()),
        ],
        schema=SCHEMA,
    )
