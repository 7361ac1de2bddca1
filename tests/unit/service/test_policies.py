from __future__ import annotations

import pytest

from reranker import Policy
from reranker.codec.limits import Limits
from reranker.errors import InvalidInput, UnknownPolicy
from reranker.policy.routes import Routes
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
    assert desk.choice_of(messages.RerankRequest()).policy.name == "default"
    assert desk.choice_of(messages.RerankRequest(policy_name="")).policy.name == "default"


def test_a_name_means_the_book(desk: PolicyDesk) -> None:
    assert desk.choice_of(messages.RerankRequest(policy_name="mine")).policy is desk.book.get("mine")
    with pytest.raises(UnknownPolicy):
        desk.choice_of(messages.RerankRequest(policy_name="yours"))


def test_equal_requests_find_the_same_policy(desk: PolicyDesk) -> None:
    assert desk.choice_of(inline(0.25)).policy is desk.choice_of(inline(0.25)).policy
    request = messages.RerankRequest(policy_name="mine")
    request.overrides.diversity = 0.25
    first = desk.choice_of(request).policy
    assert first is desk.choice_of(request).policy
    assert first.revision != desk.book.get("mine").revision


def test_an_override_of_zero_is_an_override(desk: PolicyDesk) -> None:
    request = messages.RerankRequest()
    request.overrides.diversity = 0.0
    assert desk.choice_of(request).policy.message.objective.diversity == 0.0


def test_what_is_remembered_is_bounded(desk: PolicyDesk) -> None:
    oldest = desk.choice_of(inline(0.0)).policy
    for i in range(1, 300):
        desk.choice_of(inline(i / 1_000))
    assert desk.choice_of(inline(0.0)).policy is not oldest


def test_overrides_that_vary_are_honoured_exactly_and_push_no_policy_sent_along_out(desk: PolicyDesk) -> None:
    sent_along = desk.choice_of(inline(0.25)).policy
    for i in range(300):
        request = messages.RerankRequest(policy_name="mine")
        request.overrides.diversity = 0.1234567 + i * 1e-7
        assert desk.choice_of(request).policy.message.objective.diversity == request.overrides.diversity
    assert desk.choice_of(inline(0.25)).policy is sent_along


def test_a_policy_sent_along_may_only_be_so_large(desk: PolicyDesk) -> None:
    request = inline(0.25)
    request.inline_policy.about.purpose = "x" * Limits().policy_bytes
    with pytest.raises(InvalidInput, match=r"inline_policy: must be at most 16384 bytes, is \d+"):
        desk.choice_of(request)


def test_mistakes_are_named_where_the_request_made_them(desk: PolicyDesk) -> None:
    with pytest.raises(InvalidInput) as raised:
        desk.choice_of(inline(7.0))
    assert [violation.path for violation in raised.value.violations] == ["inline_policy.objective.diversity"]


def test_in_production_no_request_brings_its_policy_along() -> None:
    desk = PolicyDesk(PolicyBook(), Limits(inline_policies=False))
    assert desk.choice_of(messages.RerankRequest()).policy.name == "default"
    with pytest.raises(InvalidInput, match=r"inline_policy: is not taken by this server"):
        desk.choice_of(inline(0.25))


ROUTES = """
[[routes]]
when = { surface = ["search"] }
salt = "s"
arms = { upstream = 0.5, mine = 0.5 }
"""


@pytest.fixture
def routed() -> PolicyDesk:
    policies = [Policy.from_toml('name = "mine"')]
    return PolicyDesk(PolicyBook(policies, Routes.from_file(ROUTES.encode(), {"mine", "upstream"})), Limits())


def searching(unit: str, **words: object) -> messages.RerankRequest:
    request = messages.RerankRequest(**words)  # type: ignore[arg-type]
    request.context.surface, request.context.unit = "search", unit
    return request


def test_routes_decide_where_nothing_else_is_named(routed: PolicyDesk) -> None:
    assert {routed.choice_of(searching(f"u{i}")).arm for i in range(50)} == {"upstream", "mine"}
    assert not routed.choice_of(messages.RerankRequest()).triggered
    named = routed.choice_of(searching("u0", policy_name="default"))
    assert (named.policy.name, named.arm, named.triggered) == ("default", "", True)
    sent = inline(0.25)
    sent.context.CopyFrom(searching("u0").context)
    assert routed.choice_of(sent).arm == ""


def test_overrides_apply_in_every_arm_but_the_upstream_order(routed: PolicyDesk) -> None:
    for i in range(50):
        choice = routed.choice_of(searching(f"u{i}", overrides={"diversity": 0.125}))
        assert choice.policy.message.objective.diversity == (0.125 if choice.triggered else 0.0)
        with pytest.raises(InvalidInput, match=r"overrides\.diversity"):  # a mistake is one in every arm
            routed.choice_of(searching(f"u{i}", overrides={"diversity": 7}))


def test_another_book_serves_from_the_next_request_on(routed: PolicyDesk) -> None:
    before = routed.choice_of(messages.RerankRequest())
    routed.book = PolicyBook()
    assert not before.triggered
    assert routed.choice_of(messages.RerankRequest()).policy.name == "default"


def test_a_shadow_is_drawn_for_its_share_of_the_answers_and_no_request_brings_one() -> None:
    shadowed = {"shadow": {"policy": "mine", "fraction": 0.25}}
    policies = [Policy.from_dict({"name": "mine"}), Policy.from_dict({"name": "default", **shadowed})]
    desk = PolicyDesk(PolicyBook(policies), Limits())
    for request in (messages.RerankRequest(), messages.RerankRequest(policy_name="default")):
        choice = desk.choice_of(request)
        assert [policy.name for policy in choice.shadows] == ["mine"]
        drawn = sum(bool(choice.drawn_shadows()) for _ in range(4_000))
        assert abs(drawn - 1_000) < 6 * (4_000 * 0.25 * 0.75) ** 0.5
    assert desk.choice_of(messages.RerankRequest(policy_name="mine")).drawn_shadows() == ()
    sent_along = messages.RerankRequest()
    sent_along.inline_policy.CopyFrom(Policy.from_dict(shadowed).to_proto())
    with pytest.raises(InvalidInput, match=r"inline_policy\.shadow: goes with policies of the server"):
        desk.choice_of(sent_along)
