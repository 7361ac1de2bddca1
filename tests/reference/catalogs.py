"""Small catalogs for tests: rows of a pipeline as a catalog, by way of JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reranker.signals import Catalog
from reranker.signals.build import Built, build_catalog
from reranker.signals.sources.jsonl import read_jsonl
from reranker.signals.sources.names import Names

ATTRIBUTES = ("tone", "genre", "creator", "gender")


def build_rows(folder: Path, rows: Sequence[dict[str, Any]], names: Names | None = None, **options: Any) -> Built:
    """A version built from rows, as `reranker catalog build` does."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return build_catalog(folder, read_jsonl(io.BytesIO(lines), "items.jsonl", names or Names()), **options)


def catalog_of(folder: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Catalog:
    """The catalog of some rows."""
    return Catalog.open(build_rows(folder, rows, **options).path)


def some_rows(seed: int, count: int, dimension: int = 8, numbers: bool = False) -> list[dict[str, Any]]:
    """Items with everything that items may have, and with everything missing here and there."""
    rng = np.random.default_rng([seed, count])
    rows: list[dict[str, Any]] = []
    for i in range(count):
        row: dict[str, Any] = {"id": int(rng.integers(0, 2**62)) if numbers else f"item-{seed}-{i} é{'x' * (i % 7)}"}
        if rng.random() < 0.9:
            row["embedding"] = rng.standard_normal(dimension).round(3).tolist()
        if rng.random() < 0.8:
            row["tone"] = ["dark", "mid", "light"][rng.integers(3)]
        if rng.random() < 0.8:
            row["genre"] = [["noir"], ["noir", "crime"], [], ["comedy"]][rng.integers(4)]
        if rng.random() < 0.9:
            row["creator"] = f"creator {rng.integers(count)}"
        if rng.random() < 0.5:
            share = float(rng.integers(0, 101)) / 100
            row["gender"] = {"f": share, "m": round(1 - share, 2)}
        rows.append(row)
    return rows
