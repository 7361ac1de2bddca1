"""Rows of a run as Arrow batches; the only file of this room, beside its readers and writers, that imports pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from reranker.errors import MissingExtra
from reranker.replay.answers import Answer
from reranker.replay.one import Replayed, Replayer, Row
from reranker.replay.plan import Plan
from reranker.replay.presences import NOBODY, together
from reranker.signals import Catalog

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

RECORDS = pa.schema([pa.field("ordinal", pa.int64(), False), pa.field("record", pa.binary(), False)])
"""What goes in: the place of a request in the traffic, from 0, and the bytes of its `RequestLog`."""

_TEXTS = ("request", "kind", "surface", "intent", "language", "country", "recorded_catalog")
_NUMBER = [("measure", pa.string()), ("attribute", pa.string()), ("value", pa.string()), ("number", pa.float64())]
_PRESENCE = [
    ("attribute", pa.string()),
    ("value", pa.string()),
    ("supply", pa.int32()),
    ("slots", pa.list_(pa.int32())),
    ("lifted", pa.int32()),
    ("lifted_score", pa.float64()),
    ("dropped", pa.int32()),
    ("dropped_score", pa.float64()),
]
_QUOTA = [
    ("attribute", pa.string()),
    ("value", pa.string()),
    ("bound", pa.string()),
    ("required", pa.float64()),
    ("achieved", pa.float64()),
    ("status", pa.string()),
    ("reason", pa.string()),
    ("soft", pa.bool_()),
]
RESULTS = pa.schema(
    [
        ("ordinal", pa.int64()),
        *((name, pa.string()) for name in _TEXTS),
        ("candidates", pa.int32()),
        ("label", pa.string()),
        ("positions", pa.list_(pa.int32())),
        ("status", pa.string()),
        ("tier", pa.string()),
        ("error", pa.string()),
        ("numbers", pa.list_(pa.struct(_NUMBER))),
        ("presences", pa.list_(pa.struct(_PRESENCE))),
        ("quotas", pa.list_(pa.struct(_QUOTA))),
    ]
)
"""What comes out: one row for each request under each policy. Nothing in it depends on when or where it was made."""

TIMINGS = pa.schema([("ordinal", pa.int64()), ("label", pa.string()), ("microseconds", pa.float64())])
"""What the engine took, apart from the results, which are the same bytes on every run."""

MEASURED = RESULTS.append(pa.field("microseconds", pa.float64()))
"""Results with what each row took: what other engines give back."""

ANSWERS = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("label", pa.string()),
        ("response", pa.binary()),
        ("error", pa.string()),
        ("degraded", pa.string()),
        ("late_us", pa.float64()),
        ("microseconds", pa.float64()),
    ]
)
"""What servers answered, and how late they were asked; `microseconds` count from when the call was due."""


def replay_batches(
    batches: Iterable[pa.RecordBatch],
    plan: Plan,
    catalog: Catalog | None = None,
    timed: Callable[[Sequence[Row]], None] | None = None,
    answers: Mapping[tuple[int, str], Answer] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of `RECORDS` in, batches of `RESULTS` out, one for one and in order: what any engine runs.

    A pure function of its input: no state is kept between batches, so they may be split, joined and spread at will.
    `timed` is given the rows of each batch, with the time that each took; `answers` are those of servers that the plan
    asks.
    """
    replayer = Replayer(plan, catalog, answers)
    for batch in batches:
        ordinals, records = batch.column("ordinal").to_pylist(), batch.column("record").to_pylist()
        replayed = replayer.replay(ordinals, records)
        if timed is not None:
            timed(replayed.rows)
        yield results_of(replayed)


def replay_measured(
    batches: Iterable[pa.RecordBatch], plan: Plan, catalog: Catalog | None = None
) -> Iterator[pa.RecordBatch]:
    """Batches of `RECORDS` in, batches of `MEASURED` out: `replay_batches` where nobody else can keep the times."""
    times: list[float] = []

    def timed(rows: Sequence[Row]) -> None:
        times[:] = [row.microseconds for row in rows]

    for results in replay_batches(batches, plan, catalog, timed):
        yield pa.RecordBatch.from_arrays([*results.columns, pa.array(times, pa.float64())], schema=MEASURED)


