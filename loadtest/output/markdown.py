"""The picture as the two tables of docs/loadtest.md, so that nobody copies figures by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtest.generator.records import STAGES
from loadtest.output.words import count, scenario_figures

_HEADER = (
    "scenario", "candidates", "kB", "knee, requests a second", "half of it", "p50, ms", "p99", "p99.9", "echo p50",
    "server CPU, µs", "beyond the echo, µs",
)  # fmt: skip


def picture(document: dict[str, Any]) -> str:
    """Knee, latency and cost by scenario; then the mean of each stage."""
    rows = document["picture"]
    first = [[f"`{row['scenario']}`{' †' if row['doubts'] else ''}", *scenario_figures(row)] for row in rows]
    second = [
        [name if name != "total" else "the handler, all of it", *(_mean(row, name) for row in rows)]
        for name in STAGES
        if any(row["stages_us"] and row["stages_us"][name]["mean"] for row in rows)
    ]
    doubts = "".join(f"\n† `{row['scenario']}`: {'; '.join(row['doubts'])}.\n" for row in rows if row["doubts"])
    return _table(_HEADER, first) + doubts + "\n" + _table(("stage, mean µs", *(row[0] for row in first)), second)


def _mean(row: dict[str, Any], stage: str) -> str:
    return count(row["stages_us"][stage]["mean"] if row["stages_us"] else None)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
