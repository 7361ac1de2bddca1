"""The one table of defaults: what a word that a policy leaves out means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from reranker.policy.vocabulary import enum_words, places
from reranker.v1 import policy_pb2

# By dotted key, enums in words. A key that is not here has no default: absent means that nothing is asked.
DEFAULTS: Mapping[str, bool | int | float | str] = {
    "objective.strategy": "dpp",
    "objective.diversity": 0.5,
    "objective.window": 0,
    "objective.candidate_window": 0,
    "objective.score_normalisation": "auto",
    "objective.similarity": "auto",
    "objective.score_zero": 0.0,
    "objective.sample": False,
    "similarity_signals.kind": "cosine",
    "similarity_signals.weight": 1.0,
    "placement.keep_top": 0,
    "placement.max_fall": 0,
    "quotas.tolerance": 0.0,
    "quotas.min_coverage": 0.0,
    "quotas.within": 0,
    "quotas.at_least_one_of_each": False,
    "quotas.window": 0,
    "quotas.fair_star.rule": "conservative",
    "quotas.fair_star.pool": "infinite",
    "quotas.weight": 1.0,
    "quotas.soft": False,
    "spacings.decay": "reciprocal",
    "decays.floor": 0.0,
    "labels.count": "hard",
    "labels.threshold": 0.5,
    "labels.confidence": 0.9,
    "labels.unknown": "neutral",
    "labels.sensitive": False,
    "on_infeasible.mode": "relax",
    "refinement.mode": "filter",
    "signals.unknown_id": "neutral",
    "signals.missing_embedding": "neutral",
    "exposure.half_life": "24h",
    "exposure.band": 0.1,
    "exposure.min_count": 100,
}


def get(message: Message, name: str) -> Any:
    """The value of a scalar field of a policy block, or its default; None when it is not set and has none.

    Enums are numbers, as in the message: `get(policy.objective, "strategy") == policy_pb2.STRATEGY_DPP`.
    """
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if message.HasField(name) and (value or field.enum_type is None):  # an enum set to "unspecified" is not set
        return value
    return _default(field)


def get_label(policy: policy_pb2.Policy, attribute: str, name: str) -> Any:
    """How one attribute's labels count: its own `[labels.<attribute>]`, else `[labels]`, else the default."""
    for block in (*(own for own in policy.labels.attributes if own.attribute == attribute), policy.labels):
        field = block.DESCRIPTOR.fields_by_name.get(name)  # `sensitive` exists by attribute only
        if field is not None and block.HasField(name) and (getattr(block, name) or field.enum_type is None):
            return getattr(block, name)
    return _default(policy_pb2.AttributeLabels.DESCRIPTOR.fields_by_name[name])


@cache
def _default(field: FieldDescriptor) -> Any:
    assert field.containing_type is not None
    place = places()[field.containing_type.name]
    value = DEFAULTS.get(f"{place}.{field.name}" if place else field.name)
    return enum_words(field.enum_type)[str(value)] if field.enum_type is not None and value is not None else value
