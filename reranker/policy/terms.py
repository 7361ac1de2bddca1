"""`[[similarity_signals]]`, `[[spacings]]` and `[[decays]]` as plain numbers for one slate length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.policy import defaults
from reranker.policy.vocabulary import enum_word
from reranker.v1 import policy_pb2 as pb

REMEMBERED = 100  # items shown before the slate that can still be counted or repel


@dataclass(frozen=True, slots=True)
class Signal:
    """One part of the similarity. `kind` is "cosine" (`name` is an embedding), else `name` is an attribute.

    `weight` is its share: those of one policy add up to 1.
    """

    name: str
    kind: str
    weight: float

    @property
    def is_embedding(self) -> bool:
        """Whether it compares an embedding."""
        return self.kind == "cosine"


@dataclass(frozen=True, slots=True, eq=False)
class Spacing:
    """`price[d]` is what an item pays for each value that it shares with the item d slots above it; price[0] is 0."""

    attribute: str
    price: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Decay:
    """`multiplier[n]` is what relevance counts behind n items of the same value: float64, n = 0..slots + REMEMBERED."""

    attribute: str
    multiplier: NDArray[np.float64]


def compile_signals(message: pb.Policy) -> tuple[Signal, ...]:
    """The parts of the similarity, in the policy's order; none: the first embedding."""
    weights = [defaults.get(signal, "weight") for signal in message.similarity_signals]
    return tuple(
        Signal(signal.signal or signal.attribute, _word(signal, "kind"), weight / sum(weights))
        for signal, weight in zip(message.similarity_signals, weights, strict=True)
    )


def compile_spacings(message: pb.Policy, slots: int) -> tuple[Spacing, ...]:
    """What nearness costs, by block; every shape asks for the whole penalty at distance 1."""
    return tuple(_spacing(spacing, slots) for spacing in message.spacings)


def compile_decays(message: pb.Policy, slots: int) -> tuple[Decay, ...]:
    """What further items of a value count, by block."""
    return tuple(_decay(decay, slots) for decay in message.decays)


def _spacing(spacing: pb.Spacing, slots: int) -> Spacing:
    distance = np.arange(1.0, min(spacing.window, slots + REMEMBERED) + 1.0)
    shape = {
        "reciprocal": 1.0 / distance,
        "exponential": np.exp((1.0 - distance) / spacing.window),
        "step": np.ones(len(distance)),
    }[_word(spacing, "decay")]
    return Spacing(spacing.attribute, np.concatenate([[0.0], spacing.penalty * shape]))


def _decay(decay: pb.Decay, slots: int) -> Decay:
    floor = defaults.get(decay, "floor")
    earlier = np.arange(slots + REMEMBERED + 1)
    return Decay(decay.attribute, floor + (1.0 - floor) * np.power(float(decay.factor), earlier))


def _word(block: pb.SimilaritySignal | pb.Spacing, name: str) -> str:
    field = block.DESCRIPTOR.fields_by_name[name]
    assert field.enum_type is not None
    return enum_word(field.enum_type, defaults.get(block, name)) or ""
