"""Which attribute a policy's aspects are the values of, and what it says is wanted of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from reranker.policy.vocabulary import fraction_of
from reranker.v1 import policy_pb2 as pb

BY_ASPECT = ("xquad", "pm2", "dum", "calibrated", "round_robin")
"""The strategies that look at the values of one attribute."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The attribute and its target shares: those written here, else the request's, else (`pool`) the candidates'."""

    attribute: str
    pool: bool
    shares: Mapping[str, Fraction]


def compile_calibration(message: pb.Policy) -> Calibration | None:
    """The `[calibration]` block, if there is one."""
    if not message.HasField("calibration"):
        return None
    block = message.calibration
    shares = {entry.value: fraction_of(entry.share) or Fraction(0) for entry in block.target}
    return Calibration(block.attribute, block.target_source == pb.TARGET_SOURCE_POOL, shares)


def aspect_attributes(message: pb.Policy) -> tuple[str, ...]:
    """Where aspects come from without a `[calibration]` block: attributes of the mix of signals, then of the quotas."""
    names = [signal.attribute for signal in message.similarity_signals if signal.HasField("attribute")]
    for quota in message.quotas:
        names += [quota.attribute] if quota.attribute else [condition.attribute for condition in quota.where]
    return tuple(dict.fromkeys(name for name in names if name))
