"""Slow, obvious twins of the quotas, written from the text of the policy words alone.

Labels are hard and unknown labels neutral. Everything is exact: shares and weights are fractions, deficits are compared
as pairs of fractions, and the least deficit is searched for over all slates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations
from math import ceil, floor
from typing import Any, TypeAlias

from tests.reference.naive_strategies import Twin, upstream_order

Value: TypeAlias = tuple[str, str]  # attribute, value
Labels: TypeAlias = Mapping[str, Sequence[frozenset[str]]]  # attribute -> the values of each candidate
Pair: TypeAlias = tuple[Fraction, Fraction]  # weighted excess, weighted shortfall


def exact(number: float | str | int) -> Fraction:
    """A share or weight as the fraction that rule 4 reads it as."""
    return Fraction(number) if isinstance(number, str) else Fraction(number).limit_denominator(10**6)


def as_labels(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[frozenset[str]]]:
    """Columns of one value, None or a list of values an item, as sets of values."""
    return {
        attribute: [
            frozenset() if entry is None else frozenset([entry] if isinstance(entry, str) else entry)
            for entry in column
        ]
        for attribute, column in columns.items()
    }


@dataclass
class Floor:
    """A merged lower bound: `least[t]` items at least among the first t."""

    least: list[int]
    weight: Fraction = Fraction(0)


@dataclass
class Cap:
    """A merged upper bound: `most[t]` items at most among the first t (None: no cap), and caps of windows."""

    most: list[int | None]
    windows: list[tuple[int, int]] = field(default_factory=list)  # (at most, among this many consecutive slots)
    weight: Fraction = Fraction(0)


@dataclass
class Bounds:
    """All bounds of a policy for slates of `length` slots."""

    length: int
    floors: dict[Value, Floor] = field(default_factory=dict)
    caps: dict[Value, Cap] = field(default_factory=dict)

    def ask(self, value: Value, weight: Fraction, table: Mapping[int, int]) -> None:
        """Merge a lower bound in: the larger of two counts the bound."""
        entry = self.floors.setdefault(value, Floor([0] * (self.length + 1)))
        entry.weight = max(entry.weight, weight)
        for prefix, count in table.items():
            entry.least[prefix] = max(entry.least[prefix], count)

    def limit(self, value: Value, weight: Fraction, table: Mapping[int, int]) -> None:
        """Merge an upper bound in: the smaller of two counts."""
        entry = self._cap(value, weight)
        for prefix, count in table.items():
            before = entry.most[prefix]
            entry.most[prefix] = count if before is None else min(before, count)

    def limit_window(self, value: Value, weight: Fraction, most: int, window: int) -> None:
        """Add the cap of a sliding window."""
        self._cap(value, weight).windows.append((most, window))

    def _cap(self, value: Value, weight: Fraction) -> Cap:
        entry = self.caps.setdefault(value, Cap([None] * (self.length + 1)))
        entry.weight = max(entry.weight, weight)
        return entry


def guard_mask(policy: Mapping[str, Any], scores: Sequence[float], labels: Labels) -> list[bool]:
    """Which candidates pass `[guard]`; an unknown value fails `where`, best = score_zero passes the share of best."""
    guard = policy.get("guard", {})
    zero = float(policy.get("objective", {}).get("score_zero", 0.0))
    best = max(scores, default=zero)
    passes = []
    for position, score in enumerate(scores):
        good = score >= guard.get("min_score", -float("inf"))
        if "min_share_of_best" in guard and best != zero:
            good = good and (score - zero) / (best - zero) >= guard["min_share_of_best"]
        for attribute, accepted in guard.get("where", {}).items():
            good = good and attribute in labels and bool(labels[attribute][position] & set(accepted))
        passes.append(good)
    return passes


def read_bounds(policy: Mapping[str, Any], labels: Labels, guarded: Sequence[bool], length: int) -> Bounds:
    """The merged bounds of all hard quotas, at prefixes 1 to `length` = min(slate_size, N)."""
    bounds = Bounds(length)
    for quota in policy.get("quotas", ()):
        if quota.get("soft", False):
            continue
        attribute, weight = quota["attribute"], exact(quota.get("weight", 1))
        within = min(quota.get("within", 0) or length, length)
        minimum, maximum = _shares(quota, labels, guarded)
        for value, share in minimum.items():  # a floor stays once its prefixes are over
            table = {t: floor(min(t, within) * share) for t in range(1, length + 1)}
            bounds.ask((attribute, value), weight, table)
        for value, share in maximum.items():  # a cap ends with its prefixes
            bounds.limit((attribute, value), weight, {t: ceil(t * share) for t in range(1, within + 1)})
        for value, count in quota.get("min_count", {}).items():
            bounds.ask((attribute, value), weight, dict.fromkeys(range(within, length + 1), count))
        for value, count in quota.get("max_count", {}).items():
            bounds.limit((attribute, value), weight, dict.fromkeys(range(1, within + 1), count))
        if quota.get("at_least_one_of_each", False):
            for value in quota.get("values") or _carried(labels, attribute, guarded):
                bounds.ask((attribute, value), weight, dict.fromkeys(range(within, length + 1), 1))
        if "max_per_value" in quota:
            window = quota.get("window", 0) or length
            for value in _carried(labels, attribute, None):
                bounds.limit_window((attribute, value), weight, quota["max_per_value"], window)
    return bounds


def _shares(
    quota: Mapping[str, Any], labels: Labels, guarded: Sequence[bool]
) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    minimum = {value: exact(share) for value, share in quota.get("min_share", {}).items()}
    maximum = {value: exact(share) for value, share in quota.get("max_share", {}).items()}
    target = quota.get("target")
    if target is None:
        return minimum, maximum
    tolerance = exact(quota.get("tolerance", 0))
    if target == "pool":
        column = [row for row, passes in zip(labels[quota["attribute"]], guarded, strict=True) if passes and row]
        wanted = {value: Fraction(sum(value in row for row in column), len(column)) for row in column for value in row}
    else:
        wanted = {value: exact(share) for value, share in target.items()}
    for value, share in wanted.items():
        minimum[value] = max(Fraction(0), share - tolerance)
        maximum[value] = min(Fraction(1), share + tolerance)
    return minimum, maximum


def _carried(labels: Labels, attribute: str, guarded: Sequence[bool] | None) -> list[str]:
    column = labels.get(attribute, ())
    return sorted({value for i, row in enumerate(column) if guarded is None or guarded[i] for value in row})


@dataclass(frozen=True)
class Instance:
    """One request as the quotas see it."""

    scores: tuple[float, ...]
    labels: dict[str, list[frozenset[str]]]
    guarded: tuple[bool, ...]
    keep_top: int
    bounds: Bounds
    order: tuple[int, ...]

    @classmethod
    def of(
        cls, policy: Mapping[str, Any], scores: Sequence[float], columns: Mapping[str, Any], slate_size: int
    ) -> Instance:
        """An instance from the policy's tree and the candidates' columns."""
        labels = as_labels(columns)
        guarded = guard_mask(policy, scores, labels)
        bounds = read_bounds(policy, labels, guarded, min(slate_size, len(scores)))
        keep_top = policy.get("placement", {}).get("keep_top", 0)
        return cls(tuple(scores), labels, tuple(guarded), keep_top, bounds, tuple(upstream_order(scores)))

    def rank(self, item: int) -> int:
        """Upstream rank, from 1."""
        return self.order.index(item) + 1

    def carries(self, item: int, value: Value) -> bool:
        """Whether the item counts for the value."""
        column = self.labels.get(value[0])
        return column is not None and value[1] in column[item]

    def may_stand(self, item: int, slot: int) -> bool:
        """Rules 2 and 3: the first `keep_top` keep their slots; who fails the guard is never lifted. Slots from 1."""
        if slot <= self.keep_top or self.rank(item) <= self.keep_top:
            return self.rank(item) == slot
        return self.guarded[item] or self.rank(item) <= slot


def shortfall(instance: Instance, slate: Sequence[int], value: Value) -> int:
    """The largest max(0, L - count) over the prefixes of the slate."""
    least = instance.bounds.floors[value].least
    worst = count = 0
    for prefix, item in enumerate(slate, 1):
        count += instance.carries(item, value)
        worst = max(worst, least[prefix] - count)
    return worst


def excess(instance: Instance, slate: Sequence[int], value: Value) -> int:
    """The largest max(0, count - U) over the prefixes and windows of the slate."""
    cap = instance.bounds.caps[value]
    carried = [instance.carries(item, value) for item in slate]
    worst = 0
    for prefix in range(1, len(slate) + 1):
        most = cap.most[prefix]
        if most is not None:
            worst = max(worst, sum(carried[:prefix]) - most)
        for allowed, window in cap.windows:
            worst = max(worst, sum(carried[max(0, prefix - window) : prefix]) - allowed)
    return worst


def broken(instance: Instance, slate: Sequence[int]) -> dict[tuple[str, str, str], int]:
    """(attribute, value, "LOWER" or "UPPER") -> units, for each hard bound that is broken; caps take in windows."""
    found = {}
    for value in instance.bounds.floors:
        if units := shortfall(instance, slate, value):
            found[(*value, "LOWER")] = units
    for value in instance.bounds.caps:
        if units := excess(instance, slate, value):
            found[(*value, "UPPER")] = units
    return found


def deficit(instance: Instance, slate: Sequence[int]) -> Pair:
    """Rule 5's pair for a complete slate: weighted excess before weighted shortfall."""
    over = sum((c.weight * excess(instance, slate, v) for v, c in instance.bounds.caps.items()), Fraction(0))
    under = sum((f.weight * shortfall(instance, slate, v) for v, f in instance.bounds.floors.items()), Fraction(0))
    return over, under


