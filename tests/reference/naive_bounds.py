"""What a policy's words ask of a slate, read slowly and obviously from the text of the rules alone.

Everything is exact: shares and weights are fractions. An intersection is an attribute of its own, carried by who is in
it; unknown labels that are a group are the value `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeAlias

Value: TypeAlias = tuple[str, str]  # attribute, value
Labels: TypeAlias = Mapping[str, Sequence[frozenset[str]]]  # attribute -> the values of each candidate
IN = "in it"


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
    due: int = 0  # what the end of the slate asks for, even if prefixes count labelled items only


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

    def ask(self, value: Value, weight: Fraction, table: Mapping[int, int], due: int = 0) -> None:
        """Merge a lower bound in: the larger of two counts the bound."""
        entry = self.floors.setdefault(value, Floor([0] * (self.length + 1)))
        entry.due = max(entry.due, due)
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


def read_labels(policy: Mapping[str, Any], labels: Labels) -> dict[str, Sequence[frozenset[str]]]:
    """The columns as bounds see them: unknown labels as a group where the policy says so, intersections added."""
    count = len(next(iter(labels.values()), ()))
    seen: dict[str, Sequence[frozenset[str]]] = {}
    for attribute, column in labels.items():
        group = unknown_rule(policy, attribute) == "group"
        seen[attribute] = [row or frozenset(["unknown"]) for row in column] if group else list(column)
    for quota in policy.get("quotas", ()):
        if "where" in quota:
            named = [(seen.get(name, [frozenset()] * count), set(values)) for name, values in quota["where"].items()]
            inside = [all(column[i] & values for column, values in named) for i in range(count)]
            seen[in_words(quota["where"])] = [frozenset([IN]) if each else frozenset() for each in inside]
    return seen


def in_words(where: Mapping[str, Sequence[str]]) -> str:
    """An intersection's conditions in words."""
    return " and ".join(f"{attribute} {' or '.join(values)}" for attribute, values in where.items())


def unknown_rule(policy: Mapping[str, Any], attribute: str) -> str:
    """How unknown labels of one attribute count."""
    labels = policy.get("labels", {})
    own = labels.get(attribute, {})
    rule: str = own.get("unknown", labels.get("unknown", "neutral")) if isinstance(own, Mapping) else "neutral"
    return rule


def counted_prefixes(policy: Mapping[str, Any], labels: Labels) -> dict[str, list[bool]]:
    """By attribute whose prefixes count labelled items only: who is labelled."""
    quotas = [quota for quota in policy.get("quotas", ()) if "max_similarity" not in quota]
    subjects = {in_words(quota["where"]): list(quota["where"]) for quota in quotas if "where" in quota}
    subjects |= {quota["attribute"]: [quota["attribute"]] for quota in quotas if "where" not in quota}
    count = len(next(iter(labels.values()), ()))
    return {
        subject: [all(bool(labels.get(a, [frozenset()] * count)[i]) for a in attributes) for i in range(count)]
        for subject, attributes in subjects.items()
        if any(unknown_rule(policy, attribute) == "exclude" for attribute in attributes)
    }


def read_bounds(
    policy: Mapping[str, Any],
    labels: Labels,
    guarded: Sequence[bool],
    length: int,
    targets: Mapping[str, Mapping[str, float]] | None = None,
) -> Bounds:
    """The merged bounds of all hard quotas that apply, at prefixes 1 to `length` = min(slate_size, N)."""
    bounds = Bounds(length)
    seen = read_labels(policy, labels)
    for quota in policy.get("quotas", ()):
        if quota.get("soft", False) or "max_similarity" in quota:
            continue
        if _suspended(quota, labels, guarded):
            continue
        attribute = in_words(quota["where"]) if "where" in quota else quota["attribute"]
        weight = exact(quota.get("weight", 1))
        within = min(quota.get("within", 0) or length, length)
        minimum, maximum = _shares(quota, seen, guarded, targets or {})
        for value, share in minimum.items():  # a floor stays once its prefixes are over
            table = {t: floor(min(t, within) * share) for t in range(1, length + 1)}
            bounds.ask((attribute, value), weight, table)
        for value, share in maximum.items():  # a cap ends with its prefixes
            bounds.limit((attribute, value), weight, {t: ceil(t * share) for t in range(1, within + 1)})
        for value, count in _named(quota, "min_count").items():
            bounds.ask((attribute, value), weight, dict.fromkeys(range(within, length + 1), count), count)
        for value, count in _named(quota, "max_count").items():
            bounds.limit((attribute, value), weight, dict.fromkeys(range(1, within + 1), count))
        if quota.get("at_least_one_of_each", False):
            for value in quota.get("values") or _carried(seen, attribute, guarded):
                bounds.ask((attribute, value), weight, dict.fromkeys(range(within, length + 1), 1), 1)
        if "max_per_value" in quota:
            window = quota.get("window", 0) or length
            for value in _carried(labels, attribute, None):
                bounds.limit_window((attribute, value), weight, quota["max_per_value"], window)
    return bounds


def _named(quota: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table of bounds by value; the bare number of an intersection belongs to its one value."""
    table = quota.get(key, {})
    return dict(table) if isinstance(table, Mapping) else {IN: table}


def _suspended(quota: Mapping[str, Any], labels: Labels, guarded: Sequence[bool]) -> bool:
    column = labels.get(quota.get("attribute", ""), ())
    least = quota.get("min_coverage", 0)
    return bool(least and guarded and sum(map(bool, column)) / len(guarded) < least)


def _shares(
    quota: Mapping[str, Any], labels: Labels, guarded: Sequence[bool], targets: Mapping[str, Mapping[str, float]]
) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    minimum = {value: exact(share) for value, share in _named(quota, "min_share").items()}
    maximum = {value: exact(share) for value, share in _named(quota, "max_share").items()}
    target = quota.get("target")
    if target is None or (target == "request" and not targets.get(quota["attribute"])):
        return minimum, maximum  # without a target in the request only what the target asks for is suspended
    tolerance = exact(quota.get("tolerance", 0))
    if target == "pool":
        seen = labels.get(quota["attribute"], ())
        column = [row for row, passes in zip(seen, guarded, strict=False) if passes and row]
        wanted = {value: Fraction(sum(value in row for row in column), len(column)) for row in column for value in row}
    else:
        given = targets[quota["attribute"]] if target == "request" else target
        wanted = {value: exact(share) for value, share in given.items()}
    for value, share in wanted.items():
        minimum[value] = max(Fraction(0), share - tolerance)
        maximum[value] = min(Fraction(1), share + tolerance)
    return minimum, maximum


def _carried(labels: Labels, attribute: str, guarded: Sequence[bool] | None) -> list[str]:
    column = labels.get(attribute, ())
    return sorted({value for i, row in enumerate(column) if guarded is None or guarded[i] for value in row})
