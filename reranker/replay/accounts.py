"""Who gains and who pays: the price by its causes, slots by group, the scores of lifted items, creators that lose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reranker.measures import slot_attention
from reranker.replay.bootstrap import DRAWS, Interval, intervals
from reranker.replay.contrasts import column
from reranker.replay.measured import TIMES, UNKNOWN
from reranker.replay.plan import DIVERSITY_ONLY, QUOTAS_ONLY
from reranker.replay.results import Answers, Presences, Results
from reranker.replay.words import Measure

_SLOTS = 50  # representation is shown down to here
_SHOWN = 20  # creators that lose, or gain, most
_NOTHING = 1e-9  # attention that comes of rounding alone
_RETAINED = Measure("relevance_retained")


@dataclass(frozen=True, slots=True)
class Price:
    """Share of the upstream top's relevance that a policy gives away, and how much of it by which cause.

    The upstream order gives away nothing. `interaction` is what both together cost beyond the sum of each alone.
    """

    both: Interval
    quotas_only: Interval
    diversity_only: Interval
    interaction: Interval


@dataclass(frozen=True, slots=True)
class GroupAccount:
    """One value over all requests: candidates and slots, and the relevance of who was lifted and who was dropped.

    Scores are shares of the best candidate's relevance, the mean of an item; NaN where there is none.
    """

    attribute: str
    value: str
    candidates: int
    baseline_slots: int
    candidate_slots: int
    lifted: int
    lifted_score: float
    dropped: int
    dropped_score: float


@dataclass(frozen=True, slots=True)
class SlotShares:
    """Who stands where: shares[label][s][v] of the items in slot s + 1 carry values[v]; unknown is "", and last."""

    attribute: str
    values: tuple[str, ...]
    shares: dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True)
class Payer:
    """One provider, such as a creator: attention under both policies, over all requests, and in how many it changed."""

    value: str
    baseline: float
    candidate: float
    requests: int


@dataclass(frozen=True, slots=True)
class Payers:
    """How attention moves between the values of one attribute of many values."""

    attribute: str
    lose: int
    gain: int
    moved: float
    """Share of the baseline's attention that goes to others under the candidate."""
    losers: tuple[Payer, ...]
    gainers: tuple[Payer, ...]


def price_of(results: Results, label: str, *, level: float = 0.95, seed: int = 0, draws: int = DRAWS) -> Price | None:
    """The price of one policy by its causes; None where the run has not split it."""
    own = [results.answers.get(name) for name in (label, f"{label}, {QUOTAS_ONLY}", f"{label}, {DIVERSITY_ONLY}")]
    kept = [answers.numbers.get(_RETAINED) for answers in own if answers is not None]
    columns = [values for values in kept if values is not None]
    if len(columns) < 3:
        return None
    there = ~np.isnan(columns).any(axis=0)
    both, quotas, diversity = (np.where(there, 1.0 - values, np.nan) for values in columns)
    lost = [column(_RETAINED, values) for values in (both, quotas, diversity)]
    excess = both - quotas - diversity
    apart = intervals([*lost, type(lost[0])(excess, -2.0, 1.0)], [level] * 4, seed=seed, draws=draws)
    return Price(*apart)


def group_accounts(results: Results, baseline: str, candidate: str) -> list[GroupAccount]:
    """Every value of every attribute that is compared by group, small and unknown ones too; unknown last."""
    one, other = _Totals(), _Totals()
    for before, after in results.presences((baseline, candidate)):
        one.add(before)
        other.add(after)
    found = []
    for attribute in results.groups():
        for value in _values({*one.rows, *other.rows}, attribute):
            a, b = one.of(attribute, value), other.of(attribute, value)
            found.append(
                GroupAccount(
                    attribute,
                    value,
                    max(int(a.supply), int(b.supply)),
                    int(a.slots),
                    int(b.slots),
                    int(b.lifted),
                    b.lifted_score / b.lifted if b.lifted else float("nan"),
                    int(b.dropped),
                    b.dropped_score / b.dropped if b.dropped else float("nan"),
                )
            )
    return found


def slot_shares(results: Results, labels: Sequence[str]) -> list[SlotShares]:
    """Representation slot by slot of each of these policies, for every single attribute that is compared by group.

    An item of several values counts once for each.
    """
    counts: list[dict[tuple[str, str], NDArray[np.float64]]] = [{} for _ in labels]
    for parts in results.presences(labels):
        for found, presences in zip(counts, parts, strict=True):
            _count_slots(found, presences)
    carried = {key for found in counts for key in found}
    shown = []
    for attribute in results.groups():
        if TIMES in attribute:
            continue
        values = _values(carried, attribute)
        shares = {
            label: _shares_by_slot([found.get((attribute, value)) for value in values], results.answers[label])
            for label, found in zip(labels, counts, strict=True)
        }
        shown.append(SlotShares(attribute, tuple(values), shares))
    return shown


def payers_of(results: Results, baseline: str, candidate: str) -> list[Payers]:
    """Who gains and loses attention among the values of each attribute of many values."""
    if not results.providers:
        return []
    moved = _Moved()
    for before, after in results.presences((baseline, candidate)):
        moved.add(before, after, frozenset(results.providers))
    return [_payers(attribute, moved.of(attribute)) for attribute in results.providers]


