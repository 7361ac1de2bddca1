from __future__ import annotations

import pytest

from reranker import Policy
from reranker.codec.limits import Limits
from reranker.errors import InvalidInput, UnknownPolicy
from reranker.policy.snapshots import PolicyBook
from reranker.service.policies import PolicyDesk
from reranker.v1 import reranker_service_pb2 as messages


@pytest.fixture
def desk() -> PolicyDesk:
    return PolicyDesk(PolicyBook([Policy.from_toml('name = "mine"')]), Limits())


def inline(diversity: float) -> messages.RerankRequest:
    request = messages.RerankRequest()
    request.inline_policy.objective.diversity = diversity
    return request


def test_nothing_and_an_empty_name_mean_default(desk: PolicyDesk) -> None:
    assert desk.policy_of(messages.RerankRequest()).name == "default"
    assert desk.policy_of(messages.RerankRequest(policy_name="")).name == "default"


def test_a_name_means_the_book(desk: PolicyDesk) -> None:
    assert desk.policy_of(messages.RerankRequest(policy_name="mine")) is desk.book.get("mine")
    with pytest.raises(UnknownPolicy):
        desk.policy_of(messages.RerankRequest(policy_name="yours"))


def test_equal_requests_find_the_same_policy(desk: PolicyDesk) -> None:
    assert desk.policy_of(inline(0.25)) is desk.policy_of(inline(0.25))
    request = messages.RerankRequest(policy_name="mine")
    request.overrides.diversity = 0.25
    first = desk.policy_of(request)
    assert first is desk.policy_of(request)
    assert first.revision != desk.book.get("mine").revision


def test_an_override_of_zero_is_an_override(desk: PolicyDesk) -> None:
    request = messages.RerankRequest()
    request.overrides.diversity = 0.0
    assert desk.policy_of(request).message.objective.diversity == 0.0


def test_what_is_remembered_is_bounded(desk: PolicyDesk) -> None:
    oldest = desk.policy_of(inline(0.0))
    for i in range(1, 300):
        desk.policy_of(inline(i / 1_000))
    assert desk.policy_of(inline(0.0)) is not oldest


def test_overrides_that_vary_are_honoured_exactly_and_push_no_policy_sent_along_out(desk: PolicyDesk) -> None:
    sent_along = desk.policy_of(inline(0.25))
    for i in range(300):
        request = messages.RerankRequest(policy_name="mine")
        request.overrides.diversity = 0.1234567 + i * 1e-7
        assert desk.policy_of(request).message.objective.diversity == request.overrides.diversity
    assert desk.policy_of(inline(0.25)) is sent_along


def test_a_policy_sent_along_may_only_be_so_large(desk: PolicyDesk) -> None:
    request = inline(0.25)
    request.inline_policy.about.purpose = "x" * Limits().policy_bytes
    with pytest.raises(InvalidInput, match=r"inline_policy: must be at most 16384 bytes, is \d+"):
        desk.policy_of(request)


def test_mistakes_are_named_where_the_request_made_them(desk: PolicyDesk) -> None:
    with pytest.raises(InvalidInput) as raised:
        desk.policy_of(inline(7.0))
    assert [violation.path for violation in raised.value.violations] == ["inline_policy.objective.diversity"]


def test_in_production_no_request_brings_its_policy_along() -> None:
    desk = PolicyDesk(PolicyBook(), Limits(inline_policies=False))
    assert desk.policy_of(messages.RerankRequest()).name == "default"
    with pytest.raises(InvalidInput, match=r"inline_policy: is not taken by this server"):
        desk.policy_of(inline(0.25))
