"""Made-up traffic of any length by reference to a made-up catalog, on disk: what long replays are tried on.

Equal numbers make equal files, and a file that is there is whole: what was stopped goes on where it was.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.catalog import TONES, batches, ids_of
from reranker.policy import Policy
from reranker.replay.measured import Yardstick
from reranker.replay.plan import Entry, Plan
from reranker.requestlog import parquet
from reranker.signals import Catalog
from reranker.signals.build import build_catalog
from reranker.v1.request_log_pb2 import RequestLog

ITEMS, DIMENSIONS = 100_000, 64
CANDIDATES, SLOTS = 100, 10
FILE = 25_000
"""Requests in one file."""


def catalog_of(folder: Path) -> Catalog:
    """The catalog below a folder, built if it is not there."""
    path = folder / "catalog"
    if not (path / "current").exists():
        build_catalog(path, batches(ITEMS, DIMENSIONS, numbers=True), precision="float16")
    return Catalog.open(path)


def traffic_files(folder: Path, requests: int, jobs: int = 2) -> tuple[Path, ...]:
    """So many requests as Parquet files below a folder, each made if it is not there."""
    (folder / "traffic").mkdir(parents=True, exist_ok=True)
    spans = [(first, min(first + FILE, requests)) for first in range(0, requests, FILE)]
    files = [folder / "traffic" / f"{first:09d}-{last:09d}.parquet" for first, last in spans]
    missing = [(file, *span) for file, span in zip(files, spans, strict=True) if not file.exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            pool.starmap(_write, missing)
    return tuple(files)


def plan_of_two() -> Plan:
    """The upstream order with every tone on the page, and a varied page with shares for two of them."""
    each = {"attribute": "skin_tone", "at_least_one_of_each": True, "values": list(TONES)}
    shares = {"attribute": "skin_tone", "min_share": {TONES[0]: 0.2, TONES[-1]: 0.2}}
    policies = [
        Policy.from_dict({"name": "every-tone", "objective": {"strategy": "relevance"}, "quotas": [each]}),
        Policy.from_dict({"name": "varied", "objective": {"strategy": "dpp", "diversity": 0.5}, "quotas": [shares]}),
    ]
    return Plan(tuple(Entry(policy.name, policy) for policy in policies), Yardstick.of(policies))


def _write(path: Path, first: int, last: int) -> None:
    parquet.write(path, _requests(first, last))


def _requests(first: int, last: int) -> Iterator[RequestLog]:
    """100 random items each, their scores falling, as an upstream ranker of float32 gives them."""
    for number in range(first, last):
        rng = np.random.default_rng(number)
        log = RequestLog()
        log.metadata.kind = "search" if number % 3 else "home"
        log.request.request_id = f"r-{number}"
        log.request.slate_size = SLOTS
        log.request.candidates.catalog.SetInParent()
        rows = rng.permutation(np.unique(rng.integers(0, ITEMS, CANDIDATES)))
        log.request.candidates.item_numbers.extend(ids_of(rows.tolist(), numbers=True))
        scores = np.sort(rng.gamma(2.0, size=len(rows)).astype(np.float32))[::-1]
        log.request.candidates.scores.extend(scores.tolist())
        yield log
