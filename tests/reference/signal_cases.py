"""Random requests with several signals to compare: mixed embeddings and attributes, and everything that is nasty."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference import instances
from tests.reference.judge import Case

SCALE = ["1-2", "3-4", "5-6", "7-8", "9-10"]
WORDS = ["s", "m", "l"]
GENRES = list("abcdef")
SIGNALS: list[dict[str, Any]] = [
    {"signal": "image"},
    {"signal": "text", "kind": "cosine"},
    {"attribute": "maker", "kind": "equality"},
    {"attribute": "genre", "kind": "equality"},
    {"attribute": "genre", "kind": "jaccard"},
    {"attribute": "maker", "kind": "jaccard"},
    {"attribute": "tone", "kind": "ordinal"},
    {"attribute": "size", "kind": "ordinal"},
    {"attribute": "price", "kind": "ordinal"},
    {"attribute": "path", "kind": "prefix"},
    {"attribute": "paths", "kind": "prefix"},
    {"signal": "nowhere"},
    {"attribute": "nobody", "kind": "equality"},
    {"attribute": "nobody", "kind": "ordinal"},
]


def mixed(rng: np.random.Generator, strategy: str | None = None, most: int = 30) -> Case:
    """A request whose policy compares one to five signals, their weights up to 10^12 apart."""
    count = int(rng.choice([1, 2, 3, 5, 8, most // 2, most]))
    columns = attributes(rng, count)
    signals = [dict(SIGNALS[i]) for i in rng.choice(len(SIGNALS), size=rng.integers(1, 6))]
    reach = float(rng.choice([0.0, 1.0, 6.0]))
    for signal in signals:
        if reach:
            signal["weight"] = float(10.0 ** rng.uniform(-reach, reach))
    objective = {
        "strategy": strategy or str(rng.choice(["mmr", "dpp"])),
        "diversity": float(rng.choice([0.2, 0.5, 0.8, 1.0])),
        "similarity": str(rng.choice(["auto", "cosine", "cosine_shifted"])),
    }
    policy = {
        "objective": objective,
        "similarity_signals": signals,
        "labels": {"size": {"values": WORDS}, **({"tone": {"values": SCALE}} if rng.random() < 0.5 else {})},
    }
    named = {name: instances.rows(rng, count, width) for name, width in (("image", 6), ("text", 3))}
    return Case(instances.scores(rng, count), None, columns, policy, int(rng.integers(1, 13)), named=named)


def attributes(rng: np.random.Generator, count: int) -> dict[str, list[Any]]:
    """Columns of every shape; now and then all values differ, all are unknown, or there is one only."""
    makers = [f"m{v}" for v in range(int(rng.choice([1, 3, 20])))]
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, SCALE),
        "size": instances.column(rng, count, WORDS),
        "maker": instances.column(rng, count, makers, unknown=float(rng.choice([0.0, 0.2, 1.0]))),
        "genre": [sorted(rng.choice(GENRES, size=rng.integers(0, 5), replace=False).tolist()) for _ in range(count)],
        "price": [[str(v) for v in rng.integers(-3, 12, rng.integers(0, 3)).tolist()] for _ in range(count)],
        "path": [_path(rng) if rng.random() < 0.9 else None for _ in range(count)],
        "paths": [[_path(rng) for _ in range(rng.integers(0, 3))] for _ in range(count)],
    }
    if rng.random() < 0.1:
        columns["maker"] = [f"m{i}" for i in range(count)]
    for name in ("price", "paths"):
        columns[name] = [sorted(set(values)) for values in columns[name]]
    if rng.random() < 0.1:
        columns["genre"] = [[] for _ in range(count)]
    return columns


def _path(rng: np.random.Generator) -> str:
    levels = [str(rng.integers(3)) for _ in range(rng.integers(0, 5))]
    return str(rng.choice(["/", "", "//"])) + "/".join(levels) + str(rng.choice(["/", ""])) or "/"
