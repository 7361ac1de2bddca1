"""The access table: what answers on which port, and to whom."""

from __future__ import annotations

import queue
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from reranker.client import Client, ServerError, from_columns
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.service.doors import PERMISSIONS
from reranker.service.sensitive import INTERSECTION, WITHHELD
from reranker.service.tokens import Tokens
from reranker.v1 import exposure_service_pb2 as exposures
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1 import signal_service_pb2 as signals
from reranker.v1.exposure_service_pb2_grpc import ExposureServiceStub
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from reranker.v1.signal_service_pb2_grpc import SignalServiceStub

OPEN, MINE, THEIRS = "default", "mine", "theirs"
POLICY = """
name = "{name}"
[objective]
strategy = "relevance"
[[quotas]]
attribute = "tone"
min_count = {{ dark = 2 }}
within = 4
[[quotas]]
where = {{ tone = ["dark"], shape = ["round"] }}
min_count = 1
within = 4
[labels.tone]
sensitive = true
"""
TOKENS = {
    "all": ("search", "rerank,explain_sensitive,signals,policies,impressions", None),
    "rank": ("search", "rerank", None),
    "some": ("search", "rerank,policies", [OPEN, MINE]),
    "count": ("events", "impressions,signals", None),
}
CANDIDATES = from_columns(
    [f"p{i}" for i in range(12)],
    np.linspace(1, 0, 12),
    None,
    {"tone": ["light"] * 8 + ["dark"] * 4, "shape": ["round", "flat"] * 6},
)


def token_file(**tokens: tuple[str, str, list[str] | None]) -> str:
    blocks = []
    for token, (tenant, permissions, policies) in tokens.items():
        named = "" if policies is None else f"policies = {policies!r}\n"
        listed = permissions.split(",")
        digest = sha256(token.encode()).hexdigest()
        blocks.append(f'[[tokens]]\nsha256 = "{digest}"\ntenant = "{tenant}"\npermissions = {listed!r}\n{named}')
    return "\n".join(blocks)


@contextmanager
def guarded_server(folder: Path) -> Iterator[Server]:
    """A server with policies and tokens."""
    (folder / "policies").mkdir()
    for name in (MINE, THEIRS):
        (folder / "policies" / f"{name}.toml").write_text(POLICY.format(name=name))
    (folder / "tokens.toml").write_text(token_file(**TOKENS))
    settings = Settings(
        listen="127.0.0.1:0",
        admin="127.0.0.1:0",
        policies=folder / "policies",
        token_file=folder / "tokens.toml",
        grace=1.0,
    )
    running = Server(settings)
    running.warm_up()
    yield running
    running.drain()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded_server(tmp_path_factory.mktemp("access")) as running:
        yield running


def rerank(policy: str = "", inline: bool = False, explain: bool = False) -> Callable[..., Any]:
    request = messages.RerankRequest(candidates=CANDIDATES, slate_size=4, policy_name=policy, explain=explain)
    if inline:
        request.inline_policy.objective.diversity = 0.5
    return lambda channel, **how: RerankerServiceStub(channel).Rerank(request, **how)


def stream(channel: grpc.Channel, **how: Any) -> Any:
    request = messages.RerankRequest(candidates=CANDIDATES, slate_size=4)
    requests = iter([messages.RerankStreamRequest(request=request)])
    return list(RerankerServiceStub(channel).RerankStream(requests, **how))


def get_policy(name: str) -> Callable[..., Any]:
    return lambda channel, **how: RerankerServiceStub(channel).GetPolicy(messages.GetPolicyRequest(name=name), **how)


def list_policies(channel: grpc.Channel, **how: Any) -> Any:
    return RerankerServiceStub(channel).ListPolicies(messages.ListPoliciesRequest(), **how)


def validate(channel: grpc.Channel, **how: Any) -> Any:
    return RerankerServiceStub(channel).ValidatePolicy(messages.ValidatePolicyRequest(toml=""), **how)


