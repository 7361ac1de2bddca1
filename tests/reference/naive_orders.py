"""Slow, obvious twins of the measures that compare two orders: sets of prefixes, pairs one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def overlap(one: Sequence[int], other: Sequence[int], persistence: float, depth: int = 3000) -> float | None:
    """The sum of the definition to a depth where the weights have gone; agreement past the ends stays as it was."""
    short, long = sorted((one, other), key=len)
    if not short:
        return None

    def common(at: int) -> int:
        return len(set(short[:at]) & set(long[:at]))

    total = 0.0
    for at in range(1, depth + 1):
        if at <= len(short):
            agreement = common(at) / at
        elif at <= len(long):
            unseen = (at - len(short)) * common(len(short)) / len(short)
            agreement = (common(at) + unseen) / at
        total += (1 - persistence) * persistence ** (at - 1) * agreement
    return total


def tau(one: Sequence[int], other: Sequence[int]) -> float | None:
    def before(order: Sequence[int], a: int, b: int) -> int:
        """1 when a stands before b, -1 when after, 0 when the list does not say."""
        if a not in order and b not in order:
            return 0
        place_a = order.index(a) if a in order else len(order)
        place_b = order.index(b) if b in order else len(order)
        return 1 if place_a < place_b else -1

    agreeing = disagreeing = 0
    for a, b in combinations(sorted({*one, *other}), 2):
        product = before(one, a, b) * before(other, a, b)
        agreeing += product > 0
        disagreeing += product < 0
    return (agreeing - disagreeing) / (agreeing + disagreeing) if agreeing + disagreeing else None
