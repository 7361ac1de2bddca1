"""What runs in the processes of an engine: the one pure function, with what it needs loaded once a process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

import reranker
from reranker import engine
from reranker.replay.arrow import RECORDS, records_of, replay_measured
from reranker.replay.plan import Plan
from reranker.requestlog.traffic import records_of as records_in
from reranker.signals import Catalog

_ROWS = 250  # of one batch that is read here


def replay(batches: Iterable[pa.RecordBatch], plan: Plan, catalog: str | None) -> Iterator[pa.RecordBatch]:
    """Batches of `RECORDS` in, batches of `MEASURED` out. Other columns of what goes in are passed over."""
    opened = _ready(catalog)
    records = (batch.select(RECORDS.names).cast(RECORDS) for batch in batches if batch.num_rows)
    yield from replay_measured(records, plan, opened)


def read(path: str, first: int) -> Iterator[pa.RecordBatch]:
    """A request log of any form as batches of `RECORDS`, the first of which has this place in the traffic."""
    shard: list[bytes] = []
    for record in records_in([Path(path)]):
        shard.append(record)
        if len(shard) == _ROWS:
            yield records_of(first, shard)
            first += len(shard)
            shard = []
    yield records_of(first, shard)


def environment() -> dict[str, str]:
    """What the processes of an engine need to know: where this package is, and that each computes with one thread."""
    root = str(Path(reranker.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH", "")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root, **threads}


@lru_cache(maxsize=1)
def _ready(catalog: str | None) -> Catalog | None:
    engine.warm_up()
    return None if catalog is None else Catalog.open(catalog, check=False)  # the driver has checked every byte
