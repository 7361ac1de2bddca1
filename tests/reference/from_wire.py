"""An answer read back from the wire into the engine's own types: where that equals what went in, nothing was lost."""

from __future__ import annotations

from typing import Any

from reranker.slate import (
    BoundKind,
    Explanation,
    OutcomeReason,
    OutcomeStatus,
    QuotaInfluence,
    QuotaOutcome,
    QuotaTier,
    RelevanceFloor,
    SlateStatus,
)
from reranker.v1 import slate_pb2
from reranker.v1.reranker_service_pb2 import RerankResponse


def word(enum: Any, number: int) -> str:
    """The word of an enum's member: what follows the enum's name in the member's."""
    name: str = enum.Name(number)
    return name.removeprefix(enum.Name(0).removesuffix("UNSPECIFIED"))


def status(answer: RerankResponse) -> SlateStatus:
    return SlateStatus(word(slate_pb2.SlateStatus, answer.status))


def tier(answer: RerankResponse) -> QuotaTier:
    return QuotaTier(word(slate_pb2.QuotaTier, answer.tier))


def floor(answer: RerankResponse) -> RelevanceFloor | None:
    if not answer.HasField("relevance_floor"):
        return None
    said = answer.relevance_floor
    best_retained = said.best_retained if said.HasField("best_retained") else None
    return RelevanceFloor(said.required, said.diversity, best_retained)


def outcome(message: slate_pb2.QuotaOutcome) -> QuotaOutcome:
    return QuotaOutcome(
        attribute=message.attribute,
        value=message.value,
        bound=BoundKind(word(slate_pb2.BoundKind, message.bound)),
        required=message.required,
        achieved=message.achieved,
        share=message.share,
        first_failing_prefix=message.first_failing_prefix,
        status=OutcomeStatus(word(slate_pb2.OutcomeStatus, message.status)),
        reason=OutcomeReason(word(slate_pb2.OutcomeReason, message.reason)) if message.reason else None,
        over_fetch=message.over_fetch,
        crowded_slots=(message.crowded_slots.first, message.crowded_slots.last),
        soft=message.soft,
    )


def explanation(message: slate_pb2.Explanation) -> Explanation:
    return Explanation(
        slot=message.slot,
        gain=message.gain,
        relevance_part=message.relevance_part,
        diversity_part=message.diversity_part,
        upstream_rank=message.upstream_rank,
        displacement=message.displacement,
        nearest_slot=message.nearest_slot,
        nearest_similarity=message.nearest_similarity if message.HasField("nearest_similarity") else None,
        pinned=message.pinned,
        rank_exhausted=message.rank_exhausted,
        forced_by=tuple(
            QuotaInfluence(
                touch.attribute, touch.value, BoundKind(word(slate_pb2.BoundKind, touch.bound)), touch.blocked
            )
            for touch in message.forced_by
        ),
        instead_of_rank=message.instead_of_rank,
        text=message.text,
        soft_part=message.soft_part,
    )
