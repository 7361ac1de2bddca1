"""Pages, recently shown items, refinement and the relevance floor over gRPC: what the call in process gives."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest

from reranker import Candidates, Context, Policy, Slate, rerank
from reranker.client import from_columns, recent_items, request_context
from reranker.slate import BoundKind, RelevanceFloor
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.cursor_pb2 import Cursor
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.contract.refusals import CODE, details
from tests.reference import from_wire

NUMBERS = np.random.default_rng(12)
COUNT, SIZE = 40, 9
IDS: list[Any] = [f"item-{i}" for i in range(COUNT)]
COLUMNS: dict[str, Any] = {
    "scores": np.sort(NUMBERS.random(COUNT))[::-1].copy(),
    "embeddings": NUMBERS.standard_normal((COUNT, 6)).astype(np.float32),
    "attributes": {
        "tone": [["dark", "mid", "light", None][i % 4] for i in range(COUNT)],
        "hair": [["coily", "curly", "straight"][i % 3] for i in range(COUNT)],
        "creator": [f"c{i % 7}" for i in range(COUNT)],
    },
}
SHOWN: dict[str, Any] = {
    "embeddings": NUMBERS.standard_normal((6, 6)).astype(np.float32),
    "attributes": {"creator": [f"c{i % 3}" for i in range(6)], "tone": ["dark"] * 6},
}
SHOWN_IDS = [f"seen-{i}" for i in range(6)]
POLICY: dict[str, Any] = {
    "name": "pages",
    "objective": {"strategy": "dpp", "diversity": 0.6},
    "quotas": [
        {"attribute": "tone", "min_share": {"light": "1/4"}, "max_count": {"dark": 5}, "within": 15},
        {"attribute": "creator", "max_per_value": 1, "window": 4},
    ],
}


def policy(**blocks: Any) -> Policy:
    return Policy.from_dict({**POLICY, **blocks})


def request_of(own: Policy, ids: list[Any] = IDS, **words: Any) -> messages.RerankRequest:
    return messages.RerankRequest(
        candidates=from_columns(ids, **COLUMNS),
        slate_size=SIZE,
        inline_policy=own.to_proto(),
        context=request_context(**words),
    )


def ask(channel: grpc.Channel, request: messages.RerankRequest) -> messages.RerankResponse:
    answer: messages.RerankResponse = RerankerServiceStub(channel).Rerank(request, timeout=20)
    return answer


def in_process(own: Policy, ids: list[Any] = IDS, **words: Any) -> Slate:
    return rerank(Candidates(ids, **COLUMNS), own, SIZE, context=Context(**words))


def assert_same(answer: messages.RerankResponse, slate: Slate) -> None:
    assert list(answer.positions) == slate.positions.tolist()
    assert np.array(list(answer.gains), np.float32).tobytes() == slate.gains.astype(np.float32).tobytes()
    assert from_wire.status(answer) == slate.report.status
    assert tuple(map(from_wire.outcome, answer.quotas)) == slate.report.quotas
    assert tuple(answer.notes) == slate.report.notes


def refusal_of(channel: grpc.Channel, request: messages.RerankRequest) -> dict[str, str]:
    with pytest.raises(grpc.RpcError) as raised:
        ask(channel, request)
    assert raised.value.code() == CODE.INVALID_ARGUMENT
    info, fields = details(raised.value)
    assert info.reason == "INVALID_INPUT"
    return fields


@pytest.mark.parametrize("ids", [IDS, list(range(2**64 - COUNT, 2**64))], ids=["texts", "numbers"])
def test_pages_go_on_where_the_last_one_ended_until_everybody_was_shown(channel: grpc.Channel, ids: list[Any]) -> None:
    own = policy()
    shown: list[int] = []
    answer, slate = messages.RerankResponse(), in_process(policy(), ids)
    for page in range(6):
        answer = ask(channel, request_of(own, ids, cursor=answer.cursor))
        slate = in_process(own, ids, cursor=slate.cursor if page else b"")
        assert_same(answer, slate)
        shown += answer.positions
    assert sorted(shown) == list(range(COUNT))  # nobody twice, nobody forgotten; page 6 is empty
    assert not answer.positions


def test_quotas_and_windows_hold_across_pages(channel: grpc.Channel) -> None:
    own = policy()
    first = ask(channel, request_of(own))
    second = ask(channel, request_of(own, cursor=first.cursor))
    shown = [*first.positions, *second.positions]
    tones = [COLUMNS["attributes"]["tone"][row] for row in shown]
    creators = [COLUMNS["attributes"]["creator"][row] for row in shown]
    assert all(tones[:prefix].count("light") >= prefix // 4 for prefix in range(1, 16))
    assert tones[:15].count("dark") <= 5
    assert all(len(set(creators[start : start + 4])) == 4 for start in range(len(creators) - 3))
    outcomes = {(outcome.attribute, outcome.bound): outcome for outcome in map(from_wire.outcome, second.quotas)}
    floor, cap = outcomes["tone", BoundKind.LOWER], outcomes["tone", BoundKind.UPPER]
    assert (floor.status, floor.required, floor.achieved) == ("MET", 3, tones.count("light"))
    assert (cap.status, cap.required, cap.achieved) == ("MET", 5, tones[:15].count("dark"))


def test_the_next_page_may_come_with_other_candidates(channel: grpc.Channel) -> None:
    own = policy()
    first = ask(channel, request_of(own))
    others = [IDS[row] for row in list(first.positions)[:5]] + [f"new-{i}" for i in range(COUNT - 5)]
    second = ask(channel, request_of(own, others, cursor=first.cursor))
    assert len(second.positions) == SIZE
    assert min(second.positions) >= 5


def test_a_cursor_shows_nobodys_ids_and_values(channel: grpc.Channel) -> None:
    cursor = ask(channel, request_of(policy())).cursor
    assert not any(word in cursor for word in (b"item-", b"light", b"dark", b"c1"))
    assert Cursor.FromString(cursor[17:]).shown == SIZE  # a version, a tag, the message


def test_a_cursor_is_left_out_on_request(channel: grpc.Channel) -> None:
    request = request_of(policy())
    with_cursor = ask(channel, request)
    request.omit_cursor = True
    without = ask(channel, request)
    assert with_cursor.cursor
    assert not without.cursor
    assert without.positions == with_cursor.positions


def test_no_altered_cursor_is_believed(channel: grpc.Channel) -> None:
    own = policy()
    cursor = ask(channel, request_of(own)).cursor
    places = [0, 1, 16, 17, len(cursor) // 2, len(cursor) - 1]
    altered = [cursor[:at] + bytes([cursor[at] ^ 1]) + cursor[at + 1 :] for at in places]
    lengths = [cursor[:-1], cursor[: len(cursor) // 2], cursor[:17], cursor[:1], cursor + b"\0", b"cursor"]
    for forged in altered + lengths:
        fields = refusal_of(channel, request_of(own, cursor=forged))
        assert list(fields) == ["context.cursor"]
        assert "begin without it" in fields["context.cursor"]


def test_an_oversized_cursor_is_refused_by_its_length(channel: grpc.Channel) -> None:
    fields = refusal_of(channel, request_of(policy(), cursor=bytes(300_000)))
    assert fields == {"context.cursor": "must be at most 262144 bytes, is 300000"}


def test_a_cursor_belongs_to_one_revision_of_one_policy(channel: grpc.Channel) -> None:
    request = request_of(policy(), cursor=ask(channel, request_of(policy())).cursor)
    request.overrides.diversity = 0.1
    other = request_of(policy(name="other"), cursor=request.context.cursor)
    for wrong in (request, other):
        assert "another revision" in refusal_of(channel, wrong)["context.cursor"]
    request.ClearField("overrides")
    request.overrides.seed = 4
    assert ask(channel, request).positions  # a seed is no other policy


def test_a_stream_turns_pages_too(channel: grpc.Channel) -> None:
    own = policy()
    first = ask(channel, request_of(own))
    requests = [request_of(own, cursor=b"x"), request_of(own, cursor=first.cursor)]
    stream = iter([messages.RerankStreamRequest(request=request) for request in requests])
    refused, answered = RerankerServiceStub(channel).RerankStream(stream, timeout=20)
    assert [violation.field for violation in refused.error.violations] == ["context.cursor"]
    assert_same(answered.response, in_process(own, cursor=in_process(own).cursor))


def test_recently_shown_items_repel_and_count(channel: grpc.Channel) -> None:
    own = policy()
    answer = ask(channel, request_of(own, recent=recent_items(SHOWN_IDS, **SHOWN)))
    assert_same(answer, in_process(own, recent=Candidates(SHOWN_IDS, np.zeros(6), **SHOWN)))
    assert answer.positions != ask(channel, request_of(own)).positions
    creators = [*SHOWN["attributes"]["creator"], *(COLUMNS["attributes"]["creator"][i] for i in answer.positions)]
    assert all(len(set(creators[start : start + 4])) == 4 for start in range(3, len(creators) - 3))


def test_scores_of_recently_shown_items_change_nothing(channel: grpc.Channel) -> None:
    request = request_of(policy(), recent=recent_items(SHOWN_IDS, **SHOWN))
    expected = ask(channel, request)
    request.context.recent.scores.extend([5, 4, 3, 2, 1, -7])
    assert_same(ask(channel, request), in_process(policy(), recent=Candidates(SHOWN_IDS, np.zeros(6), **SHOWN)))
    assert ask(channel, request).positions == expected.positions


def test_ids_alone_are_looked_up_among_the_candidates(channel: grpc.Channel) -> None:
    own, ids = policy(), ["item-3", "somebody", "item-0"]
    answer = ask(channel, request_of(own, recent=ids))
    assert_same(answer, in_process(own, recent=ids))
    assert any("1 recently shown item is known by id alone" in note for note in answer.notes)


def test_without_profiling_nothing_shown_recently_is_used(channel: grpc.Channel) -> None:
    own = policy()
    recent = recent_items(SHOWN_IDS, **SHOWN)
    answer = ask(channel, request_of(own, recent=recent, without_profiling=True))
    assert_same(answer, in_process(own, without_profiling=True))
    assert "context and history of the user were not used" in answer.notes


def test_without_profiling_pages_still_turn_and_choices_still_count(channel: grpc.Channel) -> None:
    own = policy()
    first = ask(channel, request_of(own, without_profiling=True))
    words: dict[str, Any] = {"without_profiling": True, "refinement": {"hair": ["coily"]}}
    second = ask(channel, request_of(own, cursor=first.cursor, **words))
    assert not set(first.positions) & set(second.positions)
    assert {COLUMNS["attributes"]["hair"][row] for row in second.positions} == {"coily"}
    assert_same(second, in_process(own, cursor=in_process(own, without_profiling=True).cursor, **words))


@pytest.mark.parametrize("mode", ["filter", "boost", "ignore"])
@pytest.mark.parametrize(
    "refinement", [{"hair": ["coily", "curly"]}, {"tone": ["light"]}, {"tone": ["dark"], "hair": ["coily"]}]
)
def test_a_refinement_does_what_the_policy_says(
    channel: grpc.Channel, mode: str, refinement: dict[str, list[str]]
) -> None:
    own = policy(refinement={"mode": mode})
    answer = ask(channel, request_of(own, refinement=refinement))
    assert_same(answer, in_process(own, refinement=refinement))
    chosen = [
        all(COLUMNS["attributes"][name][row] in values for name, values in refinement.items())
        for row in answer.positions
    ]
    if mode == "filter":
        assert all(chosen)
    if mode == "ignore":
        assert not all(chosen)
    reasons = {outcome.attribute: from_wire.outcome(outcome).reason for outcome in answer.quotas}
    assert (reasons["tone"] == "REFINED") == ("tone" in refinement)


def test_the_relevance_floor_says_what_it_came_to(channel: grpc.Channel) -> None:
    own = policy(objective={"strategy": "dpp", "diversity": 0.9, "relevance_floor": 0.95, "score_zero": 0.0})
    answer, slate = ask(channel, request_of(own)), in_process(own)
    assert_same(answer, slate)
    assert from_wire.floor(answer) == slate.report.floor
    assert isinstance(slate.report.floor, RelevanceFloor)
    assert answer.relevance_floor.required == 0.95
    assert 0 < answer.relevance_floor.diversity < 0.9


def test_an_overriding_floor_is_reported_and_none_is_absent(channel: grpc.Channel) -> None:
    request = request_of(policy())
    assert from_wire.floor(ask(channel, request)) is None
    request.overrides.relevance_floor = 0.99
    answer = ask(channel, request)
    assert answer.relevance_floor.required == 0.99
    assert from_wire.floor(answer) == in_process(policy().with_overrides(relevance_floor=0.99)).report.floor
