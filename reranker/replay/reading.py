"""Results as Arrow tables become plain arrays: see `results` for what they mean."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.errors import InvalidInput, MissingExtra, Violation
from reranker.replay.measured import TIMES
from reranker.replay.results import Answers, Deficit, Presences, Results, Traffic, providers_of
from reranker.replay.words import Measure

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

_ENTRIES = 50_000  # bounds that are Python objects at once
_DIMENSIONS = ("kind", "surface", "intent", "language", "country")


def results_from(results: pa.Table, timings: pa.Table | None = None) -> Results:
    """A run's tables (`arrow.RESULTS`, `arrow.TIMINGS`) by policy.

    Every policy must have met the same requests, each once; raises `InvalidInput` when one has not.
    """
    labels = list(dict.fromkeys(results.column("label").to_pylist()))
    if not labels:
        raise InvalidInput([Violation("results", "there are none: no request was replayed")])
    order = np.argsort(results.column("ordinal").to_numpy(), kind="stable")
    results = results.take(pa.array(order)).combine_chunks()
    by_label = {label: results.filter(pc.equal(results.column("label"), label)) for label in labels}
    traffic = _traffic(by_label[labels[0]])
    for label, table in by_label.items():
        if not np.array_equal(table.column("ordinal").to_numpy(), traffic.ordinals):
            raise InvalidInput([Violation("results", f"{label!r} met other requests than {labels[0]!r}")])
    if len(np.unique(traffic.ordinals)) < len(traffic):
        raise InvalidInput([Violation("results", "a request is there twice: were two runs put into one folder?")])
    answers = {label: _answers(label, table, _timings(label, traffic, timings)) for label, table in by_label.items()}
    return _without_providers(Results(traffic, answers))


def _traffic(table: pa.Table) -> Traffic:
    return Traffic(
        table.column("ordinal").to_numpy(),
        tuple(table.column("request").to_pylist()),
        {name: tuple(table.column(name).to_pylist()) for name in _DIMENSIONS},
        table.column("candidates").to_numpy().astype(np.int64),
        Counter(version for version in table.column("recorded_catalog").to_pylist() if version),
    )


def _answers(label: str, table: pa.Table, microseconds: NDArray[np.float64]) -> Answers:
    count = len(table)
    starts, values = _list(table, "positions")
    positions = tuple(np.split(values.to_numpy(zero_copy_only=False).astype(np.int64), starts[1:-1])) if count else ()
    numbers = _numbers(table)
    if not np.isnan(microseconds).all():
        numbers[Measure("latency_us")] = microseconds
    return Answers(
        label,
        numbers,
        positions,
        tuple(table.column("error").to_pylist()),
        Counter(status for status in table.column("status").to_pylist() if status),
        _presences(table),
        _deficits(table),
        microseconds,
    )


def _numbers(table: pa.Table) -> dict[Measure, NDArray[np.float64]]:
    starts, entries = _list(table, "numbers")
    rows = np.repeat(np.arange(len(table)), np.diff(starts))
    names = [_codes(entries.field(name)) for name in ("measure", "attribute", "value")]
    numbers = entries.field("number").to_numpy(zero_copy_only=False)
    widths = [len(words) for _, words in names]
    keys = (names[0][0] * widths[1] + names[1][0]) * widths[2] + names[2][0]
    order = np.argsort(keys, kind="stable")  # one measure after the other, looked at once however many there are
    different, first = np.unique(keys[order], return_index=True)
    found = {}
    for key, here in zip(different.tolist(), np.split(order, first[1:]), strict=True):
        column = np.full(len(table), np.nan)
        column[rows[here]] = numbers[here]
        rest, value = divmod(key, widths[2])
        measure, attribute = divmod(rest, widths[1])
        found[Measure(names[0][1][measure], names[1][1][attribute], names[2][1][value])] = column
    return found


def _presences(table: pa.Table) -> Presences:
    starts, entries = _list(table, "presences")
    slots = entries.field("slots").combine_chunks() if isinstance(entries, pa.ChunkedArray) else entries.field("slots")
    offsets = slots.offsets.to_numpy().astype(np.int64)
    words = []
    for name in ("attribute", "value"):
        codes, dictionary = _codes(entries.field(name))
        words.append(np.array([*dictionary, ""], object)[codes] if len(codes) else np.zeros(0, object))
    columns = {
        name: entries.field(name).to_numpy(zero_copy_only=False)
        for name in ("supply", "lifted", "lifted_score", "dropped", "dropped_score")
    }
    return Presences(
        request=np.repeat(np.arange(len(table)), np.diff(starts)),
        attribute=words[0],
        value=words[1],
        starts=offsets - offsets[0],
        slots=slots.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
        **{name: column.astype(np.float64 if "score" in name else np.int64) for name, column in columns.items()},
    )


def _deficits(table: pa.Table) -> tuple[Deficit, ...]:
    _, entries = _list(table, "quotas")
    met: Counter[Any] = Counter()
    broken: dict[Any, Counter[str]] = defaultdict(Counter)
    suspended: dict[Any, Counter[str]] = defaultdict(Counter)
    units: dict[Any, Counter[str]] = defaultdict(Counter)
    for entry in _objects(entries):
        key = (entry["attribute"], entry["value"], entry["bound"], entry["soft"])
        if entry["bound"] == "WINDOW":  # it names a value only where it is broken
            key = (entry["attribute"], "", entry["bound"], entry["soft"])
        met[key] += entry["status"] == "MET"
        if entry["status"] == "BROKEN":
            broken[key][entry["reason"]] += 1
            units[key][entry["reason"]] += abs(entry["required"] - entry["achieved"])
        elif entry["status"] == "SUSPENDED":
            suspended[key][entry["reason"]] += 1
    return tuple(
        Deficit(attribute, value, bound, soft, met[key], dict(broken[key]), dict(suspended[key]), dict(units[key]))
        for key in sorted(met)
        for attribute, value, bound, soft in [key]
    )


def _objects(entries: Any) -> Iterator[dict[str, Any]]:
    for first in range(0, len(entries), _ENTRIES):
        yield from entries.slice(first, _ENTRIES).to_pylist()


def _timings(label: str, traffic: Traffic, timings: pa.Table | None) -> NDArray[np.float64]:
    took = np.full(len(traffic), np.nan)
    if timings is None:
        return took
    own = timings.filter(pc.equal(timings.column("label"), label))
    ordinals = own.column("ordinal").to_numpy()
    places = np.searchsorted(traffic.ordinals, ordinals)
    took[places] = own.column("microseconds").to_numpy()
    return took


def _without_providers(results: Results) -> Results:
    """Attributes of very many values give no groups to compare; their numbers are left out, their presences stay."""
    providers = providers_of(results.answers)
    hidden = set(providers)

    def is_shown(attribute: str) -> bool:
        return hidden.isdisjoint((attribute, *attribute.split(TIMES)))

    answers = {
        label: Answers(
            each.label,
            {measure: column for measure, column in each.numbers.items() if is_shown(measure.attribute)},
            each.positions,
            each.errors,
            each.statuses,
            each.presences,
            each.deficits,
            each.microseconds,
        )
        for label, each in results.answers.items()
    }
    return Results(results.traffic, answers, providers)


def _list(table: pa.Table, name: str) -> tuple[NDArray[np.int64], Any]:
    """Where each row's entries begin and end, and the entries of all rows."""
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    offsets = column.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[0], column.flatten()


def _codes(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    """Texts as codes into their distinct values."""
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
