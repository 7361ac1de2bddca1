"""The numbers of a report as Parquet files, for whoever counts on with them; what is in each docs/replay.md says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reranker.errors import MissingExtra
from reranker.replay.bootstrap import Interval
from reranker.replay.browser import Changed
from reranker.replay.comparison import Comparison
from reranker.replay.contrasts import Floats, measures_of, paired, together
from reranker.replay.frontier import Point
from reranker.replay.report.page import Report
from reranker.replay.results import Answers, Results
from reranker.replay.words import Measure
from reranker.requestlog.whole import whole

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

_ROWS = 100_000  # of a request at once
_DIMENSIONS = ("kind", "surface", "intent", "language", "country")
_ENDS = ("mean", "low", "high")
_OF = [("measure", pa.string()), ("attribute", pa.string()), ("value", pa.string())]
_GROUP = [("attribute", pa.string()), ("value", pa.string())]
_SLICE = [("dimension", pa.string()), ("slice", pa.string())]


def _numbers(*names: str) -> list[tuple[str, Any]]:
    return [(name, pa.float64()) for name in names]


def _counts(*names: str) -> list[tuple[str, Any]]:
    return [(name, pa.int64()) for name in names]


def _sides(of: Any, *names: str) -> list[tuple[str, Any]]:
    return [(f"{side}_{name}", of) for name in names for side in ("baseline", "candidate")]


SCHEMAS = {
    name: pa.schema(columns)
    for name, columns in {
        "requests": [
            *_counts("ordinal"),
            ("request", pa.string()),
            *((name, pa.string()) for name in _DIMENSIONS),
            *_counts("candidates"),
            ("changed", pa.bool_()),
            *_numbers("overlap", "rank_biased_overlap", "displacement"),
            *_sides(pa.list_(pa.int32()), "slate"),
            *_sides(pa.string(), "error"),
            *_sides(pa.float64(), "microseconds"),
        ],
        "request_measures": [*_counts("ordinal"), *_OF, *_numbers("baseline", "candidate", "change")],
        "measures": [
            *_SLICE,
            *_OF,
            *_numbers(*(f"{side}_{end}" for side in ("baseline", "candidate", "change") for end in _ENDS), "noise"),
            *_counts("requests", "left_out"),
        ],
        "checks": [
            *_SLICE,
            *_OF,
            ("limit", pa.string()),
            *_numbers("at", "low", "high"),
            *_counts("requests"),
            ("outcome", pa.string()),
            ("label_noise", pa.string()),
        ],
        "price": [("cause", pa.string()), *_numbers(*_ENDS), *_counts("requests")],
        "groups": [
            *_GROUP,
            *_counts("candidates", "baseline_slots", "candidate_slots", "lifted", "dropped"),
            *_numbers("lifted_score", "dropped_score"),
        ],
        "slots": [("policy", pa.string()), *_GROUP, ("slot", pa.int32()), *_numbers("share")],
        "providers": [*_GROUP, *_numbers("baseline", "candidate"), *_counts("requests")],
        "bounds": [
            ("policy", pa.string()),
            *_GROUP,
            ("bound", pa.string()),
            ("soft", pa.bool_()),
            ("status", pa.string()),
            ("reason", pa.string()),
            *_counts("requests"),
            *_numbers("units"),
        ],
        "frontier": [
            ("policy", pa.string()),
            ("setting", pa.map_(pa.string(), pa.float64())),
            *_OF,
            *_numbers(*_ENDS),
            *_counts("requests"),
        ],
        "latency": [("policy", pa.string()), ("quantile", pa.string()), *_numbers("microseconds")],
        "changed_items": [
            *_counts("place"),
            ("request", pa.string()),
            ("query", pa.string()),
            ("policy", pa.string()),
            ("slot", pa.int32()),
            ("item", pa.string()),
            ("title", pa.string()),
            ("upstream_rank", pa.int32()),
            *_numbers("score"),
            ("values", pa.map_(pa.string(), pa.string())),
            ("reason", pa.string()),
            ("in_both", pa.bool_()),
        ],
    }.items()
}
"""The columns of each file, by its name without `.parquet`. NaN is null throughout."""


def write_tables(folder: Path, report: Report, results: Results) -> list[Path]:
    """Write every file into `folder`, each whole or not at all, and return them. Equal reports are equal bytes.

    `results` hold both policies of the report in full. Memory grows with the requests by a few columns of numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = report.found
    about = {"baseline": found.baseline, "candidate": found.candidate, "level": f"{found.level:g}"}
    about |= {"outcome": found.outcome.value, "seed": str(found.seed)}
    made = {
        "requests": _requests(found, results),
        "request_measures": _request_measures(found, results),
        "measures": _rows("measures", _measures(found)),
        "checks": _rows("checks", _checks(found)),
        "price": _rows("price", _price(found)),
        "groups": _rows("groups", _groups(found)),
        "slots": _rows("slots", _slots(found)),
        "providers": _rows("providers", _providers(found)),
        "bounds": _rows("bounds", _bounds(found)),
        "frontier": _rows("frontier", _frontier(report.frontier)),
        "latency": _rows("latency", _latency(found)),
        "changed_items": _rows("changed_items", _changed_items(found, report.changed)),
    }
    return [_write(folder / f"{name}.parquet", SCHEMAS[name], batches, about) for name, batches in made.items()]


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, str]) -> Path:
    told = schema.with_metadata({f"reranker.{key}": value for key, value in about.items()})
    with whole(path) as unfinished, pq.ParquetWriter(unfinished, told, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(told.metadata))
    return path


