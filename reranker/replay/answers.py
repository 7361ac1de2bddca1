"""What servers answered: an answer as it came, and the slate that it holds in the engine's own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from reranker.candidates import Candidates
from reranker.errors import InvalidInput, Violation
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus, QuotaOutcome, QuotaTier, SlateStatus
from reranker.v1 import slate_pb2
from reranker.v1.reranker_service_pb2 import RerankResponse


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a `RerankResponse`, or the `error` in its place; `microseconds` count from when it was due."""

    response: bytes
    error: str
    microseconds: float


class Made(NamedTuple):
    """What a server made of a request."""

    positions: NDArray[np.int32]
    status: SlateStatus
    tier: QuotaTier
    quotas: tuple[QuotaOutcome, ...]


def made_by(response: bytes, candidates: Candidates) -> Made:
    """The slate in an answer. Raises `InvalidInput` where it is none of these candidates, or no answer at all."""
    try:
        message = RerankResponse.FromString(response)
    except DecodeError:
        raise InvalidInput([Violation("response", "is not a RerankResponse message")]) from None
    positions = np.array(list(message.positions), np.int64)
    if len(np.unique(positions)) < len(positions) or (len(positions) and positions.max() >= len(candidates)):
        reason = f"must be different and below {len(candidates)}, the number of candidates"
        raise InvalidInput([Violation("response.positions", reason)])
    try:
        status = SlateStatus(_word(slate_pb2.SlateStatus.Name, message.status, "SLATE_STATUS_"))
        tier = QuotaTier(_word(slate_pb2.QuotaTier.Name, message.tier, "QUOTA_TIER_"))
        quotas = tuple(_outcome(outcome) for outcome in message.quotas)
    except ValueError as error:
        raise InvalidInput([Violation("response", f"says what this version does not know: {error}")]) from None
    return Made(positions.astype(np.int32), status, tier, quotas)


def _outcome(outcome: slate_pb2.QuotaOutcome) -> QuotaOutcome:
    reason = (
        OutcomeReason(_word(slate_pb2.OutcomeReason.Name, outcome.reason, "OUTCOME_REASON_"))
        if outcome.reason
        else None
    )
    return QuotaOutcome(
        attribute=outcome.attribute,
        value=outcome.value,
        bound=BoundKind(_word(slate_pb2.BoundKind.Name, outcome.bound, "BOUND_KIND_")),
        required=outcome.required,
        achieved=outcome.achieved,
        share=outcome.share,
        first_failing_prefix=outcome.first_failing_prefix,
        status=OutcomeStatus(_word(slate_pb2.OutcomeStatus.Name, outcome.status, "OUTCOME_STATUS_")),
        reason=reason,
        over_fetch=outcome.over_fetch,
        crowded_slots=(outcome.crowded_slots.first, outcome.crowded_slots.last),
        soft=outcome.soft,
    )


def _word(name_of: Callable[[Any], str], number: int, prefix: str) -> str:
    return name_of(number).removeprefix(prefix)
