"""An audit as a table: a row for each group in each slice and each that it is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reranker.errors import MissingExtra
from reranker.replay.audit.findings import Audit
from reranker.replay.bootstrap import Interval

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

_NUMBER = pa.float64()
_INTERVALS = ("difference", "difference_low", "difference_high")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("field", "slice", "attribute", "value", "among")),
        ("finding", pa.string()),
        *((name, _NUMBER) for name in _INTERVALS),
        ("requests", pa.int64()),
        ("scores_difference", _NUMBER),
        ("items", _NUMBER),
        ("candidates", pa.int64()),
        *((name, _NUMBER) for name in ("supply", "share", "attention", "target", "skew", "standing", "level")),
    ]
)
RESULTS = "results"
"""In `among`: the group's share of the results beside its target, or its attention beside its share of candidates."""


def write(path: Path, found: Audit) -> None:
    """The findings as one Parquet file. Raises `OSError`."""
    pq.write_table(pa.Table.from_pylist(list(_rows(found)), SCHEMA), path)


def _rows(found: Audit) -> Iterator[dict[str, Any]]:
    for group in found.groups:
        shown = group.shown
        about = {
            "field": group.slice[0],
            "slice": group.slice[1],
            "attribute": group.attribute,
            "value": group.value,
            "candidates": group.candidates,
            "supply": shown.supply.mean,
            "share": shown.share.mean,
            "attention": shown.attention.mean,
            "target": shown.target,
            "skew": shown.skew,
            "standing": group.standing.mean,
            "level": found.level,
        }
        yield {**about, "among": RESULTS, "finding": shown.finding.value, **_ends(shown.beyond)}
        for gap in group.gaps:
            more = {"scores_difference": gap.scores.mean, "items": gap.items}
            yield {**about, **more, "among": gap.among, "finding": gap.finding.value, **_ends(gap.places)}


def _ends(gap: Interval) -> dict[str, float | int]:
    return {**dict(zip(_INTERVALS, (gap.mean, gap.low, gap.high), strict=True)), "requests": gap.requests}
