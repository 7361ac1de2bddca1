"""Fixed items and targets over gRPC: the slate, outcomes and explanations of the call in process, to the last bit."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest

from reranker import Candidates, Context, Policy, Slate, rerank
from reranker.client import from_columns, request_context
from reranker.slate import BoundKind, OutcomeReason, OutcomeStatus
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.reference import from_wire

NUMBERS = np.random.default_rng(9)
COUNT = 40
TEXTS = [f"item-{i}" for i in range(COUNT)]
COLUMNS: dict[str, Any] = {
    "scores": np.sort(NUMBERS.random(COUNT))[::-1].copy(),
    "embeddings": NUMBERS.standard_normal((COUNT, 6)).astype(np.float32),
    "attributes": {
        "tone": [["dark", "mid", "light", None][i % 4] for i in range(COUNT)],
        "gender": [["f", "m", "m"][i % 3] for i in range(COUNT)],
        "creator": [f"c{i % 7}" for i in range(COUNT)],
        "hair": ["coily" if i == 39 else None for i in range(COUNT)],
    },
}
POLICY = Policy.from_dict(
    {
        "name": "everything",
        "objective": {"strategy": "mmr", "diversity": 0.4},
        "quotas": [
            {"attribute": "gender", "target": "request", "tolerance": 0.1},
            {"attribute": "tone", "min_share": {"light": "1/2"}, "soft": True, "weight": 0.7},
            {"attribute": "creator", "max_per_value": 1, "window": 3},
            {"attribute": "hair", "target": "pool", "min_coverage": 0.5},
            {"where": {"tone": ["light"], "gender": ["f"]}, "min_count": 2},
            {"max_similarity": 0.9, "window": 4},
        ],
    }
)
TARGETS = {"gender": {"f": 0.5, "m": 0.5}, "tone": {"dark": 1 / 3, "mid": 1 / 3, "light": 1 / 3}}
CROWDED = Policy.from_dict(
    {
        "name": "crowded",
        "quotas": [
            {"attribute": "tone", "min_count": {"dark": 3, "light": 3}, "within": 4},
            {"attribute": "creator", "max_count": {"c0": 0}},
        ],
    }
)


def in_process(ids: list[Any], policy: Policy, size: int, **words: Any) -> Slate:
    return rerank(Candidates(ids, **COLUMNS), policy, size, explain=True, context=Context(**words))


def request_of(ids: list[Any], policy: Policy, size: int, **words: Any) -> messages.RerankRequest:
    return messages.RerankRequest(
        candidates=from_columns(ids, **COLUMNS),
        slate_size=size,
        inline_policy=policy.to_proto(),
        context=request_context(**words),
        return_ids=True,
        explain=True,
    )


def over_the_wire(channel: grpc.Channel, *arguments: Any, **words: Any) -> messages.RerankResponse:
    answer: messages.RerankResponse = RerankerServiceStub(channel).Rerank(request_of(*arguments, **words), timeout=20)
    return answer


def assert_same(answer: messages.RerankResponse, slate: Slate) -> None:
    assert np.array(list(answer.positions), np.int32).tobytes() == slate.positions.tobytes()
    assert list(answer.item_ids or answer.item_numbers) == slate.ids
    assert np.array(list(answer.gains), np.float32).tobytes() == slate.gains.astype(np.float32).tobytes()
    assert from_wire.status(answer) == slate.report.status
    assert from_wire.tier(answer) == slate.report.tier
    assert tuple(map(from_wire.outcome, answer.quotas)) == slate.report.quotas
    assert [outcome.detail for outcome in answer.quotas] == [outcome.detail for outcome in slate.report.quotas]
    assert tuple(map(from_wire.explanation, answer.explanations)) == slate.explanations
    assert tuple(answer.notes) == slate.report.notes


@pytest.mark.parametrize("ids", [TEXTS, list(range(2**64 - COUNT, 2**64))], ids=["texts", "numbers"])
@pytest.mark.parametrize("size", [12, COUNT, 60])
@pytest.mark.parametrize("policy", [POLICY, CROWDED], ids=["everything", "crowded"])
@pytest.mark.parametrize("places", [{}, {3: 30}, {1: 39, 2: 0, 12: 5}], ids=["none", "one", "three"])
@pytest.mark.parametrize("targets", [{}, TARGETS], ids=["no targets", "targets"])
def test_the_wire_gives_what_python_gives(
    channel: grpc.Channel,
    ids: list[Any],
    size: int,
    policy: Policy,
    places: dict[int, int],
    targets: dict[str, dict[str, float]],
) -> None:
    words = {"fixed": {slot: ids[row] for slot, row in places.items()}, "targets": targets}
    answer = over_the_wire(channel, ids, policy, size, **words)
    assert_same(answer, in_process(ids, policy, size, **words))
    assert [answer.positions[slot - 1] for slot in places] == list(places.values())
    assert [line.slot for line in answer.explanations if line.pinned] == sorted(places)
    for line in answer.explanations:
        assert line.relevance_part + line.diversity_part + line.soft_part == pytest.approx(line.gain, abs=1e-5)


def test_beyond_a_short_list_fixed_items_take_its_last_slots(channel: grpc.Channel) -> None:
    words = {"fixed": {60: TEXTS[1], 50: TEXTS[0]}}
    answer = over_the_wire(channel, TEXTS, POLICY, 60, **words)
    assert list(answer.positions[-2:]) == [0, 1]
    assert_same(answer, in_process(TEXTS, POLICY, 60, **words))


def test_the_order_in_which_items_are_fixed_does_not_matter(channel: grpc.Channel) -> None:
    one = over_the_wire(channel, TEXTS, POLICY, 12, fixed={2: TEXTS[30], 9: TEXTS[31]})
    other = over_the_wire(channel, TEXTS, POLICY, 12, fixed={9: TEXTS[31], 2: TEXTS[30]})
    one.ClearField("timings")
    other.ClearField("timings")
    assert one == other


def test_every_kind_of_outcome_travels(channel: grpc.Channel) -> None:
    answer = over_the_wire(channel, TEXTS, POLICY, 12)
    outcomes = [from_wire.outcome(message) for message in answer.quotas]
    by_attribute = {(outcome.attribute, outcome.bound): outcome for outcome in outcomes}
    no_target = by_attribute["gender", BoundKind.LOWER]
    assert (no_target.status, no_target.reason) == (OutcomeStatus.SUSPENDED, OutcomeReason.NO_TARGET)
    assert (no_target.required, no_target.achieved) == (-1, -1)
    thin = by_attribute["hair", BoundKind.LOWER]
    assert (thin.status, thin.reason) == (OutcomeStatus.SUSPENDED, OutcomeReason.LOW_COVERAGE)
    likeness = by_attribute["similarity", BoundKind.SIMILARITY]
    assert (likeness.value, likeness.required, likeness.share) == ("", 0.9, 0)
    assert -1 <= likeness.achieved <= 1
    assert by_attribute["tone", BoundKind.LOWER].soft
    assert not by_attribute["creator", BoundKind.WINDOW].soft
    assert ("tone light and gender f", BoundKind.LOWER) in by_attribute
    assert any(line.soft_part != 0 for line in answer.explanations)


def test_crowded_slots_are_named(channel: grpc.Channel) -> None:
    answer = over_the_wire(channel, TEXTS, CROWDED, 12)
    crowded = [outcome for outcome in answer.quotas if outcome.HasField("crowded_slots")]
    assert crowded
    for outcome in crowded:
        assert from_wire.outcome(outcome).reason == OutcomeReason.CROWDING
        assert 1 <= outcome.crowded_slots.first <= outcome.crowded_slots.last <= 12


def test_what_a_fixed_item_breaks_is_pinned(channel: grpc.Channel) -> None:
    policy = Policy.from_dict({"quotas": [{"attribute": "tone", "max_count": {"dark": 0}}]})
    answer = over_the_wire(channel, TEXTS, policy, 4, fixed={2: TEXTS[8]})
    broken = from_wire.outcome(answer.quotas[0])
    assert (broken.status, broken.reason, broken.first_failing_prefix) == ("BROKEN", "PINNED", 2)
    assert from_wire.status(answer) == "RELAXED_MINIMAL"


def test_targets_are_what_measures_compare_with(channel: grpc.Channel) -> None:
    request = request_of(TEXTS, POLICY, 12, targets=TARGETS)
    request.measures = True
    groups = {group.attribute: group for group in RerankerServiceStub(channel).Rerank(request).measures.after.groups}
    assert groups["gender"].reference_declared
    assert dict(zip(groups["gender"].values, groups["gender"].reference_shares, strict=True)) == TARGETS["gender"]


def test_a_stream_answers_with_fixed_items_too(channel: grpc.Channel) -> None:
    request = request_of(TEXTS, POLICY, 12, fixed={3: TEXTS[30]})
    bad = request_of(TEXTS, POLICY, 2, fixed={3: TEXTS[30]})
    stream = [messages.RerankStreamRequest(request=one) for one in (bad, request)]
    refused, answered = RerankerServiceStub(channel).RerankStream(iter(stream), timeout=20)
    assert [violation.field for violation in refused.error.violations] == ["context.fixed[0].slot"]
    assert answered.response.positions[2] == 30
