"""What sound requests get: edge cases of the list, what is on request, the other methods."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from reranker import Candidates, Policy, rerank
from reranker.client import from_columns
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub

NUMBERS = np.random.default_rng(5)
IDS = [f"item-{i}" for i in range(60)]
SCORES = NUMBERS.random(60)
VECTORS = NUMBERS.standard_normal((60, 16)).astype(np.float32)
TONES = [["dark", "mid", "light", None][i % 4] for i in range(60)]
GENRES = [[["noir", "crime"], [], ["comedy"]][i % 3] for i in range(60)]


@pytest.fixture
def stub(channel: grpc.Channel) -> RerankerServiceStub:
    return RerankerServiceStub(channel)


def request_of(policy: str = "tones", **more: Any) -> messages.RerankRequest:
    candidates = from_columns(IDS, SCORES, VECTORS, {"tone": TONES, "genre": GENRES})
    return messages.RerankRequest(candidates=candidates, slate_size=12, policy_name=policy, **more)


def test_the_wire_gives_what_python_gives(stub: RerankerServiceStub) -> None:
    answer = stub.Rerank(request_of(explain=True, measures=True, return_ids=True))
    policy = Policy.from_proto(stub.GetPolicy(messages.GetPolicyRequest(name="tones")).policy)
    slate = rerank(Candidates(IDS, SCORES, VECTORS, {"tone": TONES, "genre": GENRES}), policy, 12, explain=True)
    assert list(answer.positions) == slate.positions.tolist()
    assert list(answer.item_ids) == slate.ids
    assert np.array_equal(np.float32(slate.gains), np.array(list(answer.gains), np.float32))
    assert answer.policy_revision == policy.revision == slate.report.policy_revision
    assert [outcome.detail for outcome in answer.quotas] == [outcome.detail for outcome in slate.report.quotas]
    assert [line.text for line in answer.explanations] == [line.text for line in slate.explanations]
    assert answer.relevance_retained == slate.report.relevance_retained
    assert answer.measures.after.ndcg == slate.report.measures.after.ndcg
    assert [group.attribute for group in answer.measures.after.groups] == list(slate.report.measures.after.groups)


def test_every_embedding_form_gives_the_same_slate(stub: RerankerServiceStub) -> None:
    exact = np.random.default_rng(3).integers(-100, 100, (60, 16)).astype(np.float32)  # exact in every form
    request = request_of()
    column = request.candidates.embeddings[0]
    column.float32 = exact.tobytes()
    expected = list(stub.Rerank(request).positions)
    forms = {
        "float16": exact.astype("<f2").tobytes(),
        "int8": exact.astype(np.int8).tobytes(),
        "values": exact.ravel().tolist(),
    }
    for form, data in forms.items():
        column.ClearField("float32")
        for other in forms:
            column.ClearField(other)
        if form == "values":
            column.values.extend(data)
        else:
            setattr(column, form, data)
        assert list(stub.Rerank(request).positions) == expected, form


def test_dictionary_entries_that_nobody_carries_change_nothing(stub: RerankerServiceStub) -> None:
    request = request_of(measures=True)
    expected = stub.Rerank(request)
    column = request.candidates.attributes[0]
    column.dictionary.insert(0, "nobody")
    codes = [code + 1 if code else 0 for code in column.codes]
    del column.codes[:]
    column.codes.extend(codes)
    answer = stub.Rerank(request)
    assert answer.positions == expected.positions
    assert answer.quotas == expected.quotas
    assert answer.measures == expected.measures


def test_an_empty_list_gives_an_empty_slate(stub: RerankerServiceStub) -> None:
    for policy in ("default", "tones"):
        request = messages.RerankRequest(
            slate_size=10, policy_name=policy, explain=True, measures=True, return_ids=True
        )
        answer = stub.Rerank(request)
        assert not answer.positions
        assert answer.status


def test_a_slate_size_above_n_gives_n_and_zero_gives_none(stub: RerankerServiceStub) -> None:
    request = request_of()
    request.slate_size = 999
    assert sorted(stub.Rerank(request).positions) == list(range(60))
    request.slate_size = 0
    assert not stub.Rerank(request).positions


def test_missing_embeddings_and_unknown_values_are_counted(stub: RerankerServiceStub) -> None:
    request = request_of()
    request.candidates.embeddings[0].missing_rows.extend([0, 7])
    signals = stub.Rerank(request).signals
    assert signals.missing_embeddings == 2
    assert [(known.attribute, known.candidates) for known in signals.unknown_values] == [("tone", 15)]


def test_number_ids_come_back_as_numbers(stub: RerankerServiceStub) -> None:
    request = messages.RerankRequest(slate_size=2, return_ids=True)
    request.candidates.item_numbers.extend([2**64 - 1, 7])
    request.candidates.scores.extend([0.1, 0.2])
    answer = stub.Rerank(request)
    assert list(answer.item_numbers) == [7, 2**64 - 1]
    assert not answer.item_ids


def test_overrides_change_the_slate_and_its_revision(stub: RerankerServiceStub) -> None:
    untouched = stub.Rerank(request_of("default"))
    request = request_of("default")
    request.overrides.diversity = 0.0
    answer = stub.Rerank(request)
    assert list(answer.positions) == np.argsort(-SCORES, kind="stable")[:12].tolist()
    assert answer.policy_name == "default"
    assert answer.policy_revision != untouched.policy_revision


def test_an_inline_policy_is_the_same_as_a_named_one(stub: RerankerServiceStub) -> None:
    request = request_of()
    request.inline_policy.CopyFrom(stub.GetPolicy(messages.GetPolicyRequest(name="tones")).policy)
    assert stub.Rerank(request).positions == stub.Rerank(request_of()).positions


def test_nothing_named_means_default(stub: RerankerServiceStub) -> None:
    request = request_of()
    request.ClearField("policy_name")
    assert stub.Rerank(request).policy_name == "default"


def test_timings_add_up(stub: RerankerServiceStub) -> None:
    timings = stub.Rerank(request_of()).timings
    parts = sum(getattr(timings, f"{stage}_us") for stage in ("decode", "policy", "plan", "select", "report", "encode"))
    assert 0 < parts <= timings.total_us + 6


def test_a_stream_answers_in_order_and_survives_bad_requests(stub: RerankerServiceStub, channel: grpc.Channel) -> None:
    bad = request_of()
    bad.slate_size = -1
    requests = [
        messages.RerankStreamRequest(request=r) for r in (request_of(request_id="1"), bad, request_of(request_id="3"))
    ]
    first, second, third = stub.RerankStream(iter(requests), timeout=10)
    assert (first.response.request_id, third.response.request_id) == ("1", "3")
    assert first.response.positions == third.response.positions
    assert second.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [violation.field for violation in second.error.violations] == ["slate_size"]
    raw: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        "/reranker.v1.RerankerService/RerankStream"
    )
    answers = [
        messages.RerankStreamResponse.FromString(data)
        for data in raw(iter([b"\xff\xff", requests[0].SerializeToString()]), timeout=10)
    ]
    assert answers[0].error.violations[0].field == "request"
    assert answers[1].response.positions == first.response.positions


def test_too_many_streams_are_turned_away_and_requests_still_answered(stub: RerankerServiceStub) -> None:
    release = threading.Event()

    def waiting() -> Iterator[messages.RerankStreamRequest]:
        yield messages.RerankStreamRequest(request=request_of())
        release.wait(20)

    held = [stub.RerankStream(waiting(), timeout=20) for _ in range(2)]  # the fixture allows two
    for stream in held:
        next(stream)
    with pytest.raises(grpc.RpcError) as raised:
        next(stub.RerankStream(waiting(), timeout=5))
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.Rerank(request_of(), timeout=5).positions
    release.set()
    assert [list(stream) for stream in held] == [[], []]
    assert next(stub.RerankStream(iter([messages.RerankStreamRequest(request=request_of())]), timeout=5))


def test_many_threads_get_the_same_answer(stub: RerankerServiceStub) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tuple(stub.Rerank(request_of(), timeout=20).positions), range(64)))
    assert len(set(answers)) == 1


def test_policies_are_listed_and_shown(stub: RerankerServiceStub) -> None:
    listed = stub.ListPolicies(messages.ListPoliciesRequest()).policies
    assert [policy.name for policy in listed] == ["default", "demanding", "tones"]
    assert listed[2].purpose == "every tone on the first page"
    shown = stub.GetPolicy(messages.GetPolicyRequest(name="tones"))
    assert shown.revision == listed[2].revision == Policy.from_proto(shown.policy).revision


def test_a_policy_is_validated_from_text_and_from_a_message(stub: RerankerServiceStub) -> None:
    text = 'name = "x"\n[objective]\ndiversity = 2\nstratgey = "dpp"\n'
    answer = stub.ValidatePolicy(messages.ValidatePolicyRequest(toml=text))
    assert {violation.path: violation.line for violation in answer.violations} == {
        "objective.diversity": 3,
        "objective.stratgey": 4,
    }
    assert not answer.revision
    sound = stub.ValidatePolicy(messages.ValidatePolicyRequest(toml='name = "x"'))
    assert sound.revision
    assert not sound.violations
    policy = Policy.from_toml('name = "x"').to_proto()
    assert stub.ValidatePolicy(messages.ValidatePolicyRequest(policy=policy)).revision == sound.revision


def test_validation_never_reads_the_servers_files(stub: RerankerServiceStub, tmp_path: object) -> None:
    secret = f"{tmp_path}/secret.toml"
    with open(secret, "w") as stream:
        stream.write('name = "secret"')
    answer = stub.ValidatePolicy(messages.ValidatePolicyRequest(toml=secret))
    assert answer.violations
    assert not answer.revision


def test_validation_of_nothing_is_an_invalid_argument(stub: RerankerServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.ValidatePolicy(messages.ValidatePolicyRequest())
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
