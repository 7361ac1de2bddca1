"""Slow, obvious twins of the measures of groups: dictionaries of shares, and every order tried for a normaliser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

Sets = Sequence[frozenset[str]]  # the values of each item of a list; an empty set is unknown
OTHERS = "all others"


def entropy(counts: Sequence[int]) -> float | None:
    total = sum(counts)
    return sum(-count / total * math.log(count / total) for count in counts if count) if total else None


def gini(counts: Sequence[int]) -> float | None:
    if len(counts) < 2 or not sum(counts):
        return None
    differences = sum(abs(one - other) for one in counts for other in counts)
    return differences / (2 * len(counts) * sum(counts))


def _classes(item: frozenset[str], reference: Mapping[str, float]) -> frozenset[str]:
    named = frozenset(value for value in item if reference.get(value, 0) > 0)
    return named or (frozenset([OTHERS]) if item else frozenset())


def _target(reference: Mapping[str, float]) -> dict[str, float]:
    total = sum(reference.values())
    rest = 1 - total if total < 1 - 1e-6 else 0.0
    scale = total + rest if rest else total
    return {OTHERS: rest / scale, **{value: share / scale for value, share in reference.items() if share > 0}}


def _held(items: Sets, reference: Mapping[str, float], weights: Sequence[float]) -> dict[str, float] | None:
    mass = dict.fromkeys(_target(reference), 0.0)
    for item, weight in zip(items, weights, strict=True):
        for value in _classes(item, reference):
            mass[value] += weight
    total = sum(mass.values())
    return {value: part / total for value, part in mass.items()} if total else None


def attention(slots: int) -> list[float]:
    return [1 / math.log2(slot + 1) for slot in range(1, slots + 1)]


def awrf(items: Sets, reference: Mapping[str, float], weights: Sequence[float]) -> float | None:
    held, target = _held(items, reference, weights), _target(reference)
    if held is None:
        return None
    divergence = 0.0
    for value in target:
        middle = (held[value] + target[value]) / 2
        for side in (held[value], target[value]):
            divergence += side * math.log(side / middle) / 2 if side else 0.0
    return 1 - divergence


def calibration(items: Sets, reference: Mapping[str, float], mixed: float) -> float | None:
    held, target = _held(items, reference, [1.0] * len(items)), _target(reference)
    if held is None:
        return None
    return sum(
        share * math.log(share / ((1 - mixed) * held[value] + mixed * share))
        for value, share in target.items()
        if share
    )


def exposure_parity(candidates: Sets, listed: Sequence[int], values: Sequence[str]) -> float | None:
    """Groups are the values, and the labelled candidates without any of them."""
    weight = dict(zip(listed, attention(len(listed)), strict=True))
    groups = [[at for at, item in enumerate(candidates) if value in item] for value in values]
    groups.append([at for at, item in enumerate(candidates) if item and not item & set(values)])
    means = [sum(weight.get(at, 0.0) for at in group) / len(group) for group in groups if group]
    return min(means) / max(means) if len(means) > 1 and max(means) > 0 else None


def in_group(candidates: Sets, gains: Sequence[float], listed: Sequence[int], value: str) -> float | None:
    inside = [gains[at] for at in listed if value in candidates[at]]
    outside = [gains[at] for at, item in enumerate(candidates) if value in item and at not in listed]
    if not inside:
        return None
    return 1.0 if min(inside) >= max(outside, default=0.0) else min(inside) / max(outside)


def difference(share: float, reference: float) -> float:
    return abs(share - reference)


def divergence(share: float, reference: float) -> float:
    pairs = [(share, reference), (1 - share, 1 - reference)]
    return sum(one * math.log(one / other) for one, other in pairs if one > 0)


def shortfall(share: float, reference: float) -> float:
    if share == 1:
        return 0.0
    return max(0.0, reference / (1 - reference) - share / (1 - share))


def discounted(flags: Sequence[bool | None], reference: float, step: int, distance: Callable[..., float]) -> float:
    """Sum over the cuts; a flag says whether an item is of the group, None: unknown."""
    total = 0.0
    for cut in sorted({*range(step, len(flags), step), len(flags)}):
        known = [flag for flag in flags[:cut] if flag is not None]
        if known:
            total += distance(sum(known) / len(known), reference) / math.log2(cut + 1)
    return total


def normalised(
    listed: Sequence[bool | None],
    candidates: Sequence[bool | None],
    reference: float,
    step: int,
    distance: Callable[..., float],
) -> float | None:
    """Over the largest of all orders of the known candidates, unknown items staying in their slots."""
    known = [flag for flag in candidates if flag is not None]
    slots = [slot for slot, flag in enumerate(listed) if flag is not None]
    most = 0.0
    for order in set(permutations(known, len(slots))):
        flags: list[bool | None] = [None] * len(listed)
        for slot, flag in zip(slots, order, strict=True):
            flags[slot] = flag
        most = max(most, discounted(flags, reference, step, distance))
    return discounted(listed, reference, step, distance) / most if most > 1e-12 else None