def exhaustive_best(instance: Instance) -> Pair:
    """The least deficit over every ordered slate that guard and `keep_top` admit; for N <= 8 and k <= 5."""
    return min(
        deficit(instance, slate)
        for slate in permutations(range(len(instance.scores)), instance.bounds.length)
        if all(instance.may_stand(item, slot) for slot, item in enumerate(slate, 1))
    )


Units: TypeAlias = tuple[int, ...]  # the worst breach of each cap, then of each floor


class Completions:
    """Exact search over (slot, how many of each kind of item are placed), shared by all prefixes of one instance.

    Items that carry the same bounded values are one kind. Within a kind it does not matter which item is placed:
    whoever may stand in a slot may stand in every later one, so what is left is a number. With windows the last kinds
    count too.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        bounds = instance.bounds
        self.caps = list(bounds.caps.items())
        self.floors = list(bounds.floors.items())
        tracked = [value for value, _ in self.caps] + [value for value, _ in self.floors]
        carried = [tuple(instance.carries(item, value) for value in tracked) for item in range(len(instance.scores))]
        self.kinds = sorted(set(carried))
        self.kind_of = [self.kinds.index(row) for row in carried]
        self.memory = max((w for _, c in self.caps for _, w in c.windows), default=1) - 1
        self.available = [
            [
                sum(
                    self.kind_of[item] == kind and (instance.guarded[item] or instance.rank(item) <= slot)
                    for item in range(len(instance.scores))
                )
                for kind in range(len(self.kinds))
            ]
            for slot in range(bounds.length + 1)
        ]
        self._suffixes: dict[tuple[tuple[int, ...], tuple[int, ...]], frozenset[Units]] = {}

    def units(self, placed: Sequence[int]) -> Units:
        """Breaches at the last prefix of a sequence of kinds and in the windows that end there."""
        prefix = len(placed)
        found = []
        for column, (_, cap) in enumerate(self.caps):
            carried = [self.kinds[kind][column] for kind in placed]
            most = cap.most[prefix]
            worst = 0 if most is None else max(0, sum(carried) - most)
            for allowed, window in cap.windows:
                worst = max(worst, sum(carried[max(0, prefix - window) :]) - allowed)
            found.append(worst)
        for column, (_, bound) in enumerate(self.floors, len(self.caps)):
            found.append(max(0, bound.least[prefix] - sum(self.kinds[kind][column] for kind in placed)))
        return tuple(found)

    def least(self, prefix: Sequence[int]) -> Pair:
        """The least deficit of all complete slates that begin with these items."""
        placed = [self.kind_of[item] for item in prefix]
        worst = (0,) * (len(self.caps) + len(self.floors))
        for end in range(1, len(placed) + 1):
            worst = _worse(worst, self.units(placed[:end]))
        return min(self._pair(_worse(worst, suffix)) for suffix in self._suffix(placed))

    def allowed(self, prefix: Sequence[int], target: Pair) -> set[int]:
        """Rule 5: the items that may stand next and leave a completion that reaches `target`."""
        slot = len(prefix) + 1
        by_kind: dict[int, bool] = {}
        fit = set()
        for item in range(len(self.instance.scores)):
            if item in prefix or not self.instance.may_stand(item, slot):
                continue
            kind = self.kind_of[item]
            if kind not in by_kind:
                by_kind[kind] = self.least([*prefix, item]) == target
            if by_kind[kind]:
                fit.add(item)
        return fit

    def _pair(self, units: Units) -> Pair:
        over = sum((c.weight * u for (_, c), u in zip(self.caps, units, strict=False)), Fraction(0))
        rest = units[len(self.caps) :]
        return over, sum((f.weight * u for (_, f), u in zip(self.floors, rest, strict=True)), Fraction(0))

    def _suffix(self, placed: list[int]) -> frozenset[Units]:
        """The worst breaches that completions of these kinds come to, without those that are no better than others."""
        counts = tuple(placed.count(kind) for kind in range(len(self.kinds)))
        recent = tuple(placed[len(placed) - min(len(placed), self.memory) :])
        key = counts, recent
        if key not in self._suffixes:
            self._suffixes[key] = self._search(placed, counts)
        return self._suffixes[key]

    def _search(self, placed: list[int], counts: tuple[int, ...]) -> frozenset[Units]:
        slot = len(placed) + 1
        if slot > self.instance.bounds.length:
            return frozenset([(0,) * (len(self.caps) + len(self.floors))])
        if slot <= self.instance.keep_top:
            kinds = [self.kind_of[self.instance.order[slot - 1]]]
        else:
            kinds = [kind for kind, used in enumerate(counts) if used < self.available[slot][kind]]
        found: set[Units] = set()
        for kind in kinds:
            longer = [*placed, kind]
            here = self.units(longer)
            found.update(_worse(here, later) for later in self._suffix(longer))
        return frozenset(a for a in found if not any(b != a and _no_worse(b, a) for b in found))


def _worse(one: Units, other: Units) -> Units:
    return tuple(max(a, b) for a, b in zip(one, other, strict=True))


def _no_worse(one: Units, other: Units) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def naive_rerank(instance: Instance, twin: Twin) -> tuple[list[int], Pair]:
    """Rule 5 literally: at each slot the allowed candidate of largest utility; the picks and the least pair."""
    search = Completions(instance)
    target = search.least([])
    picks: list[int] = []
    while len(picks) < instance.bounds.length:
        picks.append(twin.choose(twin.utilities(picks, search.allowed(picks, target))))
    return picks, target


def alone(instance: Instance, value: Value, *, with_guard: bool = True) -> int:
    """The least shortfall of one lower bound were it the only bound; `with_guard` False: and the guard not there."""
    bounds = Bounds(instance.bounds.length, floors={value: instance.bounds.floors[value]})
    guarded = instance.guarded if with_guard else (True,) * len(instance.guarded)
    solo = Instance(instance.scores, instance.labels, guarded, instance.keep_top, bounds, instance.order)
    return min(units[0] for units in Completions(solo)._suffix([]))
