"""Replays on Ray Data. Needs the extra `ray`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from reranker.errors import MissingExtra
from reranker.replay.arrow import MEASURED
from reranker.replay.engines import Replay, in_worker
from reranker.replay.plan import Plan
from reranker.requestlog.traffic import records_of

try:
    import ray
    import ray.data
except ImportError:
    raise MissingExtra("ray", "ray") from None


@contextmanager
def replaying(plan: Plan, catalog: str | None, jobs: int) -> Iterator[Replay]:
    """The cluster that RAY_ADDRESS names, or one of `jobs` processes on this machine that ends with the run."""
    is_ours = not ray.is_initialized()
    if is_ours:
        _begin(jobs)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def replay(tables: list[pa.Table]) -> pa.Table:
        made = replay_dataset(ray.data.from_arrow(tables), plan, catalog)
        found = made.iter_batches(batch_size=None, batch_format="pyarrow")
        return pa.concat_tables(table.cast(MEASURED) for table in found)

    try:
        yield replay
    finally:
        if is_ours:
            ray.shutdown()


def replay_dataset(records: Any, plan: Plan, catalog: str | None = None) -> Any:
    """A `ray.data.Dataset` with the columns of `RECORDS` as one with those of `MEASURED`; runs when that is read.

    `catalog` is a folder that every process of the cluster reads under this name.
    """

    def replay(table: pa.Table) -> Any:
        batches = in_worker.replay(table.combine_chunks().to_batches(), plan, catalog)
        return pa.Table.from_batches(list(batches), schema=MEASURED)

    return records.map_batches(replay, batch_size=None, batch_format="pyarrow", num_cpus=1)


def read_traffic(files: Iterable[Path]) -> Any:
    """Request logs of any form as a `ray.data.Dataset` of `RECORDS` with their places in the traffic, a file a task."""
    placed, first = [], 0
    for file in files:
        placed.append({"path": str(file), "first": first})
        first += sum(1 for _ in records_of([file]))

    def read(table: pa.Table) -> Iterator[Any]:
        for row in table.to_pylist():
            yield from (pa.Table.from_batches([batch]) for batch in in_worker.read(row["path"], row["first"]))

    return ray.data.from_items(placed, override_num_blocks=max(1, len(placed))).map_batches(
        read, batch_size=None, batch_format="pyarrow"
    )


def _begin(jobs: int) -> None:
    shared: dict[str, Any] = {
        "runtime_env": {"env_vars": in_worker.environment()},
        "log_to_driver": False,
        "logging_level": "error",
    }
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**shared)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", num_cpus=jobs, include_dashboard=False, _node_ip_address="127.0.0.1", **shared)
