"""Whether an answer is right: to the bit what the engine makes of the request, or of the rung that the answer names."""

from __future__ import annotations

from loadtest.server_faults.cases import HURRIED, RUNGS, Case
from reranker.v1 import slate_pb2
from reranker.v1.reranker_service_pb2 import (
    DEGRADED_REASON_DEADLINE,
    DEGRADED_REASON_UNSPECIFIED,
    RerankResponse,
)

_BEYOND_THE_SLATE = ("request_id", "timings", "cursor", "exposure")
_ABOUT_THE_POLICY = ("policy_name", "policy_revision", "degraded", "notes")
_BROKEN, _MET = slate_pb2.OUTCOME_STATUS_BROKEN, slate_pb2.OUTCOME_STATUS_MET


def rung_of(answer: RerankResponse) -> str:
    """The rung that made it, as its notes say; "" where they contradict themselves."""
    named = [rung for rung, words in RUNGS.items() if words and any(words in note for note in answer.notes)]
    below = [rung for rung in named if rung != HURRIED]
    if answer.degraded != (DEGRADED_REASON_DEADLINE if below else DEGRADED_REASON_UNSPECIFIED) or len(below) > 1:
        return ""
    return named[0] if named else "whole"


def mistake_of(case: Case, request_id: str, answer: RerankResponse) -> str:
    """What is wrong with an answer, in words; "" where nothing is."""
    rung = rung_of(answer)
    if not rung:
        return f"degraded = {answer.degraded}, which its notes do not say"
    if answer.request_id != request_id:
        return "another request's answer"
    return _broken_promise(case, answer) or _difference(case, answer, rung)


def _broken_promise(case: Case, answer: RerankResponse) -> str:
    """What every answer promises, degraded or not."""
    request, positions = case.request, list(answer.positions)
    if len(positions) != request.slate_size or len(set(positions)) != len(positions):
        return f"{len(set(positions))} different items for {request.slate_size} slots"
    if list(answer.item_ids) != [request.candidates.item_ids[position] for position in positions]:
        return "ids that are not those of the positions"
    bounds = [outcome.status for outcome in answer.quotas if not outcome.soft]
    if _BROKEN not in bounds and not (_MET in bounds and case.keeps_quotas(positions)):
        return "a quota that is said to hold and does not"
    return ""


def _difference(case: Case, answer: RerankResponse, rung: str) -> str:
    """From what the engine makes of the request on that rung."""
    if rung == HURRIED:  # what it would have been depends on the very moment, so it is judged by what it promises
        return ""
    right, given = case.right[rung], answer
    if rung == "upstream":  # no policy makes it, so its bounds are judged by what they promise
        return "" if given.positions == right.positions else "not the upstream order"
    ignored = _BEYOND_THE_SLATE + (_ABOUT_THE_POLICY if rung != "whole" else ())
    right, given = _without(right, ignored), _without(given, ignored)
    if given == right:
        return ""
    names = {field.name for message in (given, right) for field, _ in message.ListFields()}
    unlike = sorted(name for name in names if getattr(given, name) != getattr(right, name))
    return f"not the engine's {rung} answer: {', '.join(unlike)}"


def _without(answer: RerankResponse, fields: tuple[str, ...]) -> RerankResponse:
    copy = RerankResponse()
    copy.CopyFrom(answer)
    for field in fields:
        copy.ClearField(field)
    return copy
