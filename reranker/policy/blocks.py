"""The `[[quotas]]` blocks of a policy as plain arrays and numbers for one slate length.

Shares are exact rationals here and integers from here on: a floor of 0.29 x 100 is 29, not 28.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reranker.policy import defaults
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

NO_CAP = np.iinfo(np.int32).max // 4  # an upper bound that nothing reaches; sums of a few of them do not overflow

Condition = tuple[str, frozenset[str]]


@dataclass(frozen=True, slots=True, eq=False)
class PrefixBound:
    """Least and most of one value in the first t slots: int32 arrays over t = 0..slots; None means no such bound.

    `due` is a count that has to be reached by the end of the slate even if prefixes count labelled items only.
    """

    attribute: str
    value: str
    lower: NDArray[np.int32] | None
    upper: NDArray[np.int32] | None
    weight: float
    due: int = 0


@dataclass(frozen=True, slots=True)
class EachBound:
    """Each of `values` at least once in the first `within` slots; None: each that a guard-passing candidate carries."""

    attribute: str
    values: tuple[str, ...] | None
    within: int
    weight: float


@dataclass(frozen=True, slots=True)
class WindowBound:
    """No value more than `limit` times in any `window` consecutive slots; 0 is the whole slate."""

    attribute: str
    limit: int
    window: int
    weight: float


@dataclass(frozen=True, slots=True)
class SimilarityBound:
    """No two items closer than `window` slots with a cosine above `limit`; 0 is the whole slate."""

    limit: float
    window: int
    weight: float
    soft: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Shares that wait for the request: from its context, or from its candidates (`pool`)."""

    pool: bool
    tolerance: Fraction
    within: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One block of bounds. `attribute` is the attribute, or the conditions of an intersection in words."""

    attribute: str
    prefix_bounds: tuple[PrefixBound, ...]
    each: EachBound | None
    window: WindowBound | None
    target: Target | None
    min_coverage: float
    weight: float
    soft: bool
    slots: int

    @property
    def settled(self) -> bool:
        """True when the block is the same for every request."""
        return self.target is None and not self.min_coverage

    def with_target(self, shares: Mapping[str, Fraction]) -> Block:
        """The block with bounds around these shares in place of its target."""
        assert self.target is not None
        bounds = _around(self.attribute, shares, self.target.tolerance, self.target.within, self.slots, self.weight)
        return replace(self, prefix_bounds=(*self.prefix_bounds, *bounds), target=None)


def compile_blocks(message: pb.Policy, slots: int) -> tuple[Block, ...]:
    """All blocks but those of `max_similarity`, in the policy's order."""
    return tuple(_block(quota, slots) for quota in message.quotas if not quota.HasField("max_similarity"))


def compile_similarity(message: pb.Policy) -> tuple[SimilarityBound, ...]:
    """The blocks of `max_similarity`."""
    return tuple(
        SimilarityBound(
            quota.max_similarity,
            defaults.get(quota, "window"),
            defaults.get(quota, "weight"),
            defaults.get(quota, "soft"),
        )
        for quota in message.quotas
        if quota.HasField("max_similarity")
    )


def intersections(message: pb.Policy) -> dict[str, tuple[Condition, ...]]:
    """The conditions of every intersection that a block bounds, by their words."""
    return {
        in_words(quota.where): tuple((where.attribute, frozenset(where.values)) for where in quota.where)
        for quota in message.quotas
        if quota.where
    }


def in_words(where: Iterable[pb.Condition]) -> str:
    """Conditions as the report names them: "skin_tone 5-6 and body_type plus or curve"."""
    return " and ".join(f"{condition.attribute} {' or '.join(condition.values)}" for condition in where)


def exact(number: float) -> Fraction:
    """A share as the nearest fraction with a denominator up to 10^6 (rule 4)."""
    return Fraction(number).limit_denominator(10**6)


def _block(quota: pb.Quota, slots: int) -> Block:
    attribute = in_words(quota.where) if quota.where else quota.attribute
    weight = defaults.get(quota, "weight")
    each = window = target = None
    if defaults.get(quota, "at_least_one_of_each"):
        values = tuple(dict.fromkeys(quota.values)) or None
        each = EachBound(attribute, values, _within(quota, slots), weight)
    if quota.HasField("max_per_value"):
        window = WindowBound(attribute, quota.max_per_value, defaults.get(quota, "window"), weight)
    if quota.target_source:
        tolerance = exact(defaults.get(quota, "tolerance"))
        target = Target(quota.target_source == pb.TARGET_SOURCE_POOL, tolerance, _within(quota, slots))
    return Block(
        attribute=attribute,
        prefix_bounds=tuple(_prefix_bounds(quota, attribute, slots)),
        each=each,
        window=window,
        target=target,
        min_coverage=defaults.get(quota, "min_coverage"),
        weight=weight,
        soft=defaults.get(quota, "soft"),
        slots=slots,
    )


def _exact(share: pb.Share) -> Fraction:
    fraction = fraction_of(share)
    assert fraction is not None, "a Policy's shares have been checked"
    return fraction


def _within(quota: pb.Quota, slots: int) -> int:
    within: int = defaults.get(quota, "within")
    return min(within, slots) if within else slots


def _prefix_bounds(quota: pb.Quota, attribute: str, slots: int) -> Iterator[PrefixBound]:
    within, weight = _within(quota, slots), defaults.get(quota, "weight")
    for entry in quota.min_share:
        yield PrefixBound(attribute, entry.value, share_floor(_exact(entry.share), within, slots), None, weight)
    for entry in quota.max_share:
        yield PrefixBound(attribute, entry.value, None, share_ceiling(_exact(entry.share), within, slots), weight)
    for count in quota.min_count:
        lower = np.zeros(slots + 1, np.int32)
        lower[within:] = count.count
        yield PrefixBound(attribute, count.value, lower, None, weight, count.count)
    for count in quota.max_count:
        upper = np.full(slots + 1, NO_CAP, np.int32)
        upper[: within + 1] = count.count
        yield PrefixBound(attribute, count.value, None, upper, weight)
    shares = {entry.value: _exact(entry.share) for entry in quota.target}
    yield from _around(attribute, shares, exact(defaults.get(quota, "tolerance")), within, slots, weight)


def _around(
    attribute: str, shares: Mapping[str, Fraction], tolerance: Fraction, within: int, slots: int, weight: float
) -> Iterator[PrefixBound]:
    """Bounds that keep every value's share within `tolerance` of its target."""
    for value, share in shares.items():
        least, most = max(Fraction(0), share - tolerance), min(Fraction(1), share + tolerance)
        lower, upper = share_floor(least, within, slots), share_ceiling(most, within, slots)
        yield PrefixBound(attribute, value, lower, upper, weight)


@lru_cache(4096)
def share_floor(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """floor(t x share) for prefixes t up to `within`; the last one stays from there on (rule 4). Read only."""
    prefixes = np.minimum(np.arange(slots + 1), within)
    return _shared(prefixes * share.numerator // share.denominator)


@lru_cache(4096)
def share_ceiling(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """ceil(t x share) for prefixes t up to `within`; the cap ends there (rule 4). Read only."""
    prefixes = np.arange(slots + 1)
    counts = -(-prefixes * share.numerator // share.denominator)
    return _shared(np.where(prefixes <= within, counts, NO_CAP))


def _shared(table: NDArray[np.int64]) -> NDArray[np.int32]:
    counts = table.astype(np.int32)
    counts.flags.writeable = False
    return counts
