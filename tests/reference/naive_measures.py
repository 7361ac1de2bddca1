"""Slow, obvious twins of the measures: lists of sets, loops and `math`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

Sets = Sequence[frozenset[str]]  # the values of each item of a list; an empty set is unknown


def gains(scores: Sequence[float], zero: float | None, *, always: bool) -> list[float] | None:
    """Relevance above the zero; None where it has none (`always`: the least score stands in)."""
    if zero is None:
        zero = 0.0
        if min(scores, default=0.0) < 0:
            if not always:
                return None
            zero = min(scores)
    return [max(0.0, score - zero) for score in scores]


def retained(scores: Sequence[float], slate: Sequence[int], order: Sequence[int], zero: float | None) -> float | None:
    gain = gains(scores, zero, always=False)
    if gain is None:
        return None
    best = sum(gain[i] for i in order[: len(slate)])
    return sum(gain[i] for i in slate) / best if best > 0 else None


def ndcg(scores: Sequence[float], slate: Sequence[int], order: Sequence[int], zero: float | None) -> float | None:
    gain = gains(scores, zero, always=True)
    assert gain is not None

    def dcg(listed: Sequence[int]) -> float:
        return sum(gain[item] / math.log2(slot + 1) for slot, item in enumerate(listed, 1))

    ideal = dcg(order[: len(slate)])
    return dcg(slate) / ideal if ideal > 0 else None


def distances(rows: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    present = [row for row in rows if any(row)]
    found = []
    for one, other in combinations(present, 2):
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        found.append(1 - dot / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other)))
    return (sum(found) / len(found), min(found)) if found else (None, None)


def share(items: Sets, value: str) -> float:
    labelled = [item for item in items if item]
    return sum(value in item for item in labelled) / len(labelled) if labelled else 0.0


def skews(items: Sets, reference: Mapping[str, float]) -> tuple[float, float] | None:
    labelled = [item for item in items if item]
    found = []
    for value, wanted in reference.items():
        count, expected = sum(value in item for item in labelled), wanted * len(labelled)
        if count and expected:
            found.append(math.log(share(items, value) / wanted))
        elif count or expected:
            found.append(math.log((count + 1) / (expected + 1)))
    return (min(found), max(found)) if found else None


def ndkl(items: Sets, reference: Mapping[str, float]) -> float | None:
    target = {value: wanted for value, wanted in reference.items() if wanted > 0}
    rest = 1 - sum(target.values())
    scale = sum(target.values()) + (rest if rest > 1e-6 else 0)
    total = weights = 0.0
    for prefix in range(1, len(items) + 1):
        labelled = [item for item in items[:prefix] if item]
        pairs = [(sum(value in item for item in labelled), wanted / scale) for value, wanted in target.items()]
        if rest > 1e-6:
            pairs.append((sum(not item & set(target) for item in labelled), rest / scale))
        mass = sum(count for count, _ in pairs)
        if mass == 0:
            continue
        divergence = sum(count / mass * math.log(count / mass / wanted) for count, wanted in pairs if count)
        total += divergence / math.log2(prefix + 1)
        weights += 1 / math.log2(prefix + 1)
    return total / weights if weights else None


def div(items: Sets, values: Sequence[str]) -> float | None:
    return float(all(any(value in item for item in items) for value in values)) if values else None


def ceiling(
    items: Sets, values: Sequence[str], slots: int, guarded: Sequence[bool], order: Sequence[int]
) -> float | None:
    """By trying every slate: who fails the guard may stand in a slot only if its upstream rank is no larger."""
    if not values:
        return None
    best = 0.0
    for slate in permutations(range(len(items)), min(slots, len(items))):
        if all(guarded[item] or order.index(item) + 1 <= slot for slot, item in enumerate(slate, 1)):
            best = max(best, div([items[i] for i in slate], values) or 0.0)
    return best
