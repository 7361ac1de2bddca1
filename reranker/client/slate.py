"""What the client answers: the server's slate, or the upstream order when there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reranker.v1.candidates_pb2 import CandidateList
from reranker.v1.context_pb2 import Context
from reranker.v1.reranker_service_pb2 import DegradedReason, RerankResponse
from reranker.v1.slate_pb2 import SlateStatus

CLIENT_FALLBACK = "CLIENT_FALLBACK"


@dataclass(frozen=True, slots=True)
class ClientSlate:
    """One slate as the page needs it.

    `positions` (int32) index into the candidates in slate order, `ids` and `gains` (float64) go with them. `degraded`
    is None for a full answer, else the reason by its wire name: CLIENT_FALLBACK means the upstream order around the
    request's fixed items, made here, because of `error`; then `status` is None (no policy judged anything), gains are
    0, and there is no `response`.

    `cursor` continues the slate: `request_context(cursor=slate.cursor)` asks for the next page. It is empty on a
    fallback, as nobody wrote down what that shows; and a fallback for a later page is the upstream order of all its
    candidates, those of earlier pages included, because only the server can read what a cursor has shown.
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
    cursor: bytes = field(default=b"", repr=False)

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
        cursor=response.cursor,
    )


def upstream(
    candidates: CandidateList, slate_size: int, error: Exception, context: Context | None = None
) -> ClientSlate:
    """The upstream order: score descending, ties by position; scores that are missing or NaN come last.

    The items that `context` fixes stand in their slots, as they do in the server's slates: what a page has promised
    holds without a server too. A fixed item without a candidate or without a slot is left out of this. Nothing else of
    the context changes the order: what a cursor has shown, and what a policy makes of a refinement, the server alone
    knows.
    """
    count = len(candidates.item_numbers or candidates.item_ids)
    scores = np.full(count, -np.inf)
    given = np.array(list(candidates.scores)[:count], np.float64)
    scores[: len(given)] = np.where(np.isnan(given), -np.inf, given)
    positions = np.argsort(-scores, kind="stable").astype(np.int32)
    if context is not None and context.fixed:
        positions = _with_fixed(positions, _fixed_positions(candidates, context, slate_size))
    positions = positions[: max(0, slate_size)]
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


def _fixed_positions(candidates: CandidateList, context: Context, slate_size: int) -> dict[int, int]:
    """Candidate by slot (from 0) of the fixed items; in a short list, those beyond it take its last slots in order."""
    numbers = bool(candidates.item_numbers)
    ids: Sequence[str | int] = candidates.item_numbers or candidates.item_ids
    position_of = {item_id: position for position, item_id in enumerate(ids)}
    by_slot: dict[int, int] = {}
    taken: set[int] = set()
    for item in context.fixed:
        has_id = item.HasField("item_number") or not numbers
        position = position_of.get(item.item_number if numbers else item.item_id) if has_id else None
        if position is not None and 1 <= item.slot <= slate_size and item.slot not in by_slot and position not in taken:
            by_slot[item.slot] = position
            taken.add(position)
    placed: dict[int, int] = {}
    last = len(ids)
    for slot, position in sorted(by_slot.items(), reverse=True):
        last = min(slot, last) - 1
        placed[last] = position
    return placed


def _with_fixed(order: NDArray[np.int32], fixed: Mapping[int, int]) -> NDArray[np.int32]:
    """The order with the fixed candidates in their slots and all others around them, as they were."""
    is_free = np.ones(len(order), bool)
    is_free[list(fixed)] = False
    arranged = np.empty_like(order)
    arranged[is_free] = order[~np.isin(order, list(fixed.values()))]
    arranged[~is_free] = [candidate for _, candidate in sorted(fixed.items())]
    return arranged


def _ids(candidates: CandidateList, positions: NDArray[np.int32]) -> Sequence[str | int]:
    ids: Sequence[str | int] = candidates.item_numbers or candidates.item_ids
    return [ids[position] for position in positions.tolist()]
