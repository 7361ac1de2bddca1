"""Columns by reference over the wire: the answer is what inline columns get, and every mistake has its field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from reranker.client import Client, by_reference, from_columns, recent_items, request_context
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.contract.refusals import refusal
from tests.reference.catalogs import build_rows

NUMBERS = np.random.default_rng(5)
IDS = [f"item-{i}" for i in range(60)]
SCORES = NUMBERS.random(60)
VECTORS = NUMBERS.standard_normal((60, 16)).astype(np.float16).astype(np.float32)
TONES = [["dark", "mid", "light", None][i % 4] for i in range(60)]
GENRES = [[["noir", "crime"], [], ["comedy"]][i % 3] for i in range(60)]
ROWS = [
    {"id": item, "embedding": vector.tolist(), "tone": tone, "genre": genre}
    for item, vector, tone, genre in zip(IDS, VECTORS, TONES, GENRES, strict=True)
]
REFUSING = 'name = "refusing"\n[signals]\nunknown_id = "reject"\n'
KEEPING = 'name = "keeping"\n[objective]\ndiversity = 0.9\n[signals]\nunknown_id = "keep_in_place"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    build_rows(folder, ROWS, version="v1", precision="float16")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, policies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    own = tmp_path_factory.mktemp("policies")
    for path in policies.glob("*.toml"):
        (own / path.name).write_text(path.read_text())
    (own / "refusing.toml").write_text(REFUSING)
    (own / "keeping.toml").write_text(KEEPING)
    server = Server(Settings(listen="127.0.0.1:0", admin="", policies=own, catalog=folder, grace=1.0))
    server.warm_up()
    yield server.address
    server.drain()


@pytest.fixture(scope="module")
def referring(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


def inline(**more: Any) -> messages.RerankRequest:
    candidates = from_columns(IDS, SCORES, VECTORS, {"tone": TONES, "genre": GENRES})
    return messages.RerankRequest(candidates=candidates, slate_size=12, policy_name="tones", **more)


def by_id(ids: list[Any] = IDS, policy: str = "tones", **more: Any) -> messages.RerankRequest:
    candidates = from_columns(ids, SCORES[: len(ids)], catalog=True)
    return messages.RerankRequest(candidates=candidates, slate_size=12, policy_name=policy, **more)


def answer(channel: grpc.Channel, request: messages.RerankRequest) -> messages.RerankResponse:
    response: messages.RerankResponse = RerankerServiceStub(channel).Rerank(request, timeout=20)
    return response


def bare(response: messages.RerankResponse) -> messages.RerankResponse:
    """The answer without what must differ."""
    copy = messages.RerankResponse()
    copy.CopyFrom(response)
    for field in ("timings", "catalog_version", "cursor"):
        copy.ClearField(field)
    return copy


@pytest.mark.parametrize("more", [{}, {"explain": True, "measures": True, "return_ids": True}])
def test_the_answer_is_that_of_inline_columns(referring: grpc.Channel, more: dict[str, Any]) -> None:
    expected, found = answer(referring, inline(**more)), answer(referring, by_id(**more))
    assert bare(found) == bare(expected)
    assert (expected.catalog_version, found.catalog_version) == ("", "v1")
    assert (expected.timings.signals_us, found.timings.signals_us > 0) == (0, True)


def test_it_is_a_fraction_of_the_bytes() -> None:
    rng = np.random.default_rng(0)
    ids, scores = [f"item-{i:06d}" for i in range(1000)], rng.random(1000)
    full = from_columns(ids, scores, rng.random((1000, 128)).astype(np.float32))
    assert full.ByteSize() >= 15 * from_columns(ids, scores, catalog=True).ByteSize()


def test_the_client_sends_and_reads_it(address: str) -> None:
    with Client(address, deadline=20, on_error="raise") as client:
        slate = client.rerank(from_columns(IDS, SCORES, catalog=True), 12, "tones")
        assert slate.response is not None
        assert slate.response.catalog_version == "v1"
        named = by_reference(embeddings=[""], attributes=["tone", "genre"])
        again = client.rerank(from_columns(IDS, SCORES, catalog=named), 12, "tones")
        assert slate.ids == again.ids


def test_named_columns_come_alone_and_what_is_not_there_is_noted(referring: grpc.Channel) -> None:
    request = by_id()
    request.candidates.catalog.attributes.extend(["tone", "shape"])
    found = answer(referring, request)
    assert found.signals.missing_embeddings == 60  # embeddings were not asked for
    assert "the catalog has no attribute shape" in found.notes
    request = by_id()
    request.candidates.catalog.embeddings.extend(["", "image"])
    found = answer(referring, request)
    assert found.signals.missing_embeddings == 0
    assert list(found.signals.absent_attributes) == ["tone"]
    assert "the catalog has no embedding image" in found.notes


def test_inline_columns_win_and_come_first(referring: grpc.Channel) -> None:
    request = by_id()
    tones = ["light"] * 60
    request.candidates.MergeFrom(from_columns([], [], None, None))
    request.candidates.attributes.extend(from_columns(IDS, SCORES, None, {"tone": tones}).attributes)
    full = inline()
    full.candidates.attributes[0].CopyFrom(request.candidates.attributes[0])
    assert bare(answer(referring, request)) == bare(answer(referring, full))


def test_unknown_ids_are_counted_kept_or_refused(referring: grpc.Channel) -> None:
    ids = ["stranger-1", *IDS[:30], "stranger-2"]
    found = answer(referring, by_id(ids))
    assert (found.signals.unknown_ids, found.signals.missing_embeddings) == (2, 2)
    request = by_id(ids, "keeping")
    request.candidates.scores[0] = 2.0
    request.candidates.scores[31] = -1.0
    kept = answer(referring, request)
    assert kept.positions[0] == 0
    assert 31 not in kept.positions
    code, reason, fields = refusal(referring, by_id(ids, "refusing"))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert set(fields) == {"candidates.item_ids[0]", "candidates.item_ids[31]"}
    assert answer(referring, by_id(policy="refusing")).signals.unknown_ids == 0


def test_recently_shown_items_by_reference(referring: grpc.Channel) -> None:
    seen = request_context(recent=recent_items(IDS[:5], VECTORS[:5], {"tone": TONES[:5], "genre": GENRES[:5]}))
    referred = request_context(recent=recent_items(IDS[:5], catalog=True))
    assert bare(answer(referring, by_id(context=referred))) == bare(answer(referring, inline(context=seen)))
    strangers = request_context(recent=recent_items(["a", "b", *IDS[:2]], catalog=True))
    assert "recently shown items that are not in the catalog: 2" in answer(referring, by_id(context=strangers)).notes
    # Inline candidates may have a past by reference.
    assert answer(referring, inline(context=referred)).positions == answer(referring, inline(context=seen)).positions


def test_an_empty_list_by_reference(referring: grpc.Channel) -> None:
    request = messages.RerankRequest(slate_size=5, policy_name="tones")
    request.candidates.catalog.SetInParent()
    found = answer(referring, request)
    assert not found.positions
    assert found.catalog_version == "v1"


def spoilt_names(request: messages.RerankRequest) -> None:
    request.candidates.catalog.attributes.extend(["tone", "tone", "", "x" * 1025])
    request.candidates.catalog.embeddings.extend([""])


def spoilt_both(request: messages.RerankRequest) -> None:
    request.candidates.catalog.embeddings.append("")
    request.candidates.catalog.attributes.append("tone")
    request.candidates.embeddings.extend(inline().candidates.embeddings)
    request.candidates.attributes.extend(inline().candidates.attributes)


def spoilt_kind(request: messages.RerankRequest) -> None:
    del request.candidates.item_ids[:]
    request.candidates.item_numbers.extend(range(60))


def spoilt_count(request: messages.RerankRequest) -> None:
    request.candidates.catalog.attributes.extend(f"a{i}" for i in range(65))


@pytest.mark.parametrize(
    ("spoil", "paths"),
    [
        (spoilt_names, {f"candidates.catalog.attributes[{i}]" for i in (1, 2, 3)}),
        (spoilt_both, {"candidates.catalog.embeddings[0]", "candidates.catalog.attributes[0]"}),
        (spoilt_kind, {"candidates.item_numbers"}),
        (spoilt_count, {"candidates.catalog.attributes"}),
    ],
)
def test_mistakes_have_their_field(referring: grpc.Channel, spoil: Any, paths: set[str]) -> None:
    request = by_id()
    spoil(request)
    code, reason, fields = refusal(referring, request)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert set(fields) == paths


def test_a_server_without_a_catalog_says_so(channel: grpc.Channel) -> None:
    code, _, fields = refusal(channel, by_id())
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "has no item catalog" in fields["candidates.catalog"]
    request = inline()
    request.context.CopyFrom(request_context(recent=recent_items(IDS[:2], catalog=True)))
    assert set(refusal(channel, request)[2]) == {"context.recent.catalog"}


@pytest.mark.parametrize(
    "ids", [["item-1", "item-2", "item-1"], ["item-1", "nobody", "nobody"], ["x" * 1025, "item-1"]]
)
def test_ids_are_held_to_the_same_rules(referring: grpc.Channel, ids: list[str]) -> None:
    request = messages.RerankRequest(slate_size=2)
    request.candidates.item_ids.extend(ids)
    request.candidates.scores.extend(range(len(ids)))
    _, _, without = refusal(referring, request)
    request.candidates.catalog.SetInParent()
    assert refusal(referring, request)[2] == without