def _payers(attribute: str, rows: Mapping[str, NDArray[np.float64]]) -> Payers:
    """`rows` by value: attention under the baseline and the candidate, what it changes by, in how many requests."""
    ordered = sorted(rows, key=lambda value: (rows[value][2], value))
    all_of_it = sum(float(rows[value][0]) for value in ordered)
    lost = -sum(float(rows[value][2]) for value in ordered if rows[value][2] < 0.0)

    def shown(values: Iterable[str]) -> tuple[Payer, ...]:
        return tuple(Payer(v, float(rows[v][0]), float(rows[v][1]), int(rows[v][3])) for v in values)

    return Payers(
        attribute,
        sum(bool(row[2] < -_NOTHING) for row in rows.values()),
        sum(bool(row[2] > _NOTHING) for row in rows.values()),
        lost / all_of_it if all_of_it else 0.0,
        shown(value for value in ordered[:_SHOWN] if rows[value][2] < -_NOTHING),
        shown(value for value in ordered[: -_SHOWN - 1 : -1] if rows[value][2] > _NOTHING),
    )


def _values(keys: Iterable[tuple[str, str]], attribute: str) -> list[str]:
    """The values of one attribute in order, unknown last."""
    return sorted((value for of, value in keys if of == attribute), key=lambda value: (value == UNKNOWN, value))


class _Totals:
    """Sums over all requests of what each value has."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], _Total] = {}

    def of(self, attribute: str, value: str) -> _Total:
        """What one value has; nothing where it is nowhere."""
        return self.rows.get((attribute, value), _NONE)

    def add(self, presences: Presences) -> None:
        """Count some more requests in, entry by entry: however they are cut, the sums are the same to the last bit."""
        entries = np.stack([getattr(presences, name) for name in _COUNTED], axis=1).astype(np.float64)
        entries = np.insert(entries, _COUNTED.index("lifted"), np.diff(presences.starts), axis=1)
        sums = np.array([self.of(*key) for key in presences.keys], np.float64).reshape(-1, len(_NONE))
        np.add.at(sums, presences.key, entries)
        self.rows |= {key: _Total(*row) for key, row in zip(presences.keys, sums.tolist(), strict=True)}


class _Total(NamedTuple):
    supply: float = 0.0
    slots: float = 0.0
    lifted: float = 0.0
    lifted_score: float = 0.0
    dropped: float = 0.0
    dropped_score: float = 0.0


_NONE = _Total()
_COUNTED = ("supply", "lifted", "lifted_score", "dropped", "dropped_score")


def _count_slots(found: dict[tuple[str, str], NDArray[np.float64]], presences: Presences) -> None:
    """How often each value stands in each of the first slots, added to what was found before."""
    keys = np.repeat(presences.key, np.diff(presences.starts))
    shown = presences.slots <= _SLOTS
    counts = np.zeros((len(presences.keys), _SLOTS))
    np.add.at(counts, (keys[shown], presences.slots[shown] - 1), 1.0)
    for key, row in zip(presences.keys, counts, strict=True):
        found[key] = found[key] + row if key in found else row


def _shares_by_slot(counts: Sequence[NDArray[np.float64] | None], answers: Answers) -> list[list[float]]:
    longest = min(answers.positions.longest, _SLOTS)
    rows = [np.zeros(_SLOTS) if row is None else row for row in counts]
    table = np.array(rows).reshape(len(rows), _SLOTS).T[:longest]
    totals = table.sum(axis=1, keepdims=True)
    shares: list[list[float]] = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0).tolist()
    return shares


class _Moved:
    """Attention by value under both policies, what it changes by, and in how many requests."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], NDArray[np.float64]] = {}

    def of(self, attribute: str) -> dict[str, NDArray[np.float64]]:
        """The rows of one attribute, by value."""
        return {value: row for (of, value), row in self._rows.items() if of == attribute}

    def add(self, before: Presences, after: Presences, attributes: frozenset[str]) -> None:
        """Count some more requests in, in their order: however they are cut, the sums are the same to the last bit."""
        keys = sorted({*before.keys, *after.keys})
        place = {key: at for at, key in enumerate(keys)}
        there = [_attention(each, place, attributes) for each in (before, after)]
        pairs = np.unique(np.concatenate([pair for pair, _ in there]))  # of a request and a key, in this order
        attention = np.zeros((len(pairs), 4))
        for side, (pair, amount) in enumerate(there):
            attention[np.searchsorted(pairs, pair), side] = amount
        attention[:, 2] = attention[:, 1] - attention[:, 0]
        attention[:, 3] = attention[:, 2] != 0.0
        different, at = np.unique(pairs % max(len(keys), 1), return_inverse=True)
        sums = np.array([self._rows.get(keys[key], np.zeros(4)) for key in different]).reshape(-1, 4)
        np.add.at(sums, at, attention)
        self._rows |= {keys[key]: row for key, row in zip(different.tolist(), sums, strict=True)}


def _attention(
    presences: Presences, place: Mapping[tuple[str, str], int], attributes: frozenset[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Request and key in one number, and the attention, of every known value of these attributes that has a slot."""
    counted = [of in attributes and value != UNKNOWN for of, value in presences.keys]
    lengths = np.diff(presences.starts)
    entries = np.flatnonzero(np.array(counted, bool)[presences.key] & (lengths > 0))
    by_slot = slot_attention(int(presences.slots.max(initial=0)))
    of_slots = np.zeros(len(lengths))
    np.add.at(of_slots, np.repeat(np.arange(len(lengths)), lengths), by_slot[presences.slots - 1])
    places = np.array([place[key] for key in presences.keys], np.int64)
    return presences.request[entries] * len(place) + places[presences.key[entries]], of_slots[entries]


def quantiles(values: NDArray[np.float64], shares: Sequence[float] = (0.5, 0.9, 0.99, 1.0)) -> dict[str, float]:
    """Quantiles of what is there, by name such as p99; empty where nothing is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {}
    return {f"p{100 * share:g}": float(np.quantile(known, share, method="higher")) for share in shares}
