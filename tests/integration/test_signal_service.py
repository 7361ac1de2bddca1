"""`SignalService` on a real server, with a store, with a catalog alone, with both and with neither."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest

from loadtest.servers.valkey import Valkey, running_valkey
from reranker import LabelProbabilities
from reranker.client import Client, from_columns
from reranker.client.columns import recent_items
from reranker.errors import InvalidInput
from reranker.runtime.server import Server
from reranker.runtime.settings import Settings
from reranker.runtime.store import keep_erased
from reranker.signals import Shelf
from reranker.signals.erased import FILE, add_erased, read_erased
from reranker.store import StoreAddress
from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from reranker.v1.signal_service_pb2 import DeleteRequest, GetRequest, PutRequest
from reranker.v1.signal_service_pb2_grpc import SignalServiceStub
from tests.contract.refusals import details
from tests.reference.catalogs import build_rows
from tests.waiting import wait_for

IDS = [f"item-{i}" for i in range(30)]
SCORES = np.linspace(1, 0.4, 30)
VECTORS = np.random.default_rng(5).standard_normal((30, 8)).astype(np.float32)
TONES = [["dark", "mid", "light", None][i % 4] for i in range(30)]
GENRES = [[["noir", "crime"], [], ["comedy"]][i % 3] for i in range(30)]
ROWS = [
    {"id": item, "embedding": vector.tolist(), "tone": tone, "genre": genre}
    for item, vector, tone, genre in zip(IDS, VECTORS, TONES, GENRES, strict=True)
]


MANY_LABELS: dict[str, Any] = {"tone": LabelProbabilities([f"{n} {'x' * 300}" for n in range(256)], [[1 / 256] * 256])}


class Refused(NamedTuple):
    """How a call was refused."""

    code: grpc.StatusCode
    reason: str
    text: str
    fields: list[str]


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info, violations = details(caught.value)
    error: Any = caught.value
    return Refused(error.code(), info.reason, error.details(), list(violations))


class Called(NamedTuple):
    """A server and the stubs to it."""

    server: Server
    signals: SignalServiceStub
    reranker: RerankerServiceStub


@contextmanager
def serving(**settings: Any) -> Iterator[Called]:
    server = Server(Settings(listen="127.0.0.1:0", admin="", grace=1.0, **settings))
    server.warm_up()
    with grpc.insecure_channel(server.address) as channel:
        yield Called(server, SignalServiceStub(channel), RerankerServiceStub(channel))
    server.drain()


@pytest.fixture(scope="module")
def stored(valkey: Valkey) -> Iterator[Called]:
    with serving(store=StoreAddress.parse(valkey.url), store_items=True, store_timeout=5.0) as called:
        yield called


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    build_rows(folder, ROWS, version="v1")
    return folder


@pytest.fixture
def catalog(folder: Path) -> Iterator[Called]:
    with serving(catalog=folder) as called:
        yield called
    (folder / FILE).unlink(missing_ok=True)


def inline() -> messages.RerankRequest:
    candidates = from_columns(IDS, SCORES, VECTORS, {"tone": TONES, "genre": GENRES})
    return messages.RerankRequest(candidates=candidates, slate_size=10, explain=True, measures=True)


def by_id(ids: list[str] = IDS) -> messages.RerankRequest:
    candidates = from_columns(ids, SCORES[: len(ids)], catalog=True)
    return messages.RerankRequest(candidates=candidates, slate_size=10, explain=True, measures=True)


def put(called: Called) -> int:
    items = from_columns(IDS, SCORES, VECTORS, {"tone": TONES, "genre": GENRES})
    del items.scores[:]
    stored: int = called.signals.Put(PutRequest(items=items), timeout=20).stored
    return stored


def bare(response: messages.RerankResponse) -> messages.RerankResponse:
    for field in ("timings", "catalog_version", "cursor"):
        response.ClearField(field)
    return response


def unknown(called: Called, ids: list[str]) -> int:
    count: int = called.reranker.Rerank(by_id(ids), timeout=20).signals.unknown_ids
    return count


def test_what_is_put_is_reranked_as_if_it_were_inline(stored: Called) -> None:
    assert put(stored) == 30
    expected = bare(stored.reranker.Rerank(inline(), timeout=20))
    for _ in range(2):
        found = stored.reranker.Rerank(by_id(), timeout=20)
        assert found.catalog_version == "store"
        assert bare(found) == expected


def test_get_gives_what_was_put(stored: Called) -> None:
    put(stored)
    found = stored.signals.Get(GetRequest(item_ids=["item-4", "nobody", "item-3", "item-4"]), timeout=20)
    assert list(found.items.item_ids) == ["item-4", "item-3", "item-4"]
    assert list(found.unknown) == [1]
    (vectors,) = found.items.embeddings
    assert np.frombuffer(vectors.float32, "<f4").reshape(3, 8).tolist() == VECTORS[[4, 3, 4]].tolist()
    tone, genre = found.items.attributes
    assert [tone.dictionary[code - 1] if code else None for code in tone.codes] == ["dark", None, "dark"]
    assert list(genre.offsets) == [0, 0, 2, 2]


def test_the_client_puts_and_deletes(stored: Called) -> None:
    with Client(stored.server.address, deadline=20, on_error="raise") as client:
        assert client.put_items([3, 4], np.eye(2), {"tone": ["a", None]}) == 2
        assert client.rerank(from_columns([3, 4], [2, 1], catalog=True), 2).response.signals.unknown_ids == 0  # type: ignore[union-attr]
        assert client.delete_items([3]) == 1
        assert client.rerank(from_columns([3, 4], [2, 1], catalog=True), 2).response.signals.unknown_ids == 1  # type: ignore[union-attr]
        with pytest.raises(InvalidInput, match=r"items.item_ids\[0\]"):
            client.put_items(["x" * 2_000], np.eye(1))
        with pytest.raises(InvalidInput, match="none is"):
            client.delete_items([])


def test_numbers_are_ids_too(stored: Called) -> None:
    items = recent_items([7, 1 << 63], [[1.0, 2.0], [3.0, 4.0]])
    assert stored.signals.Put(PutRequest(items=items), timeout=20).stored == 2
    assert list(stored.signals.Get(GetRequest(item_numbers=[1 << 63, 8]), timeout=20).unknown) == [1]
    assert stored.signals.Delete(DeleteRequest(item_numbers=[7]), timeout=20).deleted == 1
    assert list(stored.signals.Get(GetRequest(item_numbers=[7]), timeout=20).unknown) == [0]


def test_what_is_deleted_is_gone_from_every_server(stored: Called, valkey: Valkey) -> None:
    put(stored)
    address = StoreAddress.parse(valkey.url)
    with serving(store=address, store_items=True, store_timeout=5.0) as other:
        assert unknown(other, IDS) == 0
        assert stored.signals.Delete(DeleteRequest(item_ids=IDS[:3] + IDS[:1]), timeout=20).deleted == 3
        assert unknown(stored, IDS) == 3
        wait_for(lambda: unknown(other, IDS) == 3)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (PutRequest(), ["items"]),
        (PutRequest(items=from_columns(["a"], [1], [[1.0]], catalog=True)), ["items.catalog"]),
        (PutRequest(items=recent_items(["a", "a"], [[1.0], [2.0]])), ["items.item_ids[1]"]),
        (PutRequest(items=from_columns(["a"], [1], None, MANY_LABELS)), ["items.attributes"]),
        (GetRequest(), ["item_ids"]),
        (GetRequest(item_ids=["a"], item_numbers=[1]), ["item_ids"]),
        (DeleteRequest(item_ids=["a", ""]), ["item_ids[1]"]),
    ],
)
def test_mistakes_are_named_by_their_field(stored: Called, request_: Any, fields: list[str]) -> None:
    call = getattr(stored.signals, type(request_).__name__.removesuffix("Request"))
    refused = refusal(lambda: call(request_, timeout=20))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == fields


def test_over_a_catalog_what_is_put_must_fit_and_what_is_deleted_stays_hidden(valkey: Valkey, folder: Path) -> None:
    address = StoreAddress.parse(valkey.url)
    with serving(store=address, store_items=True, store_prefix="over", store_timeout=5.0, catalog=folder) as called:
        try:
            assert unknown(called, IDS) == 0
            wrong = PutRequest(items=recent_items([1], [[1.0, 2.0]]))
            refused = refusal(lambda: called.signals.Put(wrong, timeout=20))
            assert refused.fields == ["items", "items.embeddings[0].dimension"]
            called.signals.Delete(DeleteRequest(item_ids=["item-2"]), timeout=20)
            assert unknown(called, IDS) == 1
            valkey.ask("FLUSHALL")  # who loses the store keeps the promise
            wait_for(lambda: unknown(called, IDS) == 1)
            assert read_erased(folder) == ["item-2"]
        finally:
            (folder / FILE).unlink(missing_ok=True)


def test_what_another_server_erased_stays_hidden_when_the_store_has_lost_everything(
    valkey: Valkey, folder: Path, tmp_path: Path
) -> None:
    """Each machine notes what was erased beside its own catalog; one that starts later hears of what was before."""
    build_rows(tmp_path, ROWS, version="v1")
    settings: dict[str, Any] = {
        "store": StoreAddress.parse(valkey.url),
        "store_items": True,
        "store_prefix": "away",
        "store_timeout": 5.0,
    }
    try:
        with serving(catalog=folder, **settings) as called:
            called.signals.Delete(DeleteRequest(item_ids=["item-1"]), timeout=20)
            with serving(catalog=tmp_path, **settings) as other:
                wait_for(lambda: read_erased(tmp_path) == ["item-1"])
                called.signals.Delete(DeleteRequest(item_ids=["item-2", "item-1"]), timeout=20)
                wait_for(lambda: read_erased(tmp_path) == ["item-1", "item-2"])
                valkey.ask("FLUSHALL")
                assert unknown(other, IDS) == 2
        assert read_erased(folder) == ["item-1", "item-2"]
    finally:
        (folder / FILE).unlink(missing_ok=True)


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    build_rows(tmp_path, ROWS, version="v1")
    monkeypatch.setattr("reranker.signals.shelf.add_erased", refuse)
    keep = keep_erased(Shelf(tmp_path))
    keep(["item-1"])
    keep(["item-2"])
    assert [record.message for record in caplog.records] == ["erased items cannot be noted beside the catalog"]


def test_a_store_that_goes_leaves_answers_and_refuses_promises(folder: Path) -> None:
    with (
        running_valkey() as server,
        serving(store=StoreAddress.parse(server.url), store_items=True, store_timeout=2.0, catalog=folder) as called,
    ):
        assert called.reranker.Rerank(by_id(), timeout=20).degraded == messages.DEGRADED_REASON_UNSPECIFIED
        server.kill()
        other = called.reranker.Rerank(by_id(["item-0", "new"]), timeout=20)
        assert other.degraded == messages.DEGRADED_REASON_SIGNALS
        assert (other.signals.unknown_ids, len(other.positions)) == (1, 2)
        assert any("could not be asked for: 1" in note for note in other.notes)
        for call, request in (
            (called.signals.Put, PutRequest(items=recent_items(["x"], [[1.0] * 8]))),
            (called.signals.Get, GetRequest(item_ids=["y"])),
            (called.signals.Delete, DeleteRequest(item_ids=["item-1"])),
        ):
            refused = refusal(lambda call=call, request=request: call(request, timeout=20))  # type: ignore[misc]
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert read_erased(folder) == []
        server.start()
        wait_for(lambda: not called.reranker.Rerank(by_id(["new"]), timeout=20).degraded)


def test_with_a_catalog_alone_deleted_items_are_hidden_here_there_and_in_the_next_build(
    catalog: Called, folder: Path
) -> None:
    with serving(catalog=folder) as other:
        assert unknown(other, IDS) == 0
        assert catalog.signals.Delete(DeleteRequest(item_ids=["item-1", "item-5", "never"]), timeout=20).deleted == 3
        assert unknown(catalog, IDS) == 2
        wait_for(lambda: unknown(other, IDS) == 2)
        assert list(catalog.signals.Get(GetRequest(item_ids=["item-1", "item-2"]), timeout=20).unknown) == [0]
    built = build_rows(folder, ROWS, version="v2", keep=2)
    assert (built.items, built.left_out) == (28, 2)
    (folder / "current").write_text("v1\n")


def test_with_a_catalog_alone_nothing_can_be_put(catalog: Called) -> None:
    refused = refusal(lambda: put(catalog))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ITEM_STORE")
    assert "--store-items" in refused.text


def test_a_folder_that_cannot_be_written_says_what_to_do(
    catalog: Called, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("reranker.signals.shelf.add_erased", refuse)
    refused = refusal(lambda: catalog.signals.Delete(DeleteRequest(item_ids=["item-1"]), timeout=20))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CATALOG_READ_ONLY")
    assert "--without" in refused.text


def test_a_damaged_file_of_erased_items_says_what_to_do(catalog: Called, folder: Path) -> None:
    (folder / FILE).write_text("no id\n")
    refused = refusal(lambda: catalog.signals.Delete(DeleteRequest(item_ids=["item-1"]), timeout=20))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CATALOG_DAMAGED")
    assert (folder / FILE).read_text() == "no id\n"


def test_writes_can_be_left_out(folder: Path) -> None:
    with serving(catalog=folder, signal_writes=False) as called:
        for call in (lambda: put(called), lambda: called.signals.Delete(DeleteRequest(item_ids=["a"]), timeout=20)):
            refused = refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WRITES_DISABLED")
        assert len(called.signals.Get(GetRequest(item_ids=["item-1"]), timeout=20).items.item_ids) == 1


def test_a_line_that_was_cut_off_was_promised_to_nobody(tmp_path: Path) -> None:
    add_erased(tmp_path, ["a", 7])
    with (tmp_path / FILE).open("a") as file:
        file.write(json.dumps("torn")[:3])
    assert read_erased(tmp_path) == ["a", 7]
    add_erased(tmp_path, ["line\nbreak", "a", "7"])
    assert read_erased(tmp_path) == ["a", 7, "line\nbreak", "7"]
