"""Engines that replay in other people's processes: each is given records as Arrow batches and gives back results.

The driver reads the traffic and keeps the run; the engine replays. A wave of shards is in its hands at a time, so
memory does not grow with the traffic, and what comes back is put in order: any engine's run has the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from reranker.replay.arrow import MEASURED, RECORDS, records_of, split_measured
from reranker.replay.plan import Plan
from reranker.replay.shards import RunFolder

Replay: TypeAlias = Callable[[list[pa.Table]], pa.Table]
"""Tables of `RECORDS` in, a table of `MEASURED` out, its rows in any order but those of one request together."""

NAMES = ("local", "ray", "spark")
_SHARDS_A_JOB = 8  # in one wave: what starts a wave costs little beside it
_BYTES = 64 << 20  # of records in one wave


def replayed(
    name: str,
    plan: Plan,
    catalog: str | None,
    folder: RunFolder,
    work: Iterator[tuple[int, list[bytes]]],
    size: int,
    jobs: int,
) -> Iterator[int]:
    """Replay shards on an engine and keep them; yields how many requests each wave had. Raises `MissingExtra`.

    `catalog` is a folder that every process of the engine reads under this name.
    """
    with _engine(name, plan, catalog, jobs) as replay:
        for wave in _waves(work, jobs):
            tables = [pa.Table.from_batches([records_of(number * size, records)]) for number, records in wave]
            found = in_order(replay(tables))
            ordinals = found.column("ordinal").to_numpy()
            for number, records in wave:
                first, end = np.searchsorted(ordinals, (number * size, number * size + len(records)))
                folder.put(number, *split_measured(found.slice(first, end - first)))
            yield sum(len(records) for _, records in wave)


def in_order(found: pa.Table) -> pa.Table:
    """The rows by place in the traffic, those of one request as they were made, under the exact schema of results."""
    table = found.select(MEASURED.names).cast(MEASURED)
    order = np.argsort(table.column("ordinal").to_numpy(), kind="stable")
    return table.take(pa.array(order))


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables of records as one."""
    return pa.concat_tables(tables) if tables else RECORDS.empty_table()


def _engine(name: str, plan: Plan, catalog: str | None, jobs: int) -> AbstractContextManager[Replay]:
    if name == "ray":
        from reranker.replay.engines import on_ray

        return on_ray.replaying(plan, catalog, jobs)
    if name == "spark":
        from reranker.replay.engines import on_spark

        return on_spark.replaying(plan, catalog, jobs)
    raise ValueError(f"there is no engine {name!r}: there are {', '.join(NAMES)}")


def _waves(work: Iterator[tuple[int, list[bytes]]], jobs: int) -> Iterator[list[tuple[int, list[bytes]]]]:
    wave: list[tuple[int, list[bytes]]] = []
    held = 0
    for number, records in work:
        wave.append((number, records))
        held += sum(map(len, records))
        if len(wave) >= jobs * _SHARDS_A_JOB or held >= _BYTES:
            yield wave
            wave, held = [], 0
    if wave:
        yield wave