def impressions(channel: grpc.Channel, **how: Any) -> Any:
    return ExposureServiceStub(channel).RecordImpressions(exposures.RecordImpressionsRequest(), **how)


def put(channel: grpc.Channel, **how: Any) -> Any:
    return SignalServiceStub(channel).Put(signals.PutRequest(items={"item_ids": ["p0"]}), **how)


def get(channel: grpc.Channel, **how: Any) -> Any:
    return SignalServiceStub(channel).Get(signals.GetRequest(item_ids=["p0"]), **how)


def delete(channel: grpc.Channel, **how: Any) -> Any:
    return SignalServiceStub(channel).Delete(signals.DeleteRequest(item_ids=["p0"]), **how)


def reflection(channel: grpc.Channel, **_: Any) -> Any:
    return ProtoReflectionDescriptorDatabase(channel).get_services()


def health(channel: grpc.Channel, **how: Any) -> Any:
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), **how)


def code_and_reason(call: Callable[..., Any], server: Server, metadata: Sequence[tuple[str, str]]) -> tuple[str, str]:
    with grpc.insecure_channel(server.address) as channel:
        try:
            call(channel, timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            assert status is not None
            info = error_details_pb2.ErrorInfo()
            status.details[0].Unpack(info)
            assert "p0" not in status.message
            return error.code().name, info.reason
    return "OK", ""


RANK = ("authorization", "Bearer rank")
NO_TOKEN, UNKNOWN = ("UNAUTHENTICATED", "NO_TOKEN"), ("UNAUTHENTICATED", "UNKNOWN_TOKEN")
DENIED, FOREIGN, FINE = ("PERMISSION_DENIED", "NOT_PERMITTED"), ("PERMISSION_DENIED", "WRONG_TENANT"), ("OK", "")
STORELESS = ("FAILED_PRECONDITION", "NO_ITEM_STORE")  # let in: this server has no items to answer with

# For each call: nobody, somebody with a token that is none, and the four tokens.
TABLE = {
    "Rerank": (rerank(), NO_TOKEN, UNKNOWN, FINE, FINE, FINE, DENIED),
    "Rerank, a policy by name": (rerank(MINE), NO_TOKEN, UNKNOWN, FINE, FINE, FINE, DENIED),
    "Rerank, a policy of others": (rerank(THEIRS), NO_TOKEN, UNKNOWN, FINE, FINE, DENIED, DENIED),
    "Rerank, a policy that there is not": (
        rerank("none"),
        NO_TOKEN,
        UNKNOWN,
        ("NOT_FOUND", "UNKNOWN_POLICY"),
        ("NOT_FOUND", "UNKNOWN_POLICY"),
        DENIED,
        DENIED,
    ),
    "Rerank, a policy sent along": (rerank(inline=True), NO_TOKEN, UNKNOWN, FINE, FINE, DENIED, DENIED),
    "RerankStream": (stream, NO_TOKEN, UNKNOWN, FINE, FINE, FINE, DENIED),
    "ValidatePolicy": (validate, NO_TOKEN, UNKNOWN, FINE, DENIED, FINE, DENIED),
    "GetPolicy": (get_policy(MINE), NO_TOKEN, UNKNOWN, FINE, DENIED, FINE, DENIED),
    "GetPolicy of others": (get_policy(THEIRS), NO_TOKEN, UNKNOWN, FINE, DENIED, DENIED, DENIED),
    "ListPolicies": (list_policies, NO_TOKEN, UNKNOWN, FINE, DENIED, FINE, DENIED),
    "RecordImpressions": (impressions, NO_TOKEN, UNKNOWN, FINE, DENIED, DENIED, FINE),
    "Put": (put, NO_TOKEN, UNKNOWN, STORELESS, DENIED, DENIED, STORELESS),
    "Get": (get, NO_TOKEN, UNKNOWN, STORELESS, DENIED, DENIED, STORELESS),
    "Delete": (delete, NO_TOKEN, UNKNOWN, STORELESS, DENIED, DENIED, STORELESS),
    "Reflection": (reflection, FINE, FINE, FINE, FINE, FINE, FINE),
    "Health": (health, FINE, FINE, FINE, FINE, FINE, FINE),
}
CALLERS = ("", "Bearer not-a-token", *(f"Bearer {token}" for token in TOKENS))


@pytest.mark.parametrize("name", TABLE)
def test_who_may_call_what(guarded: Server, name: str) -> None:
    call, *expected = TABLE[name]
    found = [code_and_reason(call, guarded, [("authorization", who)] if who else []) for who in CALLERS]
    assert dict(zip(CALLERS, found, strict=True)) == dict(zip(CALLERS, expected, strict=True))


@pytest.mark.parametrize("who", ["Bearer all", "bearer  all ", "BEARER all"])
def test_the_scheme_has_any_case(guarded: Server, who: str) -> None:
    assert code_and_reason(rerank(), guarded, [("authorization", who)]) == FINE


@pytest.mark.parametrize("who", ["all", "Basic all", "Bearer", "Bearer all all", "Bearer ALL", "Bearer all;rank"])
def test_only_bearer_tokens_count(guarded: Server, who: str) -> None:
    assert code_and_reason(rerank(), guarded, [("authorization", who)]) in (NO_TOKEN, UNKNOWN)


def test_a_token_speaks_for_its_own_tenant_alone(guarded: Server) -> None:
    assert code_and_reason(rerank(), guarded, [RANK, ("x-tenant-id", "search")]) == FINE
    assert code_and_reason(rerank(), guarded, [RANK, ("x-tenant-id", "events")]) == FOREIGN
    twice = [("x-tenant-id", "events"), ("x-tenant-id", "search")]
    assert code_and_reason(rerank(), guarded, [RANK, *twice]) == FOREIGN


def test_callers_see_the_policies_that_are_theirs(guarded: Server) -> None:
    with grpc.insecure_channel(guarded.address) as channel:
        seen = list_policies(channel, timeout=20, metadata=[("authorization", "Bearer some")])
        assert {policy.name for policy in seen.policies} == {OPEN, MINE}


def test_every_method_of_every_service_asks_for_a_permission() -> None:
    services = [
        *messages.DESCRIPTOR.services_by_name.values(),
        *signals.DESCRIPTOR.services_by_name.values(),
        *exposures.DESCRIPTOR.services_by_name.values(),
    ]
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert set(PERMISSIONS) == methods


def test_values_of_sensitive_attributes_need_a_permission(guarded: Server) -> None:
    def explained(token: str, policy: str = MINE) -> messages.RerankResponse:
        with grpc.insecure_channel(guarded.address) as channel:
            how = {"timeout": 20, "metadata": [("authorization", f"Bearer {token}")]}
            response = rerank(policy, explain=True)(channel, **how)
            assert isinstance(response, messages.RerankResponse)
            return response

    seen, kept = explained("all"), explained("rank")
    assert list(seen.positions) == list(kept.positions)
    named = {(touch.attribute, touch.value) for one in seen.explanations for touch in one.forced_by}
    assert ("tone", "dark") in named
    assert {touch.value for one in kept.explanations for touch in one.forced_by} == {""}
    assert {touch.attribute for one in kept.explanations for touch in one.forced_by} <= {"tone", INTERSECTION}
    assert {one.text for one in kept.explanations} == {WITHHELD}
    assert WITHHELD not in {one.text for one in explained("rank", OPEN).explanations}  # nothing in it is sensitive


def test_a_tenant_beyond_its_rate_is_told_when_to_come_back(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    limit = "[tenants.search]\nrequests_per_second = 1\nburst = 2\n"
    file.write_text(f"{token_file(**TOKENS)}\n{limit}")
    server = Server(Settings(listen="127.0.0.1:0", admin="", token_file=file, grace=1.0))
    server.warm_up()
    try:
        how = {"timeout": 20, "metadata": [("authorization", "Bearer rank")]}
        with grpc.insecure_channel(server.address) as channel:
            requests = [messages.RerankStreamRequest(request=messages.RerankRequest(candidates=CANDIDATES))] * 40
            answers = list(RerankerServiceStub(channel).RerankStream(iter(requests), **how))
            codes = [answer.error.code for answer in answers if answer.HasField("error")]
            assert grpc.StatusCode.RESOURCE_EXHAUSTED.value[0] in codes
            with pytest.raises(grpc.RpcError) as raised:
                [rerank()(channel, **how) for _ in range(40)]
            status = rpc_status.from_call(raised.value)
            assert status is not None
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(retry)
            assert info.reason == "TENANT_LIMIT"
            assert 0 < retry.retry_delay.ToNanoseconds() <= 1_000_000_000
            quota = error_details_pb2.QuotaFailure()
            assert status.details[2].Unpack(quota)
            assert [violation.subject for violation in quota.violations] == ["tenant:search"]
            impressions(channel, timeout=20, metadata=[("authorization", "Bearer count")])  # another tenant
    finally:
        server.drain()


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ({"rank": TOKENS["rank"], "all": TOKENS["all"]}, "OK"),
        ({"rank": TOKENS["count"]}, "PERMISSION_DENIED"),
        ({"all": TOKENS["all"]}, "UNAUTHENTICATED"),
    ],
)
def test_a_stream_goes_on_while_its_token_is_good_for_it(guarded: Server, after: Any, code: str) -> None:
    doors = guarded._doors
    before, requests = doors.tokens, queue.SimpleQueue[messages.RerankStreamRequest | None]()
    one = messages.RerankStreamRequest(request=messages.RerankRequest(candidates=CANDIDATES, slate_size=4))
    try:
        with grpc.insecure_channel(guarded.address) as channel:
            how = {"timeout": 60, "metadata": [("authorization", "Bearer rank")]}
            answers = RerankerServiceStub(channel).RerankStream(iter(requests.get, None), **how)
            requests.put(one)
            assert next(answers).HasField("response")
            doors.replace(Tokens.read(token_file(**after).encode(), "tokens.toml"))
            requests.put(one)
            try:
                found = "OK" if next(answers).HasField("response") else "an apology"
            except grpc.RpcError as error:
                found = error.code().name
            assert found == code
            requests.put(None)
    finally:
        doors.replace(before)


