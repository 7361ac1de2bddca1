"""docs/security.md shows what every method and every page answers to whom: checked against a server that runs."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from reranker.runtime.server import Server
from reranker.service.doors import PERMISSIONS
from tests.integration.test_access import (
    FINE,
    MINE,
    STORELESS,
    code_and_reason,
    delete,
    get,
    get_policy,
    guarded_server,
    impressions,
    list_policies,
    put,
    rerank,
    stream,
    validate,
)

METHODS = {
    "Rerank": rerank(),
    "RerankStream": stream,
    "ValidatePolicy": validate,
    "GetPolicy": get_policy(MINE),
    "ListPolicies": list_policies,
    "Put": put,
    "Get": get,
    "Delete": delete,
    "RecordImpressions": impressions,
}
PAGES = ("/metrics", "/healthz", "/readyz", "/configz", "/statusz")
SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded_server(tmp_path_factory.mktemp("table")) as running:
        yield running


def seen_of(method: str, server: Server) -> list[str]:
    """What nobody, a stranger, another tenant, and a token without and with the permission meet, as the docs say it."""
    full = next(name for name in PERMISSIONS if name.endswith(f"/{method}"))
    service, permission = full.split("/")[1].removeprefix("reranker.v1."), PERMISSIONS[full].value
    lacking = "count" if permission == "rerank" else "rank"
    right = ("authorization", "Bearer all")
    callers = [[], [("authorization", "Bearer none")], [right, ("x-tenant-id", "events")]]
    found = [code_and_reason(METHODS[method], server, who) for who in callers]
    found.append(code_and_reason(METHODS[method], server, [("authorization", f"Bearer {lacking}")]))
    assert [code for code, _ in found] == ["UNAUTHENTICATED"] * 2 + ["PERMISSION_DENIED"] * 2
    assert code_and_reason(METHODS[method], server, [right]) in (FINE, STORELESS)
    return [f"`{service}.{method}`", *(f"`{reason}`" for _, reason in found), f"answered: `{permission}`"]


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the table that begins with a heading, without it and its rule."""
    lines = text[text.index(heading) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_docs_show_what_every_method_answers_to_whom(guarded: Server) -> None:
    assert {name.rpartition("/")[2] for name in PERMISSIONS} == set(METHODS)
    written = rows_of(SECURITY.read_text(), "| method | no token |")
    assert written == [seen_of(method, guarded) for method in METHODS]


def said_at(address: str, path: str) -> str:
    """What a browser is told."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as reply:
            return "answered" if reply.status == 200 else str(reply.status)
    except (OSError, http.client.HTTPException):
        return "nothing"


def test_the_docs_show_which_port_has_the_pages(guarded: Server) -> None:
    written = rows_of(SECURITY.read_text(), "| page | admin port |")
    ports = (guarded.admin_address, guarded.address)
    assert written == [[f"`{path}`", *(said_at(address, path) for address in ports)] for path in PAGES]
    assert guarded.admin_address.startswith("127.0.0.1:")
    with grpc.insecure_channel(guarded.admin_address) as channel, pytest.raises(grpc.RpcError) as raised:
        rerank()(channel, timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE  # no gRPC there
