"""Callers who are known by their certificates, over real mutual TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reranker.client import from_columns
from reranker.errors import InvalidInput
from reranker.runtime.inputs import Inputs
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.waiting import wait_for

PEMS = Path(__file__).parent / "certificates"
REQUEST = messages.RerankRequest(candidates=from_columns(["a", "b", "c"], [3, 2, 1]), slate_size=2)
TOKENS = f"""
[[tokens]]
sha256 = "{sha256(b"word").hexdigest()}"
tenant = "home"
permissions = ["rerank"]
"""
BY_COMMON_NAME = """
[[certificates]]
common_name = "a client"
tenant = "search"
permissions = ["rerank"]
"""
BY_ALTERNATIVE_NAME = BY_COMMON_NAME.replace('common_name = "a client"', 'alternative_name = "localhost"')
LIMITED = "[tenants.search]\nrequests_per_second = 1\nburst = 1\n"
WORD = ("authorization", "Bearer word")

Callers = Callable[[str], "Running"]


class Running(NamedTuple):
    """A server, its file of callers, and channels to it: of the client whom files may name, and of another."""

    server: Server
    file: Path
    named: grpc.Channel
    other: grpc.Channel


def channel(address: str, name: str) -> grpc.Channel:
    key, chain = (PEMS / f"{name}.key").read_bytes(), (PEMS / f"{name}.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials((PEMS / "authority.pem").read_bytes(), key, chain)
    return grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture
def callers(tmp_path: Path) -> Iterator[Callers]:
    file = tmp_path / "callers.toml"
    started: list[Running] = []

    def start(text: str) -> Running:
        file.write_text(text)
        server = Server(
            Settings(
                listen="127.0.0.1:0",
                admin="",
                token_file=file,
                tls_certificate=PEMS / "server.pem",
                tls_key=PEMS / "server.key",
                tls_client_ca=PEMS / "authority.pem",
                grace=1.0,
            )
        )
        server.warm_up()
        found = Running(server, file, channel(server.address, "client"), channel(server.address, "renewed"))
        started.append(found)
        return found

    yield start
    for found in started:
        found.named.close()
        found.other.close()
        found.server.drain()


def outcome(through: grpc.Channel, *metadata: tuple[str, str]) -> str:
    return outcome_of(lambda: RerankerServiceStub(through).Rerank(REQUEST, timeout=20, metadata=metadata))


def outcome_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(error)
        assert status is not None
        assert status.details[0].Unpack(info)
        return str(info.reason)
    return "OK"


@pytest.mark.parametrize("certificates", [BY_COMMON_NAME, BY_ALTERNATIVE_NAME])
def test_a_certificate_says_whose_a_call_is_and_what_it_may(callers: Callers, certificates: str) -> None:
    found = callers(certificates)
    assert outcome(found.named) == "OK"
    assert outcome(found.named, ("x-tenant-id", "search")) == "OK"
    assert outcome(found.named, ("x-tenant-id", "home")) == "WRONG_TENANT"
    listing = RerankerServiceStub(found.named).ListPolicies
    assert outcome_of(lambda: listing(messages.ListPoliciesRequest(), timeout=20)) == "NOT_PERMITTED"
    page = found.server.metrics("text/plain")[1].decode()
    assert 'reranker_tenant_requests_total{grpc_code="OK",tenant="search"} 2.0' in page


def test_a_certificate_that_is_nobodys_needs_a_token(callers: Callers) -> None:
    found = callers(TOKENS + BY_COMMON_NAME)
    assert outcome(found.other) == "NO_TOKEN"
    assert outcome(found.other, WORD) == "OK"
    assert outcome(found.other, ("authorization", "Bearer guess")) == "UNKNOWN_TOKEN"


def test_a_token_under_the_certificate_of_another_tenant_is_not_taken(callers: Callers) -> None:
    found = callers(TOKENS + BY_COMMON_NAME)
    assert outcome(found.named, WORD) == "WRONG_TENANT"
    assert outcome(found.named, ("authorization", "Basic word")) == "NO_TOKEN"


def test_a_certificate_with_the_names_of_two_tenants_is_neithers(callers: Callers) -> None:
    found = callers(TOKENS + BY_COMMON_NAME + BY_ALTERNATIVE_NAME.replace('"search"', '"other"'))
    assert outcome(found.named) == "WRONG_TENANT"
    assert outcome(found.named, ("x-tenant-id", "search")) == "WRONG_TENANT"
    assert outcome(found.named, WORD) == "WRONG_TENANT"


def test_of_two_blocks_of_one_tenant_the_alternative_name_counts(callers: Callers) -> None:
    found = callers(BY_COMMON_NAME.replace('"rerank"', '"policies"') + BY_ALTERNATIVE_NAME)
    assert outcome(found.named) == "OK"


def test_a_tenants_limit_counts_requests_under_its_certificate(callers: Callers) -> None:
    found = callers(BY_COMMON_NAME + LIMITED)
    assert [outcome(found.named) for _ in range(2)] == ["OK", "TENANT_LIMIT"]


def test_the_requests_of_a_stream_are_counted_one_by_one(callers: Callers) -> None:
    found = callers(BY_COMMON_NAME + LIMITED)
    requests = [messages.RerankStreamRequest(request=REQUEST) for _ in range(2)]
    answers = list(RerankerServiceStub(found.named).RerankStream(iter(requests), timeout=20))
    assert [answer.WhichOneof("result") for answer in answers] == ["response", "error"]


def test_a_certificate_that_is_taken_out_of_the_file_is_good_no_more(callers: Callers) -> None:
    found = callers(TOKENS + BY_COMMON_NAME)
    assert outcome(found.named) == "OK"
    found.file.write_text(TOKENS)
    wait_for(lambda: outcome(found.named) == "NO_TOKEN")


def test_certificates_without_authorities_that_vouch_for_them_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "callers.toml").write_text(BY_COMMON_NAME)
    with pytest.raises(InvalidInput) as raised:
        Inputs(Settings(token_file=tmp_path / "callers.toml"))
    assert "tls_client_ca" in str(raised.value)


def kinds(violations: Sequence[Any]) -> list[str]:
    return [violation.path for violation in violations]


def test_every_mistake_in_a_block_is_named(tmp_path: Path) -> None:
    (tmp_path / "callers.toml").write_text(
        '[[certificates]]\ncommon_name = ""\ntenant = "a b"\npermissions = []\nsha256 = "x"\n'
        '[[certificates]]\ntenant = "search"\npermissions = ["rerank"]\n' + BY_COMMON_NAME + BY_COMMON_NAME
    )
    with pytest.raises(InvalidInput) as raised:
        Inputs(Settings(token_file=tmp_path / "callers.toml"))
    assert kinds(raised.value.violations) == [
        "certificates[0].sha256",
        "certificates[0].common_name",
        "certificates[0].tenant",
        "certificates[0].permissions",
        "certificates[1]",
        "certificates[3].common_name",
    ]
