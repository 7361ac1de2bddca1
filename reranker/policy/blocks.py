"""The `[[quotas]]` blocks of a policy as plain arrays and numbers for one slate length.

Shares are exact rationals here and integers from here on: a floor of 0.29 x 100 is 29, not 28.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reranker.kept import Kept
from reranker.policy import defaults
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

NO_CAP = np.iinfo(np.int32).max // 4  # an upper bound that nothing reaches; sums of a few of them do not overflow

Condition = tuple[str, frozenset[str]]


@dataclass(frozen=True, slots=True, eq=False)
class PrefixBound:
    """Least and most of one value in the first t slots: int32 arrays over t = 0..slots; None means no such bound.

    `due` is a count that has to be reached by the end of the slate even if prefixes count labelled items only. `share`
    or `count` and `within` (0: the whole slate) are the words themselves, for slates of another length.
    """

    attribute: str
    value: str
    lower: NDArray[np.int32] | None
    upper: NDArray[np.int32] | None
    weight: float
    due: int = 0
    share: Fraction | None = None
    count: int = 0
    within: int = 0

    def needs(self, slots: int) -> int:
        """How many items of the value (of other values, for an upper bound) a slate of so many slots has to hold."""
        last = min(self.within, slots) if self.within else slots
        if self.lower is not None:
            return self.count if self.share is None else last * self.share.numerator // self.share.denominator
        if self.share is None:
            return last - self.count
        return last + (-last * self.share.numerator // self.share.denominator)


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
    """Shares that wait for the request: from its context, or from its candidates (`pool`).

    They bind in the first `within` slots, which the policy writes as `written` (0: the whole slate); not `capped`: from
    below alone.
    """

    pool: bool
    tolerance: Fraction
    within: int
    written: int
    capped: bool = True


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
        bounds = _around(self.attribute, shares, self.target, self.slots, self.weight)
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
        target = _target(quota, slots)
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


def _target(quota: pb.Quota, slots: int) -> Target:
    is_pool = quota.target_source == pb.TARGET_SOURCE_POOL
    tolerance = exact(defaults.get(quota, "tolerance"))
    return Target(is_pool, tolerance, _within(quota, slots), defaults.get(quota, "within"))


def _exact(share: pb.Share) -> Fraction:
    fraction = fraction_of(share)
    assert fraction is not None, "a Policy's shares have been checked"
    return fraction


def _within(quota: pb.Quota, slots: int) -> int:
    within: int = defaults.get(quota, "within")
    return min(within, slots) if within else slots


def _prefix_bounds(quota: pb.Quota, attribute: str, slots: int) -> Iterator[PrefixBound]:
    within, weight, written = _within(quota, slots), defaults.get(quota, "weight"), defaults.get(quota, "within")
    for entry in quota.min_share:
        share = _exact(entry.share)
        least = share_floor(share, within, slots)
        yield PrefixBound(attribute, entry.value, least, None, weight, share=share, within=written)
    for entry in quota.max_share:
        share = _exact(entry.share)
        most = share_ceiling(share, within, slots)
        yield PrefixBound(attribute, entry.value, None, most, weight, share=share, within=written)
    for counted in quota.min_count:
        lower = np.zeros(slots + 1, np.int32)
        lower[within:] = counted.count
        yield PrefixBound(
            attribute, counted.value, lower, None, weight, counted.count, count=counted.count, within=written
        )
    for counted in quota.max_count:
        upper = np.full(slots + 1, NO_CAP, np.int32)
        upper[: within + 1] = counted.count
        yield PrefixBound(attribute, counted.value, None, upper, weight, count=counted.count, within=written)
    shares = {entry.value: _exact(entry.share) for entry in quota.target}
    yield from _around(attribute, shares, _target(quota, slots), slots, weight)


def _around(
    attribute: str, shares: Mapping[str, Fraction], target: Target, slots: int, weight: float
) -> Iterator[PrefixBound]:
    """Bounds that keep every value's share within the tolerance of its target."""
    within, written = target.within, target.written
    for value, share in shares.items():
        least, most = max(Fraction(0), share - target.tolerance), min(Fraction(1), share + target.tolerance)
        lower = share_floor(least, within, slots)
        yield PrefixBound(attribute, value, lower, None, weight, share=least, within=written)
        if target.capped:
            upper = share_ceiling(most, within, slots)
            yield PrefixBound(attribute, value, None, upper, weight, share=most, within=written)


def share_floor(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """floor(t x share) for prefixes t up to `within`; the last one stays from there on (rule 4). Read only."""

    def make() -> NDArray[np.int32]:
        prefixes = np.minimum(np.arange(slots + 1), within)
        return _shared(prefixes * share.numerator // share.denominator)

    return _FLOORS.get((share, within, slots), make, _bytes_of)


def share_ceiling(share: Fraction, within: int, slots: int) -> NDArray[np.int32]:
    """ceil(t x share) for prefixes t up to `within`; the cap ends there (rule 4). Read only."""

    def make() -> NDArray[np.int32]:
        prefixes = np.arange(slots + 1)
        counts = -(-prefixes * share.numerator // share.denominator)
        return _shared(np.where(prefixes <= within, counts, NO_CAP))

    return _CEILINGS.get((share, within, slots), make, _bytes_of)


def _bytes_of(table: NDArray[np.int32]) -> int:
    return _ENTRY_BYTES + table.nbytes


_ENTRY_BYTES = 600  # of a table's key, its array and what keeps them
_FLOORS: Kept[tuple[Fraction, int, int], NDArray[np.int32]] = Kept(2 * 2**20)
_CEILINGS: Kept[tuple[Fraction, int, int], NDArray[np.int32]] = Kept(2 * 2**20)


def _shared(table: NDArray[np.int64]) -> NDArray[np.int32]:
    counts = table.astype(np.int32)
    counts.flags.writeable = False
    return counts