def split_measured(table: pa.Table) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Rows of `MEASURED` as what `results_of` and `timings_of` make of the same rows."""
    whole = table.combine_chunks()
    columns = {name: _in_one_piece(whole.column(name)) for name in MEASURED.names}
    results = pa.RecordBatch.from_arrays([columns[name] for name in RESULTS.names], schema=RESULTS)
    timings = pa.RecordBatch.from_arrays([columns[name] for name in TIMINGS.names], schema=TIMINGS)
    return results, timings.filter(pc.equal(columns["error"], ""))


def _in_one_piece(column: Any) -> Any:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def records_of(first: int, records: Sequence[bytes]) -> pa.RecordBatch:
    """Consecutive records, the first of which has this place in the traffic."""
    ordinals = pa.array(range(first, first + len(records)), pa.int64())
    return pa.RecordBatch.from_arrays([ordinals, pa.array(records, pa.binary())], schema=RECORDS)


def results_of(replayed: Replayed) -> pa.RecordBatch:
    """What was replayed as a batch of `RESULTS`."""
    rows = replayed.rows
    requests = [row.request for row in rows]
    names = {"request": "request_id"}
    texts = [pa.array(list(map(attrgetter(names.get(name, name)), requests)), pa.string()) for name in _TEXTS]
    words = pa.array(replayed.vocabulary.texts, pa.string())
    return pa.RecordBatch.from_arrays(
        [
            pa.array([r.ordinal for r in requests], pa.int64()),
            *texts,
            pa.array([r.candidates for r in requests], pa.int32()),
            pa.array([row.label for row in rows], pa.string()),
            _lists([len(row.positions) for row in rows], _items(rows)),
            pa.array([row.status for row in rows], pa.string()),
            pa.array([row.tier for row in rows], pa.string()),
            pa.array([row.error for row in rows], pa.string()),
            _numbers(replayed, words),
            _presences(replayed, words),
            _quotas(rows),
        ],
        schema=RESULTS,
    )


def timings_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """What the rows took, of those that have a slate."""
    timed = [row for row in rows if not row.error]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.request.ordinal for row in timed], pa.int64()),
            pa.array([row.label for row in timed], pa.string()),
            pa.array([row.microseconds for row in timed], pa.float64()),
        ],
        schema=TIMINGS,
    )


def answers_table(answers: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Answers as rows of `ANSWERS`."""
    return pa.Table.from_pylist(list(answers), schema=ANSWERS)


def answers_in(table: pa.Table) -> dict[tuple[int, str], Answer]:
    """A table of `ANSWERS` by place in the traffic and label."""
    columns = [table.column(name).to_pylist() for name in ("ordinal", "label", "response", "error", "microseconds")]
    return {
        (ordinal, label): Answer(response, error, microseconds)
        for ordinal, label, response, error, microseconds in zip(*columns, strict=True)
    }


def _items(rows: Sequence[Row]) -> Any:
    return pa.array(np.concatenate([np.zeros(0, np.int32), *(row.positions for row in rows)]), pa.int32())


def _numbers(replayed: Replayed, words: Any) -> Any:
    starts, names, numbers = replayed.numbers.table(len(replayed.rows))
    return _structs(np.diff(starts), _NUMBER, [*(words.take(pa.array(each)) for each in names), pa.array(numbers)])


def _presences(replayed: Replayed, words: Any) -> Any:
    found = together(replayed.presences) if replayed.presences else NOBODY
    counts = np.bincount(found.row, minlength=len(replayed.rows))
    columns = [
        words.take(pa.array(found.attribute)),
        words.take(pa.array(found.value)),
        _int32(found.supply),
        _lists(found.slots.lengths, _int32(found.slot)),
        _int32(found.lifted),
        pa.array(found.lifted_score),
        _int32(found.dropped),
        pa.array(found.dropped_score),
    ]
    return _structs(counts, _PRESENCE, columns)


def _quotas(rows: Sequence[Row]) -> Any:
    outcomes = [outcome for row in rows for outcome in row.quotas]
    columns = list(zip(*map(_OUTCOME, outcomes), strict=True)) or [()] * len(_QUOTA)
    columns[_REASON] = tuple([reason or "" for reason in columns[_REASON]])
    arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, _QUOTA, strict=True)]
    return _structs([len(row.quotas) for row in rows], _QUOTA, arrays)


_OUTCOME = attrgetter(*(name for name, _ in _QUOTA))
_REASON = [name for name, _ in _QUOTA].index("reason")


def _int32(numbers: Any) -> Any:
    return pa.array(numbers.astype(np.int32))


def _lists(lengths: Any, values: Any) -> Any:
    """One list a row, of so many of the values each."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _structs(lengths: Any, fields: Sequence[tuple[str, Any]], columns: Sequence[Any]) -> Any:
    """One list of structs a row."""
    named = [pa.field(name, kind) for name, kind in fields]
    return _lists(lengths, pa.StructArray.from_arrays(list(columns), fields=named))
