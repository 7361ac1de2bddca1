"""What the client answers: the server's slate, or the upstream order when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.reranker_service_pb2 import DegradedReason, RerankResponse
from reranker.v1.slate_pb2 import SlateStatus

CLIENT_FALLBACK = "CLIENT_FALLBACK"


@dataclass(frozen=True, slots=True)
class ClientSlate:
    """One slate as the page needs it.

    `positions` (int32) index into the candidates in slate order, `ids` and `gains` (float64) go with them. `degraded`
    is None for a full answer, else the reason by its wire name: CLIENT_FALLBACK means the upstream order, made here,
    because of `error`; then `status` is None (no policy judged anything), gains are 0, and there is no `response`.
    """

    positions: NDArray[np.int32]
    ids: Sequence[str | int]
    gains: NDArray[np.float64]
    status: str | None
    policy_name: str
    policy_revision: str
    degraded: str | None
    error: Exception | None = field(default=None, repr=False)
    response: RerankResponse | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.positions)


def from_response(candidates: CandidateList, response: RerankResponse) -> ClientSlate:
    """The server's answer; ids are looked up here, so they need not travel."""
    positions = np.array(list(response.positions), np.int32)
    return ClientSlate(
        positions=positions,
        ids=_ids(candidates, positions),
        gains=np.array(list(response.gains), np.float64),
        status=SlateStatus.Name(response.status).removeprefix("SLATE_STATUS_"),
        policy_name=response.policy_name,
        policy_revision=response.policy_revision,
        degraded=DegradedReason.Name(response.degraded).removeprefix("DEGRADED_REASON_") if response.degraded else None,
        response=response,
    )


def upstream(candidates: CandidateList, slate_size: int, error: Exception) -> ClientSlate:
    """The upstream order: score descending, ties by position; scores that are missing or NaN come last."""
    count = max(len(candidates.item_ids), len(candidates.item_numbers))
    scores = np.full(count, -np.inf)
    given = np.array(list(candidates.scores)[:count], np.float64)
    scores[: len(given)] = np.where(np.isnan(given), -np.inf, given)
    positions = np.argsort(-scores, kind="stable")[: max(0, slate_size)].astype(np.int32)
    return ClientSlate(
        positions=positions,
        ids=_ids(candidates, positions),
        gains=np.zeros(len(positions)),
        status=None,
        policy_name="",
        policy_revision="",
        degraded=CLIENT_FALLBACK,
        error=error,
    )


def _ids(candidates: CandidateList, positions: NDArray[np.int32]) -> Sequence[str | int]:
    ids: Sequence[str | int] = candidates.item_numbers or candidates.item_ids
    return [ids[position] for position in positions.tolist()]
