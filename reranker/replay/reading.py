"""Results as Arrow tables become plain arrays: see `results` for what they mean."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.errors import InvalidInput, MissingExtra, Violation
from reranker.replay.measured import MOST_VALUES, TIMES, UNKNOWN
from reranker.replay.results import Answers, Deficit, Presences, Results, Slates, Traffic
from reranker.replay.words import IN_SHORT, Measure

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

Parts = Callable[[Sequence[str]], Iterator[pa.Table]]
"""Given names of columns, the rows of some requests after the others, by ordinal; may be asked again."""

_ENTRIES = 50_000  # bounds that are Python objects at once
_TOGETHER = 16  # measures whose columns are one file
_DIMENSIONS = ("kind", "surface", "intent", "language", "country")
_FIRST = ("ordinal", "label", "request", *_DIMENSIONS, "candidates", "recorded_catalog", "positions", "status", "error")
_VALUES = ("ordinal", "label", "presences")


def results_from(results: pa.Table, timings: pa.Table | None = None) -> Results:
    """A run's tables (`arrow.RESULTS`, `arrow.TIMINGS`) by policy.

    Every policy must have met the same requests, each once; raises `InvalidInput` when one has not.
    """
    ordered = results.take(pa.array(np.argsort(results.column("ordinal").to_numpy(), kind="stable")))
    count = len(pc.unique(results.column("ordinal")))
    return gathered(lambda names: iter([ordered.select(names)]), count, [timings] if timings is not None else [])


def gathered(
    parts: Parts,
    count: int,
    timings: Iterable[pa.Table],
    *,
    full: Collection[str] | None = None,
    scratch: Path | None = None,
) -> Results:
    """A run of `count` requests, part after part: what is held of a request is a few numbers and its slates.

    Of policies that are not in `full` (default: all are) only the measures of `words.IN_SHORT` are kept. Numbers lie
    in files without a name in the folder `scratch`, which end with what is returned, or without one in memory. Raises
    `InvalidInput` as `results_from`.
    """
    gathering: dict[str, _Gathering] = {}
    traffic, providers, done, last = _Requests(), _Providers(), 0, -1
    for table in parts([*_FIRST, "numbers", "presences", "quotas"]):
        if not len(table):
            continue
        by_label = _by_label(table)
        if not gathering:
            gathering = {each: _Gathering(each, count, full is None or each in full, scratch) for each in by_label}
        first = by_label[next(iter(gathering))] if by_label.keys() == gathering.keys() else table
        ordinals = first.column("ordinal").to_numpy()
        for label in {**gathering, **by_label}:
            own = by_label.get(label)
            if own is None or label not in gathering or not np.array_equal(own.column("ordinal").to_numpy(), ordinals):
                raise InvalidInput([Violation("results", f"{label!r} met other requests than the others")])
        if (np.diff(ordinals, prepend=last) <= 0).any():
            raise InvalidInput([Violation("results", "a request is there twice: were two runs put into one folder?")])
        last = int(ordinals[-1])
        traffic.add(first)
        for own in by_label.values():
            providers.add(own)
        for label, own in by_label.items():
            gathering[label].add(own, done, providers.names())
        done += len(ordinals)
    if not gathering:
        raise InvalidInput([Violation("results", "there are none: no request was replayed")])
    known = traffic.known()
    for table in timings:
        for label, own in _by_label(table).items():
            places = np.searchsorted(known.ordinals, own.column("ordinal").to_numpy())
            gathering[label].microseconds[places] = own.column("microseconds").to_numpy()
    answers = {label: each.answers() for label, each in gathering.items()}
    return Results(known, answers, lambda labels: _presences_of(parts, labels), providers.names())


def _by_label(table: pa.Table) -> dict[str, pa.Table]:
    labels = pc.unique(table.column("label")).to_pylist()
    return {label: table.filter(pc.equal(table.column("label"), label)) for label in labels}


class _Requests:
    """What the requests are, part after part."""

    def __init__(self) -> None:
        self._ordinals: list[NDArray[np.int64]] = []
        self._names: list[str] = []
        self._dimensions: dict[str, list[str]] = {name: [] for name in _DIMENSIONS}
        self._candidates: list[NDArray[np.int64]] = []
        self._catalogs: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        self._ordinals.append(table.column("ordinal").to_numpy())
        self._names += table.column("request").to_pylist()
        for name, column in self._dimensions.items():
            column += _shared(table.column(name))
        self._candidates.append(table.column("candidates").to_numpy().astype(np.int64))
        self._catalogs.update(version for version in _shared(table.column("recorded_catalog")) if version)

    def known(self) -> Traffic:
        dimensions = {name: tuple(column) for name, column in self._dimensions.items()}
        ordinals, candidates = np.concatenate(self._ordinals), np.concatenate(self._candidates)
        return Traffic(ordinals, tuple(self._names), dimensions, candidates, self._catalogs)


class _Gathering:
    """What one policy made of the requests, part after part."""

    def __init__(self, label: str, count: int, is_full: bool, scratch: Path | None) -> None:
        self.label, self._is_full = label, is_full
        self._numbers = _Columns(count, scratch)
        self._lengths: list[NDArray[np.int64]] = []
        self._items: list[NDArray[np.int32]] = []
        self._errors: list[str] = []
        self._statuses: Counter[str] = Counter()
        self._deficits = _Deficits()
        self.microseconds = np.full(count, np.nan)

    def add(self, table: pa.Table, first: int, providers: Collection[str]) -> None:
        """Take these rows in, the first of which is at this place among the requests; no numbers of `providers`."""
        starts, items = _list(table, "positions")
        self._lengths.append(np.diff(starts))
        self._items.append(items.to_numpy(zero_copy_only=False).astype(np.int32))
        self._errors += _shared(table.column("error"))
        self._statuses.update(status for status in _shared(table.column("status")) if status)
        self._deficits.add(table)
        self._numbers.drop(providers)  # what looked like groups so far
        for measure, rows, numbers in _numbers(table, None if self._is_full else IN_SHORT):
            if not _is_of(measure, providers):
                self._numbers.of(measure)[first + rows] = numbers

    def answers(self) -> Answers:
        """All of it."""
        numbers = dict(self._numbers.items())
        if not np.isnan(self.microseconds).all():
            numbers[Measure("latency_us")] = self.microseconds
        starts = np.concatenate([[0], np.cumsum(np.concatenate(self._lengths))])
        slates = Slates(starts, np.concatenate(self._items))
        deficits = self._deficits.found()
        return Answers(self.label, numbers, slates, tuple(self._errors), self._statuses, deficits, self.microseconds)


class _Columns:
    """Columns of numbers by measure, empty (NaN) at first: in files without a name where there is a folder for them."""

    def __init__(self, count: int, folder: Path | None) -> None:
        self._count, self._folder = count, folder
        self._columns: dict[Measure, NDArray[np.float64]] = {}
        self._free: list[NDArray[np.float64]] = []

    def of(self, measure: Measure) -> NDArray[np.float64]:
        """The column of one measure, (count,)."""
        column = self._columns.get(measure)
        if column is None:
            if not self._free:
                self._free = list(self._more())
            column = self._columns[measure] = self._free.pop()
            column[:] = np.nan
        return column

    def drop(self, attributes: Collection[str]) -> None:
        """Forget the measures of these attributes, and of pairs with them."""
        for measure in [measure for measure in self._columns if _is_of(measure, attributes)]:
            self._free.append(self._columns.pop(measure))

    def items(self) -> Iterable[tuple[Measure, NDArray[np.float64]]]:
        """Every measure that there is, by name, with its column."""
        return sorted(self._columns.items())

    def _more(self) -> NDArray[np.float64]:
        shape = (_TOGETHER, self._count)
        if self._folder is None:
            return np.empty(shape)
        with tempfile.TemporaryFile(dir=self._folder) as file:  # it stays as long as it is mapped
            return np.asarray(np.memmap(file, np.float64, "w+", shape=shape))


def _is_of(measure: Measure, attributes: Collection[str]) -> bool:
    return any(attribute in attributes for attribute in (measure.attribute, *measure.attribute.split(TIMES)))


def _numbers(
    table: pa.Table, names: Collection[str] | None
) -> Iterator[tuple[Measure, NDArray[np.int64], NDArray[np.float64]]]:
    """Each measure of these names (default: of any) with the rows that have it, and what they have."""
    starts, entries = _list(table, "numbers")
    rows = np.repeat(np.arange(len(table)), np.diff(starts))
    words = [_codes(entries.field(name)) for name in ("measure", "attribute", "value")]
    numbers = entries.field("number").to_numpy(zero_copy_only=False)
    widths = [len(values) for _, values in words]
    keys = (words[0][0] * widths[1] + words[1][0]) * widths[2] + words[2][0]
    order = np.argsort(keys, kind="stable")  # one measure after the other, looked at once however many there are
    different, first = np.unique(keys[order], return_index=True)
    for key, here in zip(different.tolist(), np.split(order, first[1:]), strict=True):
        rest, value = divmod(key, widths[2])
        name, attribute = divmod(rest, widths[1])
        measure = Measure(words[0][1][name], words[1][1][attribute], words[2][1][value])
        if names is None or measure.name in names:
            yield measure, rows[here], numbers[here]


class _Providers:
    """Attributes with more values over all requests than a comparison by group could show; no group is dropped."""

    def __init__(self) -> None:
        self._values: dict[str, set[str]] = {}

    def add(self, table: pa.Table) -> None:
        for attribute, value in _keyed(_list(table, "presences")[1])[1]:
            if TIMES not in attribute and value != UNKNOWN:
                self._values.setdefault(attribute, set()).add(value)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, values in self._values.items() if len(values) > MOST_VALUES))


def _presences_of(parts: Parts, labels: Sequence[str]) -> Iterator[tuple[Presences, ...]]:
    for table in parts(_VALUES):
        by_label = _by_label(table)
        yield tuple(_presences(by_label[label]) for label in labels)


def _presences(table: pa.Table) -> Presences:
    starts, entries = _list(table, "presences")
    key, keys = _keyed(entries)
    slots = entries.field("slots")
    offsets = slots.offsets.to_numpy().astype(np.int64)
    columns = {
        name: entries.field(name).to_numpy(zero_copy_only=False)
        for name in ("supply", "lifted", "lifted_score", "dropped", "dropped_score")
    }
    return Presences(
        request=np.repeat(np.arange(len(table)), np.diff(starts)),
        key=key,
        keys=keys,
        starts=offsets - offsets[0],
        slots=slots.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
        **{name: column.astype(np.float64 if "score" in name else np.int64) for name, column in columns.items()},
    )


def _keyed(entries: Any) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """Attribute and value of each entry as one code, and what the codes stand for; each of them occurs."""
    (attribute, attributes), (value, values) = (_codes(entries.field(name)) for name in ("attribute", "value"))
    different, key = np.unique(attribute * len(values) + value, return_inverse=True)
    pairs = (divmod(code, len(values)) for code in different.tolist())
    return key.astype(np.int64), [(attributes[one], values[other]) for one, other in pairs]


class _Deficits:
    """What became of every bound, part after part."""

    def __init__(self) -> None:
        self._met: Counter[Any] = Counter()
        self._broken: dict[Any, Counter[str]] = defaultdict(Counter)
        self._suspended: dict[Any, Counter[str]] = defaultdict(Counter)
        self._units: dict[Any, Counter[str]] = defaultdict(Counter)

    def add(self, table: pa.Table) -> None:
        for entry in _objects(_list(table, "quotas")[1]):
            key = (entry["attribute"], entry["value"], entry["bound"], entry["soft"])
            if entry["bound"] == "WINDOW":  # it names a value only where it is broken
                key = (entry["attribute"], "", entry["bound"], entry["soft"])
            self._met[key] += entry["status"] == "MET"
            if entry["status"] == "BROKEN":
                self._broken[key][entry["reason"]] += 1
                self._units[key][entry["reason"]] += abs(entry["required"] - entry["achieved"])
            elif entry["status"] == "SUSPENDED":
                self._suspended[key][entry["reason"]] += 1

    def found(self) -> tuple[Deficit, ...]:
        return tuple(
            Deficit(
                attribute,
                value,
                bound,
                soft,
                self._met[key],
                dict(self._broken[key]),
                dict(self._suspended[key]),
                dict(self._units[key]),
            )
            for key in sorted(self._met)
            for attribute, value, bound, soft in [key]
        )


def _objects(entries: Any) -> Iterator[dict[str, Any]]:
    for first in range(0, len(entries), _ENTRIES):
        yield from entries.slice(first, _ENTRIES).to_pylist()


def _list(table: pa.Table, name: str) -> tuple[NDArray[np.int64], Any]:
    """Where each row's entries begin and end, and the entries of all rows."""
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    offsets = column.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[0], column.flatten()


def _codes(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    """Texts as codes into their distinct values."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def _shared(column: Any) -> list[str]:
    """Texts, equal ones as one object."""
    codes, values = _codes(column)
    return [values[code] for code in codes.tolist()]
