"""Replays on Spark, by `mapInArrow`. Needs the extra `spark`, and Java 17 or newer."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from reranker.errors import InvalidInput, MissingExtra, Violation
from reranker.replay.arrow import MEASURED
from reranker.replay.engines import Replay, in_worker, joined
from reranker.replay.plan import Plan

try:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col, create_map, lit
    from pyspark.sql.pandas.types import from_arrow_schema
except ImportError:
    raise MissingExtra("pyspark", "spark") from None


@contextmanager
def replaying(plan: Plan, catalog: str | None, jobs: int) -> Iterator[Replay]:
    """The session that is active, that of `spark-submit`, or one of `jobs` threads here that ends with the run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        is_ours = SparkSession.getActiveSession() is None
        session = _session(jobs)

        def replay(tables: list[pa.Table]) -> pa.Table:
            frame = session.createDataFrame(joined(tables)).repartition(jobs)
            return replay_frame(frame, plan, catalog).toArrow()

        try:
            yield replay
        finally:
            if is_ours:
                session.stop()


def replay_frame(records: Any, plan: Plan, catalog: str | None = None) -> Any:
    """A `DataFrame` with the columns of `RECORDS` as one with those of `MEASURED`; runs when that is read.

    `catalog` is a folder that every executor reads under this name; executors import this package.
    """
    run = partial(in_worker.replay, plan=plan, catalog=catalog)
    return records.select("ordinal", "record").mapInArrow(run, from_arrow_schema(MEASURED))


def read_traffic(session: Any, files: Sequence[Path]) -> Any:
    """Request logs in Parquet as a `DataFrame` of `RECORDS`, read by Spark itself, with their places in the traffic.

    Files may lie in folders of partitions as Hive lays them (`date=2026-11-29/part-0.parquet`). Raises `InvalidInput`
    where a log has another form.
    """
    other = [file for file in files if file.suffix != ".parquet"]
    if other:
        reason = "is not Parquet, which alone Spark reads: reranker log convert"
        raise InvalidInput([Violation(str(file), reason) for file in other])
    first_of: dict[str, int] = {}
    first = 0
    for file in files:
        first_of[str(file.resolve())] = first
        first += pq.ParquetFile(file).metadata.num_rows
    frame = session.read.parquet(*map(str, files))
    addresses = [row[0] for row in frame.select("_metadata.file_path").distinct().collect()]  # in Spark's own spelling
    named = {address: first_of[unquote(urlparse(address).path)] for address in addresses}
    places = create_map(*(lit(each) for pair in named.items() for each in pair))
    ordinal = places[col("_metadata.file_path")] + col("_metadata.row_index")
    return frame.select(ordinal.cast("long").alias("ordinal"), col("record"))


def _session(jobs: int) -> Any:
    builder = SparkSession.builder.appName("reranker replay")
    for name, value in in_worker.environment().items():
        builder = builder.config(f"spark.executorEnv.{name}", value)
    if "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None:
        return builder.getOrCreate()  # whoever submitted this said where it runs
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    local: Iterable[tuple[str, str]] = (
        ("spark.driver.host", "127.0.0.1"),
        ("spark.driver.bindAddress", "127.0.0.1"),
        ("spark.ui.enabled", "false"),
        ("spark.ui.showConsoleProgress", "false"),
        ("spark.sql.shuffle.partitions", str(jobs)),
    )
    for name, value in local:
        builder = builder.config(name, value)
    session = builder.master(f"local[{jobs}]").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
