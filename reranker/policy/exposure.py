"""The `[[exposure]]` blocks of a policy: what is steered across requests, to what, and what one request does alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from reranker.policy import defaults
from reranker.policy.blocks import Block, PrefixBound, Target, share_floor
from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """One steered attribute.

    `shares` are the target, by value; None: they come with the request or from its candidates, as `alone.target` says.
    `per` are the context's keys that split the ledger, `half_life` seconds. `alone` is the target as a quota, floors at
    every prefix and no caps: what a request keeps to where nothing is known of earlier ones.
    """

    attribute: str
    shares: tuple[tuple[str, float], ...] | None
    per: tuple[str, ...]
    half_life: float
    half_life_text: str
    band: float
    min_count: int
    alone: Block


def compile_exposure(message: pb.Policy, slots: int) -> tuple[Exposure, ...]:
    """The blocks for slates of `slots` items, in the policy's order."""
    return tuple(_exposure(block, slots) for block in message.exposure)


def seconds_of(half_life: str) -> float:
    """Seconds of a checked text such as "30m"."""
    return float(int(half_life[:-1]) * _SECONDS[half_life[-1]])


def target_shares(block: pb.Exposure) -> dict[str, Fraction]:
    """The shares that the block itself names; of a checked policy."""
    return {entry.value: fraction_of(entry.share) or Fraction(0) for entry in block.target}


def _exposure(block: pb.Exposure, slots: int) -> Exposure:
    half_life = defaults.get(block, "half_life")
    shares = target_shares(block)
    alone = Block(
        attribute=block.attribute,
        prefix_bounds=tuple(_floors(block.attribute, shares, slots)),
        each=None,
        window=None,
        target=None,
        min_coverage=0.0,
        weight=1.0,
        soft=False,
        slots=slots,
    )
    if block.target_source:
        is_pool = block.target_source == pb.TARGET_SOURCE_POOL
        alone = replace(alone, target=Target(is_pool, Fraction(0), slots, 0, capped=False))
    return Exposure(
        attribute=block.attribute,
        shares=tuple((value, float(share)) for value, share in shares.items()) or None,
        per=tuple(block.per),
        half_life=seconds_of(half_life),
        half_life_text=half_life,
        band=defaults.get(block, "band"),
        min_count=defaults.get(block, "min_count"),
        alone=alone,
    )


def _floors(attribute: str, shares: dict[str, Fraction], slots: int) -> Iterator[PrefixBound]:
    for value, share in shares.items():
        yield PrefixBound(attribute, value, share_floor(share, slots, slots), None, 1.0, share=share)
