"""A slate as a response message; enums have the same words on both sides, the wire adds its enum's name before each."""

from __future__ import annotations

from reranker.codec.limits import Limits
from reranker.codec.measures import fill_measures
from reranker.slate import Explanation, ExposureOutcome, QuotaOutcome, RelevanceFloor, Report, Rung, SignalCounts, Slate
from reranker.v1 import reranker_service_pb2, slate_pb2

_LIMITS = Limits()


def encode_slate(
    slate: Slate,
    request: reranker_service_pb2.RerankRequest,
    limits: Limits = _LIMITS,
    *,
    signals_late: bool = False,
) -> reranker_service_pb2.RerankResponse:
    """The response to `request`; ids, measures, explanations and the cursor only where it asks for them.

    `signals_late`: some of what is known of its items could not be asked for in time.
    """
    report = slate.report
    response = reranker_service_pb2.RerankResponse(
        request_id=request.request_id,
        positions=slate.positions.tolist(),
        gains=slate.gains.tolist(),
        policy_name=report.policy_name,
        policy_revision=report.policy_revision,
        status=f"SLATE_STATUS_{report.status}",
        tier=f"QUOTA_TIER_{report.tier}",
        relevance_retained=report.relevance_retained,
        quotas=[_outcome(outcome) for outcome in report.quotas],
        notes=report.notes,
        relevance_floor=None if report.floor is None else _floor(report.floor),
        exposure=[_exposure(outcome) for outcome in report.exposure],
        degraded=_degraded(report, signals_late),
    )
    _fill_signals(response.signals, report.signals)
    if request.return_ids:
        _fill_ids(response, slate, numbers=bool(request.candidates.item_numbers))
    if request.measures:
        fill_measures(response.measures, report.measures)
    if request.explain:
        response.explanations.extend(_explanation(explanation) for explanation in slate.explanations)
    if not request.omit_cursor:
        _fill_cursor(response, slate, limits)
    return response


def _degraded(report: Report, signals_late: bool) -> reranker_service_pb2.DegradedReason | None:
    """The first of what makes a slate less than its policy asks for."""
    if report.rung is not Rung.WHOLE:
        return reranker_service_pb2.DEGRADED_REASON_DEADLINE
    if signals_late:
        return reranker_service_pb2.DEGRADED_REASON_SIGNALS
    return reranker_service_pb2.DEGRADED_REASON_EXPOSURE if report.exposure_late else None


def _fill_cursor(response: reranker_service_pb2.RerankResponse, slate: Slate, limits: Limits) -> None:
    """The cursor, unless this service would refuse it: a caller must hear that now and not on the next page."""
    cursor = slate.cursor
    if len(cursor) <= limits.cursor_bytes:
        response.cursor = cursor
    else:
        response.notes.append(f"no page can follow: its cursor would be longer than {limits.cursor_bytes} bytes")


def _floor(floor: RelevanceFloor) -> reranker_service_pb2.RelevanceFloor:
    return reranker_service_pb2.RelevanceFloor(
        required=floor.required, diversity=floor.diversity, best_retained=floor.best_retained
    )


def _fill_ids(response: reranker_service_pb2.RerankResponse, slate: Slate, numbers: bool) -> None:
    if numbers:
        response.item_numbers.extend(int(item) for item in slate.ids)
    else:
        response.item_ids.extend(str(item) for item in slate.ids)


def _fill_signals(message: reranker_service_pb2.SignalCounts, signals: SignalCounts) -> None:
    message.missing_embeddings = signals.missing_embeddings
    message.unknown_ids = signals.unknown_ids
    message.absent_attributes.extend(signals.absent_attributes)
    for attribute, count in signals.unknown_values.items():
        message.unknown_values.add(attribute=attribute, candidates=count)


def _outcome(outcome: QuotaOutcome) -> slate_pb2.QuotaOutcome:
    first, last = outcome.crowded_slots
    return slate_pb2.QuotaOutcome(
        attribute=outcome.attribute,
        value=outcome.value,
        bound=f"BOUND_KIND_{outcome.bound}",
        required=outcome.required,
        achieved=outcome.achieved,
        share=outcome.share,
        first_failing_prefix=outcome.first_failing_prefix,
        status=f"OUTCOME_STATUS_{outcome.status}",
        reason=f"OUTCOME_REASON_{outcome.reason}" if outcome.reason else None,
        over_fetch=outcome.over_fetch,
        detail=outcome.detail,
        crowded_slots=slate_pb2.SlotSpan(first=first, last=last) if last else None,
        soft=outcome.soft,
    )


def _exposure(outcome: ExposureOutcome) -> slate_pb2.ExposureOutcome:
    return slate_pb2.ExposureOutcome(
        attribute=outcome.attribute,
        value=outcome.value,
        target=outcome.target,
        due=outcome.due,
        given=outcome.given,
        price=outcome.price,
        half_life=outcome.half_life,
        detail=outcome.detail,
    )


def _explanation(explanation: Explanation) -> slate_pb2.Explanation:
    return slate_pb2.Explanation(
        slot=explanation.slot,
        gain=explanation.gain,
        relevance_part=explanation.relevance_part,
        diversity_part=explanation.diversity_part,
        upstream_rank=explanation.upstream_rank,
        displacement=explanation.displacement,
        nearest_slot=explanation.nearest_slot,
        nearest_similarity=explanation.nearest_similarity,
        pinned=explanation.pinned,
        rank_exhausted=explanation.rank_exhausted,
        forced_by=[
            slate_pb2.QuotaInfluence(
                attribute=touch.attribute, value=touch.value, bound=f"BOUND_KIND_{touch.bound}", blocked=touch.blocked
            )
            for touch in explanation.forced_by
        ],
        instead_of_rank=explanation.instead_of_rank,
        text=explanation.text,
        soft_part=explanation.soft_part,
    )
