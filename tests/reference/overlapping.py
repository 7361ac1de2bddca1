"""Random requests in which attributes overlap: every word on bounds, tight and loose; some met by design."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from tests.reference import instances
from tests.reference.judge import Case

Tree = dict[str, Any]
VALUES = {"tone": ["a", "b", "c", "d"], "body": ["x", "y", "z"], "genre": ["p", "q"], "creator": list("klmnopqrstuvw")}


def tiny(rng: np.random.Generator) -> Case:
    """Up to 9 candidates and 5 slots: small enough for an exhaustive search over all completions."""
    count = int(rng.integers(2, 10))
    return _wild(rng, count, count if rng.random() < 0.1 else int(rng.integers(1, 6)))


def small(rng: np.random.Generator) -> Case:
    """Up to 60 candidates and 12 slots."""
    return _wild(rng, int(rng.integers(12, 61)), int(rng.integers(4, 13)))


def _wild(rng: np.random.Generator, count: int, slate_size: int) -> Case:
    """Bounds drawn without a look at whether they can hold."""
    scores = instances.scores(rng, count)
    columns: dict[str, list[Any]] = {
        "tone": instances.column(rng, count, VALUES["tone"][:3]),
        "body": instances.column(rng, count, VALUES["body"][:2]),
        "genre": instances.lists(rng, count, VALUES["genre"]),
    }
    quotas: list[Tree] = []
    for attribute in rng.permutation(list(columns))[: rng.integers(1, 4)]:
        values = sorted(VALUES[attribute][: 3 if attribute == "tone" else 2])
        if rng.random() < 0.7:
            quotas += instances.lower_quotas(rng, str(attribute), values, slate_size)[:2]
        if rng.random() < 0.5:
            quotas += instances.upper_quotas(rng, str(attribute), values, slate_size)[:1]
    if rng.random() < 0.3:
        where = {"tone": [str(rng.choice(["a", "b"]))], "body": [str(rng.choice(["x", "y"]))]}
        key = str(rng.choice(["min_share", "max_share", "min_count", "max_count"]))
        quotas.append({"where": where, key: 0.25 if key.endswith("share") else 1})
    if rng.random() < 0.2:
        quotas.append({"attribute": "tone", "target": str(rng.choice(["pool", "request"])), "tolerance": 0.2})
    for quota in quotas:
        if "attribute" in quota and rng.random() < 0.1:
            quota["min_coverage"] = 0.8
    policy: Tree = {"objective": instances.objective(rng, (0.5,)), "quotas": quotas}
    policy |= instances.rails(rng, scores)
    if rng.random() < 0.3:
        policy["labels"] = {"tone": {"unknown": str(rng.choice(["exclude", "group"]))}}
    fixed = _fixed(rng, count, min(slate_size, count)) if rng.random() < 0.25 else {}
    targets = {"tone": {"a": 0.5, "b": 0.25}} if rng.random() < 0.5 else {}
    rows = instances.rows(rng, count, 4)
    return Case(scores, rows, columns, policy, slate_size, fixed, targets)


def _fixed(rng: np.random.Generator, count: int, slots: int) -> dict[int, int]:
    many = int(rng.integers(1, min(3, slots) + 1))
    at = rng.choice(slots, size=many, replace=False) + 1
    return dict(zip(at.tolist(), rng.choice(count, size=many, replace=False).tolist(), strict=True))


def planted(rng: np.random.Generator, count: int, slots: int, *, tight: float = 0.7) -> Case:
    """Bounds that one random slate just meets: feasible, and the tighter the more of them bind.

    Three attributes with one value an item, a creator with a window, sometimes several values an item, a guard, kept
    and fixed items.
    """
    scores = np.sort(rng.random(count))[::-1].copy()
    names = {"tone": 4, "body": 3, "genre": 2}
    columns: dict[str, list[Any]] = {
        name: instances.column(rng, count, VALUES[name][:size], unknown=0.1) for name, size in names.items()
    }
    if rng.random() < 0.3:
        columns["genre"] = instances.lists(rng, count, VALUES["genre"])
    columns["creator"] = [str(value) for value in rng.choice(VALUES["creator"], size=count)]
    policy: Tree = {"objective": {"strategy": "relevance"}}
    passes = np.ones(count, bool)
    if rng.random() < 0.4:
        least = float(scores[int(count * rng.uniform(0.4, 0.9))])
        policy["guard"] = {"min_score": least}
        passes = scores >= least
    keep_top = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
    if keep_top:
        policy["placement"] = {"keep_top": keep_top}
    slate = _slate(rng, passes, slots, keep_top)
    fixed: dict[int, int] = {}
    if rng.random() < 0.2:
        slot = int(rng.integers(keep_top + 1, slots + 1)) if keep_top < slots else 0
        fixed = {slot: slate[slot - 1]} if slot else {}
    quotas: list[Tree] = []
    for name in ("tone", "body", "genre"):
        quotas += _met_by(rng, name, columns[name], slate, fixed, tight)
    window = int(rng.choice([3, 5, 10]))
    quotas.append({"attribute": "creator", "max_per_value": _most(columns["creator"], slate, window), "window": window})
    return Case(scores, None, columns, policy | {"quotas": quotas}, slots, fixed)


def _slate(rng: np.random.Generator, passes: np.ndarray[Any, Any], slots: int, keep_top: int) -> list[int]:
    slate = list(range(keep_top))
    for slot in range(keep_top, slots):
        standing = [i for i in range(len(passes)) if i not in slate and (passes[i] or i <= slot)]
        slate.append(int(rng.choice(standing)))
    return slate


def _met_by(
    rng: np.random.Generator, name: str, column: list[Any], slate: list[int], fixed: dict[int, int], tight: float
) -> list[Tree]:
    """Shares and counts that the slate just meets."""
    slots = len(slate)
    quotas: list[Tree] = []
    for value in VALUES[name]:
        carried = [value in (column[item] or ()) for item in slate]
        counts = np.cumsum(carried)
        earned = np.cumsum([has and slot not in fixed for slot, has in enumerate(carried, 1)])
        draw = rng.random()
        if draw < tight * 0.5:  # the largest share whose floor is never above the count
            share = min(Fraction(int(earned[t]) + 1, t + 1) for t in range(slots)) - Fraction(1, 10**5)
            quotas.append({"attribute": name, "min_share": {value: float(min(max(share, Fraction(0)), Fraction(1)))}})
        elif draw < tight:
            within = int(rng.integers(1, slots + 1))
            quotas.append({"attribute": name, "min_count": {value: int(earned[within - 1])}, "within": within})
        if rng.random() < tight * 0.4:  # the smallest share whose ceiling is never below the count
            share = max(Fraction(int(counts[t]) - 1, t + 1) for t in range(slots)) + Fraction(1, 10**5)
            quotas.append({"attribute": name, "max_share": {value: float(min(max(share, Fraction(0)), Fraction(1)))}})
    return quotas


def _most(column: list[Any], slate: list[int], window: int) -> int:
    """The most often that a value stands in so many consecutive slots."""
    return (
        max(
            sum(column[item] == value for item in slate[start : start + window])
            for value in set(column)
            for start in range(len(slate))
        )
        or 1
    )