def test_the_client_brings_its_token(guarded: Server) -> None:
    with Client(guarded.address, deadline=20, token="rank", on_error="raise") as client:
        assert client.rerank(CANDIDATES, 4).positions.tolist()
    with Client(guarded.address, deadline=20, token="count") as client:
        assert client.record_impressions({"r": [1]}).unknown_ids == 1
    with Client(guarded.address, deadline=20, token=lambda: "wrong", on_error="raise") as client:
        with pytest.raises(ServerError) as raised:
            client.rerank(CANDIDATES, 4)
        assert raised.value.reason == "UNKNOWN_TOKEN"
    with Client(guarded.address, deadline=20) as client:
        assert client.rerank(CANDIDATES, 4).degraded == "CLIENT_FALLBACK"
        assert client.rejections == {"UNAUTHENTICATED": 1}


def test_the_other_port_shows_pages_and_no_secret(guarded: Server) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/configz", "/statusz"):
        with urllib.request.urlopen(f"http://{guarded.admin_address}{path}", timeout=20) as reply:
            text = reply.read().decode()
        assert not any(sha256(token.encode()).hexdigest() in text for token in TOKENS)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(f"http://{guarded.admin_address}/healthz", data=b""), timeout=20)
    with raised.value as answer:
        assert answer.code == 501  # there is nothing to write to


def test_reflection_is_there_for_developers_only(guarded: Server, tmp_path: Path) -> None:
    with grpc.insecure_channel(guarded.address) as channel:
        assert ProtoReflectionDescriptorDatabase(channel).get_services()
    production = Server(Settings(listen="127.0.0.1:0", admin="", profile="production"))
    try:
        with grpc.insecure_channel(production.address) as channel, pytest.raises(grpc.RpcError) as raised:
            ProtoReflectionDescriptorDatabase(channel).get_services()
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    finally:
        production.drain()