def _rows(name: str, rows: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """A small table, at once."""
    rows = list(rows)
    yield _batch(name, {field: [row[field] for row in rows] for field in SCHEMAS[name].names})


def _batch(name: str, columns: Mapping[str, Any]) -> pa.RecordBatch:
    schema = SCHEMAS[name]
    return pa.RecordBatch.from_arrays([_column(columns[f.name], f.type) for f in schema], schema=schema)


def _column(values: Any, of: Any) -> Any:
    return pa.array(values, of, from_pandas=True)  # NaN is null


def _requests(found: Comparison, results: Results) -> Iterator[pa.RecordBatch]:
    traffic = results.traffic
    one, other = results.answers[found.baseline], results.answers[found.candidate]
    pairs = together(results, found.baseline, found.candidate)
    nothing = np.full(len(traffic), np.nan)
    for first in range(0, len(traffic), _ROWS):
        rows = slice(first, first + _ROWS)
        columns: dict[str, Any] = {
            "ordinal": traffic.ordinals[rows],
            "request": traffic.names[rows],
            "candidates": traffic.candidates[rows],
            **{name: traffic.dimensions.get(name, ("",) * len(traffic))[rows] for name in _DIMENSIONS},
            **{name: pairs[Measure(name)][rows] for name in ("overlap", "rank_biased_overlap", "displacement")},
            "changed": [None if value != value else value == 1.0 for value in pairs[Measure("changed")][rows]],
        }
        for side, answers in (("baseline", one), ("candidate", other)):
            columns[f"{side}_slate"] = answers.positions[rows]
            columns[f"{side}_error"] = [error or None for error in answers.errors[rows]]
            columns[f"{side}_microseconds"] = (answers.microseconds if len(answers.microseconds) else nothing)[rows]
        yield _batch("requests", columns)


def _request_measures(found: Comparison, results: Results) -> Iterator[pa.RecordBatch]:
    """Measure by measure, so that a long run never has more than one of them in memory."""
    one, other = results.answers[found.baseline], results.answers[found.candidate]
    for measure in measures_of(one, other):
        numbers = {"baseline": _own(one, measure), "candidate": _own(other, measure)}
        numbers["change"] = paired(measure, one, other, np.ones(len(results.traffic), bool)).change
        there = np.flatnonzero(~(np.isnan(numbers["baseline"]) & np.isnan(numbers["candidate"])))
        for first in range(0, len(there), _ROWS):
            rows = there[first : first + _ROWS]
            columns: dict[str, Any] = {"ordinal": results.traffic.ordinals[rows]}
            columns |= {"measure": [measure.name] * len(rows), "attribute": [measure.attribute] * len(rows)}
            columns |= {"value": [measure.value] * len(rows)}
            columns |= {name: values[rows] for name, values in numbers.items()}
            yield _batch("request_measures", columns)


def _own(answers: Answers, measure: Measure) -> Floats:
    return answers.numbers.get(measure, np.full(len(answers.positions), np.nan))


def _measures(found: Comparison) -> Iterator[dict[str, Any]]:
    for contrast in (*found.overall, *found.sliced):
        row = _of(contrast.measure) | _where(contrast.slice)
        for side in ("baseline", "candidate", "change"):
            row |= {f"{side}_{end}": getattr(getattr(contrast, side), end) for end in _ENDS}
        yield row | {"noise": contrast.noise, "requests": contrast.change.requests, "left_out": contrast.left_out}


def _checks(found: Comparison) -> Iterator[dict[str, Any]]:
    for noise, check in found.every_check:
        word, limit = check.gate.limit
        row = _of(check.measure) | _where(check.slice) | _ends(check.interval)
        yield row | {"limit": word, "at": limit, "outcome": check.outcome.value, "label_noise": noise}


def _price(found: Comparison) -> Iterator[dict[str, Any]]:
    if found.price is not None:
        for cause in ("both", "quotas_only", "diversity_only", "interaction"):
            yield {"cause": cause, **_ends(getattr(found.price, cause))}


def _groups(found: Comparison) -> Iterator[dict[str, Any]]:
    names = SCHEMAS["groups"].names
    return ({name: getattr(each, name) for name in names} for each in found.groups)


def _slots(found: Comparison) -> Iterator[dict[str, Any]]:
    for shares in found.slots:
        for label, slots in shares.shares.items():
            for slot, of_slot in enumerate(slots, start=1):
                for value, share in zip(shares.values, of_slot, strict=True):
                    yield {
                        "policy": label,
                        "attribute": shares.attribute,
                        "value": value,
                        "slot": slot,
                        "share": share,
                    }


def _providers(found: Comparison) -> Iterator[dict[str, Any]]:
    for each in found.payers:
        for payer in (*each.losers, *each.gainers):
            row = {name: getattr(payer, name) for name in ("value", "baseline", "candidate", "requests")}
            yield {"attribute": each.attribute, **row}


def _bounds(found: Comparison) -> Iterator[dict[str, Any]]:
    for label, deficits in found.deficits.items():
        for each in deficits:
            row = {name: getattr(each, name) for name in ("attribute", "value", "bound", "soft")}
            row |= {"policy": label, "reason": None, "units": None}
            yield row | {"status": "MET", "requests": each.met}
            for reason, count in sorted(each.broken.items()):
                yield row | {"status": "BROKEN", "reason": reason, "requests": count, "units": each.units[reason]}
            for reason, count in sorted(each.suspended.items()):
                yield row | {"status": "SUSPENDED", "reason": reason, "requests": count}


def _frontier(points: Iterable[Point]) -> Iterator[dict[str, Any]]:
    for point in points:
        for measure, interval in {Measure("relevance_retained"): point.cost, **point.gains}.items():
            yield {"policy": point.label, "setting": list(point.setting), **_of(measure), **_ends(interval)}


def _latency(found: Comparison) -> Iterator[dict[str, Any]]:
    for label, quantiles in found.latency.items():
        for name, value in quantiles.items():
            yield {"policy": label, "quantile": name, "microseconds": value}


def _changed_items(found: Comparison, changed: Iterable[Changed]) -> Iterator[dict[str, Any]]:
    for place, each in enumerate(changed, start=1):
        for label, side in ((found.baseline, each.baseline), (found.candidate, each.candidate)):
            for item in side.items:
                yield {
                    "place": place,
                    "request": each.name,
                    "query": each.query,
                    "policy": label,
                    "slot": item.slot,
                    "item": item.id,
                    "title": item.title,
                    "upstream_rank": item.rank,
                    "score": item.score,
                    "values": list(item.values.items()),
                    "reason": item.why,
                    "in_both": item.stays,
                }


def _of(measure: Measure) -> dict[str, Any]:
    return {"measure": measure.name, "attribute": measure.attribute, "value": measure.value}


def _where(of_slice: tuple[str, str]) -> dict[str, Any]:
    return {"dimension": of_slice[0], "slice": of_slice[1]}


def _ends(interval: Interval) -> dict[str, Any]:
    return {**{end: getattr(interval, end) for end in _ENDS}, "requests": interval.requests}
