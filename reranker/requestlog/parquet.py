"""Request logs as Parquet: the record as it is, and beside it what one would look for. Needs the extra `parquet`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reranker.errors import InvalidInput, MissingExtra, Violation
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


def write(path: str | os.PathLike[str], records: Iterable[RequestLog]) -> int:
    """Write records to a file that appears whole or not at all; returns how many there were."""
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    count = 0
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            rows: list[RequestLog] = []
            for record in records:
                rows.append(record)
                count += 1
                if len(rows) == _ROWS:
                    writer.write_batch(_batch(rows))
                    rows = []
            writer.write_batch(_batch(rows))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The records of a Parquet file that has them in a column `record`, as bytes. Raises `InvalidInput`."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InvalidInput([Violation("file", f"is not Parquet: {error}")], os.fspath(path)) from None
    with file:
        if RECORD not in file.schema_arrow.names:
            raise InvalidInput([Violation("file", f"has no column {RECORD!r}")], os.fspath(path))
        for batch in file.iter_batches(_ROWS, columns=[RECORD]):
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
