"""A slate as a response and back: every word of every outcome and explanation, and numbers to the last bit."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from reranker.codec import encode_slate
from reranker.codec.limits import Limits
from reranker.slate import (
    BoundKind,
    Explanation,
    OutcomeReason,
    OutcomeStatus,
    QuotaInfluence,
    QuotaOutcome,
    QuotaTier,
    RelevanceFloor,
    Report,
    SignalCounts,
    Slate,
    SlateMeasures,
    SlateStatus,
)
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from tests.reference import from_wire

OUTCOME = QuotaOutcome(
    attribute="skin_tone 5-6 and body_type plus",
    value="5-6",
    bound=BoundKind.LOWER,
    required=3,
    achieved=1,
    share=1 / 3,
    first_failing_prefix=7,
    status=OutcomeStatus.BROKEN,
    reason=OutcomeReason.CROWDING,
    over_fetch=2,
    crowded_slots=(4, 7),
    soft=True,
)
SUSPENDED = replace(
    OUTCOME,
    required=-1,
    achieved=-1,
    share=0.0,
    first_failing_prefix=0,
    status=OutcomeStatus.SUSPENDED,
    reason=OutcomeReason.NO_TARGET,
    over_fetch=0,
    crowded_slots=(0, 0),
    soft=False,
)
LIKENESS = replace(
    OUTCOME,
    attribute="similarity",
    value="",
    bound=BoundKind.SIMILARITY,
    required=0.95,
    achieved=float(np.float32(0.97)),
    share=0.0,
    reason=OutcomeReason.CONFLICT,
    over_fetch=0,
    crowded_slots=(0, 0),
)
EXPLANATION = Explanation(
    slot=3,
    gain=0.1 + 0.2,
    relevance_part=1e-300,
    diversity_part=-2 / 3,
    upstream_rank=12,
    displacement=9,
    nearest_slot=1,
    nearest_similarity=-0.0,
    pinned=True,
    rank_exhausted=True,
    forced_by=tuple(QuotaInfluence("tone", "dark", bound, 4) for bound in BoundKind),
    instead_of_rank=2,
    text="upstream rank 12, slot 3",
    soft_part=-1 / 7,
)


def unmeasured() -> SlateMeasures:
    raise AssertionError("nobody asked for measures")


def answer_to(request: RerankRequest, floor: RelevanceFloor | None = None, **limits: Any) -> RerankResponse:
    """The answer to a request for a slate of which the next page's cursor is `next`."""
    report = Report(SlateStatus.SATISFIED, QuotaTier.NONE, (), None, SignalCounts(), (), "p", "r", unmeasured, floor)
    slate = Slate(np.arange(2, dtype=np.int32), np.zeros(2), report, (), ["a", "b"], lambda: b"next")
    return RerankResponse.FromString(encode_slate(slate, request, Limits(**limits)).SerializeToString())


def test_the_cursor_travels_unless_the_request_omits_it() -> None:
    assert answer_to(RerankRequest()).cursor == b"next"
    assert answer_to(RerankRequest(omit_cursor=True)) == RerankResponse(
        positions=[0, 1],
        gains=[0, 0],
        policy_name="p",
        policy_revision="r",
        status="SLATE_STATUS_SATISFIED",
        tier="QUOTA_TIER_NONE",
        signals={},
    )


def test_a_cursor_that_the_service_would_refuse_is_not_given_out() -> None:
    assert answer_to(RerankRequest(), cursor_bytes=4).cursor == b"next"
    answer = answer_to(RerankRequest(), cursor_bytes=3)
    assert not answer.cursor
    assert list(answer.notes) == ["no page can follow: its cursor would be longer than 3 bytes"]


@pytest.mark.parametrize("floor", [None, RelevanceFloor(0.95, 1 / 3, 0.99), RelevanceFloor(0.0, 0.0, None)])
def test_a_relevance_floor_comes_back_as_it_went(floor: RelevanceFloor | None) -> None:
    assert from_wire.floor(answer_to(RerankRequest(), floor)) == floor


def sent(
    *outcomes: QuotaOutcome,
    explanations: tuple[Explanation, ...] = (),
    status: SlateStatus = SlateStatus.SATISFIED,
    tier: QuotaTier = QuotaTier.NONE,
) -> RerankResponse:
    """The answer as the caller parses it."""
    report = Report(status, tier, outcomes, None, SignalCounts(), (), "p", "r", unmeasured)
    slate = Slate(np.arange(2, dtype=np.int32), np.zeros(2), report, explanations, ["a", "b"])
    return RerankResponse.FromString(encode_slate(slate, RerankRequest(explain=True)).SerializeToString())


@pytest.mark.parametrize("outcome", [OUTCOME, SUSPENDED, LIKENESS], ids=["crowded", "suspended", "similarity"])
def test_an_outcome_comes_back_as_it_went(outcome: QuotaOutcome) -> None:
    message = sent(outcome).quotas[0]
    assert from_wire.outcome(message) == outcome
    assert message.detail == outcome.detail


def test_every_kind_status_and_reason_has_its_word_on_the_wire() -> None:
    every = product(BoundKind, OutcomeStatus, [None, *OutcomeReason], [False, True])
    outcomes = [
        replace(OUTCOME, bound=bound, status=status, reason=reason, soft=soft) for bound, status, reason, soft in every
    ]
    assert [from_wire.outcome(message) for message in sent(*outcomes).quotas] == outcomes


def test_slots_that_nobody_crowds_are_absent() -> None:
    assert sent(OUTCOME).quotas[0].HasField("crowded_slots")
    assert not sent(SUSPENDED).quotas[0].HasField("crowded_slots")


@pytest.mark.parametrize(
    ("status", "tier"), [*product(SlateStatus, [QuotaTier.NONE]), *product(["SATISFIED"], QuotaTier)]
)
def test_every_status_and_tier_has_its_word_on_the_wire(status: str, tier: QuotaTier) -> None:
    answer = sent(status=SlateStatus(status), tier=tier)
    assert (from_wire.status(answer), from_wire.tier(answer)) == (status, tier)


@pytest.mark.parametrize(
    "explanation",
    [
        EXPLANATION,
        replace(EXPLANATION, nearest_slot=0, nearest_similarity=None, pinned=False, forced_by=(), displacement=-2),
    ],
    ids=["all of it", "the least"],
)
def test_an_explanation_comes_back_as_it_went(explanation: Explanation) -> None:
    assert from_wire.explanation(sent(explanations=(explanation,)).explanations[0]) == explanation


def test_a_soft_part_of_zero_is_said_not_left_out() -> None:
    message = sent(explanations=(replace(EXPLANATION, soft_part=0.0),)).explanations[0]
    assert message.HasField("soft_part")
    assert message.soft_part == 0.0
