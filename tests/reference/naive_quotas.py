"""Slow, obvious twins of the quotas, written from the text of the policy words alone.

Everything is exact: deficits are compared as pairs of fractions, and the least deficit is searched for over all slates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import permutations
from typing import Any, TypeAlias

from tests.reference.naive_bounds import (
    Bounds,
    Value,
    as_labels,
    counted_prefixes,
    guard_mask,
    read_bounds,
    read_labels,
)
from tests.reference.naive_strategies import Twin, upstream_order

Pair: TypeAlias = tuple[Fraction, Fraction]  # weighted excess, weighted shortfall


@dataclass(frozen=True)
class Instance:
    """One request as the quotas see it."""

    scores: tuple[float, ...]
    labels: Mapping[str, Sequence[frozenset[str]]]
    guarded: tuple[bool, ...]
    keep_top: int
    bounds: Bounds
    order: tuple[int, ...]
    fixed: Mapping[int, int] = field(default_factory=dict)  # slot (from 1) -> item
    counted: Mapping[str, Sequence[bool]] = field(default_factory=dict)  # who counts in prefixes, where not everybody

    @classmethod
    def of(
        cls,
        policy: Mapping[str, Any],
        scores: Sequence[float],
        columns: Mapping[str, Any],
        slate_size: int,
        fixed: Mapping[int, int] | None = None,
        targets: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Instance:
        """An instance from the policy's tree and the candidates' columns."""
        labels = as_labels(columns)
        guarded = guard_mask(policy, scores, labels)
        bounds = read_bounds(policy, labels, guarded, min(slate_size, len(scores)), targets)
        keep_top = policy.get("placement", {}).get("keep_top", 0)
        return cls(
            tuple(scores),
            read_labels(policy, labels),
            tuple(guarded),
            keep_top,
            bounds,
            tuple(upstream_order(scores)),
            fixed or {},
            counted_prefixes(policy, labels),
        )

    def rank(self, item: int) -> int:
        """Upstream rank, from 1."""
        return self.order.index(item) + 1

    def carries(self, item: int, value: Value) -> bool:
        """Whether the item counts for the value."""
        column = self.labels.get(value[0])
        return column is not None and value[1] in column[item]

    def may_stand(self, item: int, slot: int) -> bool:
        """Rules 2 and 3: fixed items, then the first `keep_top`, keep their slots; the guard lets nobody be lifted."""
        if slot in self.fixed or item in self.fixed.values():
            return self.fixed.get(slot) == item
        if self.kept(slot) is not None:
            return item == self.kept(slot)
        rank = self.rank(item)
        if rank <= self.keep_top and self.kept(rank) is not None:
            return False
        return self.release[item] <= slot

    @cached_property
    def release(self) -> dict[int, int]:
        """The first slot in which each item may stand, as far as the guard goes.

        Where fixed items leave a slot without anybody, the next failing item by rank may stand one slot earlier.
        """
        first = {item: 1 if self.guarded[item] else self.rank(item) for item in range(len(self.scores))}
        settled = {self.fixed.get(slot, self.kept(slot)) for slot in range(1, self.bounds.length + 1)}
        free = 0
        for slot in range(1, self.bounds.length + 1):
            if slot in self.fixed or self.kept(slot) is not None:
                continue
            free += 1
            others = [item for item in self.order if item not in settled]
            if sum(first[item] <= slot for item in others) < free:
                first[min((item for item in others if first[item] > slot), key=first.__getitem__)] = slot
        return first

    def kept(self, slot: int) -> int | None:
        """The item that keeps this slot, unless a fixed one has taken it or is that item."""
        if slot > self.keep_top or slot in self.fixed or self.order[slot - 1] in self.fixed.values():
            return None
        return self.order[slot - 1]

    def prefix(self, attribute: str, slate: Sequence[int]) -> int:
        """How long the slate is in the eyes of one attribute's bounds."""
        counted = self.counted.get(attribute)
        return len(slate) if counted is None else sum(counted[item] for item in slate)

    def earns(self, item: int, slot: int, value: Value) -> bool:
        """Whether the item in this slot counts for a minimum: fixed ones never do."""
        return slot not in self.fixed and self.carries(item, value)


def shortfall(instance: Instance, slate: Sequence[int], value: Value) -> int:
    """The largest max(0, L - count) over the prefixes of the slate."""
    bound = instance.bounds.floors[value]
    worst = count = 0
    for slot, item in enumerate(slate, 1):
        count += instance.earns(item, slot, value)
        least = bound.least[instance.prefix(value[0], slate[:slot])]
        if slot == instance.bounds.length and value[0] in instance.counted:
            least = max(least, bound.due)
        worst = max(worst, least - count)
    return worst


def excess(instance: Instance, slate: Sequence[int], value: Value) -> int:
    """The largest max(0, count - U) over the prefixes and windows of the slate."""
    cap = instance.bounds.caps[value]
    carried = [instance.carries(item, value) for item in slate]
    worst = 0
    for prefix in range(1, len(slate) + 1):
        most = cap.most[instance.prefix(value[0], slate[:prefix])]
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
        self.counted = list(instance.counted.items())
        fixed = set(instance.fixed.values())
        # What an item adds to caps, to floors, to prefixes; fixed items are kinds of their own.
        carried = [
            (
                *(instance.carries(item, value) for value, _ in self.caps),
                *(item not in fixed and instance.carries(item, value) for value, _ in self.floors),
                *(who[item] for _, who in self.counted),
                item if item in fixed else -1,
            )
            for item in range(len(instance.scores))
        ]
        self.kinds = sorted(set(carried))
        self.kind_of = [self.kinds.index(row) for row in carried]
        self.memory = max((w for _, c in self.caps for _, w in c.windows), default=1) - 1
        self.available = [
            [
                sum(
                    self.kind_of[item] == kind and item not in fixed and instance.release[item] <= slot
                    for item in range(len(instance.scores))
                )
                for kind in range(len(self.kinds))
            ]
            for slot in range(bounds.length + 1)
        ]
        self._suffixes: dict[tuple[tuple[int, ...], tuple[int, ...]], frozenset[Units]] = {}

    def units(self, placed: Sequence[int]) -> Units:
        """Breaches at the last prefix of a sequence of kinds and in the windows that end there."""
        found = []
        for column, (value, cap) in enumerate(self.caps):
            carried = [self.kinds[kind][column] for kind in placed]
            most = cap.most[self._prefix(value[0], placed)]
            worst = 0 if most is None else max(0, sum(carried) - most)
            for allowed, window in cap.windows:
                worst = max(worst, sum(carried[max(0, len(placed) - window) :]) - allowed)
            found.append(worst)
        for column, (value, bound) in enumerate(self.floors, len(self.caps)):
            least = bound.least[self._prefix(value[0], placed)]
            if value[0] in self.instance.counted and len(placed) == self.instance.bounds.length:
                least = max(least, bound.due)
            found.append(max(0, least - sum(self.kinds[kind][column] for kind in placed)))
        return tuple(found)

    def _prefix(self, attribute: str, placed: Sequence[int]) -> int:
        """How long the sequence is in the eyes of one attribute's bounds."""
        first = len(self.caps) + len(self.floors)
        for column, (name, _) in enumerate(self.counted, first):
            if name == attribute:
                return sum(bool(self.kinds[kind][column]) for kind in placed)
        return len(placed)

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
        settled = self.instance.fixed.get(slot, self.instance.kept(slot))
        if settled is not None:
            kinds = [self.kind_of[settled]]
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
    solo = replace(instance, guarded=guarded, bounds=bounds)
    return min(units[0] for units in Completions(solo)._suffix([]))
