"""`SignalService`: items into the store, out of it, and out of everything."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import grpc
import numpy as np

from reranker.candidates import Candidates, Id
from reranker.codec.arrays import check_texts
from reranker.codec.candidates import UNREAD, decode_candidates
from reranker.codec.catalog import Lookup
from reranker.codec.items import encode_items
from reranker.codec.limits import Limits
from reranker.errors import BadCatalog, InvalidInput, StoreError, Violation
from reranker.service.errors import Failure
from reranker.service.wire import Call, Wire
from reranker.signals import Shelf
from reranker.signals.stored import StoredItems
from reranker.v1 import candidates_pb2, signal_service_pb2

SERVICE = "reranker.v1.SignalService"
_SECONDS = 5.0  # that a call waits for the store, if its deadline leaves that much


class SignalServicer:
    """Answers messages; raises what `errors.failure_of` knows.

    `items` are those in the store and `shelf` has the catalog, None where the server has none; with `writes` false,
    only Get answers.
    """

    def __init__(self, limits: Limits, shelf: Shelf | None, items: StoredItems | None, *, writes: bool) -> None:
        self._limits, self._shelf, self._items, self._writes = limits, shelf, items, writes

    def put(self, request: signal_service_pb2.PutRequest, call: Call) -> signal_service_pb2.PutResponse:
        """Add or replace items in the store: each wholly, whatever it had before."""
        self._check_writes()
        if self._items is None:
            text = (
                "this server keeps no items of its own: build them into the catalog (reranker catalog build), or start "
                "it with --store and --store-items"
            )
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, "NO_ITEM_STORE", text)
        found: list[Violation] = []
        sent = request.items
        if sent.HasField("catalog"):
            found.append(Violation("candidates.catalog", "must be empty: what is put travels inline"))
            sent.ClearField("catalog")
        sent.scores[:] = [0.0] * max(len(sent.item_ids), len(sent.item_numbers))  # they are ignored
        items = decode_candidates(sent, self._limits, found)
        self._check_kind(items, found)
        if found:
            raise _of_items(found)
        try:
            self._items.put(items, call.seconds_left(_SECONDS))
        except InvalidInput as error:
            raise _of_items(error.violations) from None
        except StoreError as error:
            raise _unavailable(error, "some of the items may be in it: put them again") from None
        return signal_service_pb2.PutResponse(stored=len(items))

    def get(self, request: signal_service_pb2.GetRequest, call: Call) -> signal_service_pb2.GetResponse:
        """The items of some ids as requests by reference meet them."""
        ids = self._ids(request)
        if self._items is None and self._shelf is None:
            text = "this server has no item catalog (--catalog, or --store and --store-items)"
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, "NO_ITEM_STORE", text)
        items = self._items
        end = perf_counter() + call.seconds_left(_SECONDS)
        find = None if items is None else lambda distinct: items.find(distinct, lambda: end - perf_counter())
        lookup = Lookup(None if self._shelf is None else self._shelf.catalog, find)
        message = candidates_pb2.CandidateList(
            item_ids=request.item_ids, item_numbers=request.item_numbers, catalog=candidates_pb2.CatalogReference()
        )
        found: list[Violation] = []
        items_found = decode_candidates(message, self._limits, found, lookup=lookup, scored=False)
        if found:
            raise _of_ids(found)
        if lookup.degraded:
            text = "the store could not be asked for all of the items: ask again"
            raise Failure(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", text)
        unknown = np.zeros(len(ids), bool) if items_found.unknown is None else items_found.unknown
        known = items_found.take(np.flatnonzero(~unknown))
        return signal_service_pb2.GetResponse(items=encode_items(known), unknown=np.flatnonzero(unknown).tolist())

    def delete(self, request: signal_service_pb2.DeleteRequest, call: Call) -> signal_service_pb2.DeleteResponse:
        """Erase items: from the store, from what every process remembers, and from what the catalog shows."""
        self._check_writes()
        ids = list(dict.fromkeys(self._ids(request)))
        if self._items is None and self._shelf is None:
            text = "this server has no item catalog: there is nothing to erase"
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, "NO_ITEM_STORE", text)
        if self._items is not None:
            try:
                self._items.erase(ids, call.seconds_left(_SECONDS))
            except StoreError as error:
                raise _unavailable(error, "some of the items may still be in it: erase them again") from None
        if self._shelf is not None:
            self._hide(self._shelf, ids)
        return signal_service_pb2.DeleteResponse(deleted=len(ids))

    def _hide(self, shelf: Shelf, ids: Sequence[Id]) -> None:
        try:
            shelf.erase(ids)
        except (OSError, BadCatalog) as error:
            if self._items is not None:
                return  # the store's tombstones hide them
            if isinstance(error, BadCatalog):
                text = "the file `erased` in the catalog's folder is damaged: nothing was erased; mend it and try again"
                raise Failure(grpc.StatusCode.FAILED_PRECONDITION, "CATALOG_DAMAGED", text) from None
            text = (
                "the catalog's folder cannot be written, so nothing was erased: build it again without the items "
                "(reranker catalog build --without)"
            )
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, "CATALOG_READ_ONLY", text) from None

    def _ids(self, request: signal_service_pb2.GetRequest | signal_service_pb2.DeleteRequest) -> Sequence[Id]:
        """The ids that a request names; raises `InvalidInput`."""
        found: list[Violation] = []
        if request.item_ids and request.item_numbers:
            found.append(Violation("item_ids", "exactly one of item_ids and item_numbers must be filled, both are"))
        ids: Sequence[Id] = list(request.item_ids) or list(request.item_numbers)
        form = "item_ids" if request.item_ids else "item_numbers"
        if not ids:
            found.append(Violation("item_ids", "exactly one of item_ids and item_numbers must be filled, none is"))
        elif len(ids) > self._limits.candidates:
            found.append(Violation(form, f"must be at most {self._limits.candidates} ids, are {len(ids)}"))
        check_texts("item_ids", list(request.item_ids), self._limits.text_length, found)
        if found:
            raise InvalidInput(found)
        return ids

    def _check_writes(self) -> None:
        if not self._writes:
            text = "this server takes no changes of items: --signal-writes lets them in"
            raise Failure(grpc.StatusCode.PERMISSION_DENIED, "WRITES_DISABLED", text)

    def _check_kind(self, items: Candidates, found: list[Violation]) -> None:
        """Ids, lengths of vectors and forms of attributes must be those of the catalog, or nothing fits together."""
        if items is UNREAD or not len(items):
            if not found:
                found.append(Violation("candidates", "must be at least one item"))
            return
        catalog = None if self._shelf is None else self._shelf.catalog
        if catalog is None:
            return
        if isinstance(items.ids[0], int) != catalog.has_numbers:
            kind = "item_numbers" if catalog.has_numbers else "item_ids"
            found.append(Violation("candidates", f"must have {kind}, as the catalog has"))
        wanted = {entry.name: entry.dimension for entry in catalog.manifest.embeddings}
        for i, (name, own) in enumerate(items.embeddings.items()):
            if own.matrix.shape[1] != wanted.get(name, own.matrix.shape[1]):
                reason = f"must be {wanted[name]}, as in the catalog, is {own.matrix.shape[1]}"
                found.append(Violation(f"candidates.embeddings[{i}].dimension", reason))


def handlers(servicer: SignalServicer, wire: Wire) -> grpc.GenericRpcHandler:
    """The service as gRPC wants it."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Put": wire.unary("Put", signal_service_pb2.PutRequest, servicer.put, stores=True),
        "Get": wire.unary("Get", signal_service_pb2.GetRequest, servicer.get, stores=True),
        "Delete": wire.unary("Delete", signal_service_pb2.DeleteRequest, servicer.delete, stores=True),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _of_items(found: Sequence[Violation]) -> InvalidInput:
    return InvalidInput(
        Violation(each.path.replace("candidates", "items", 1), each.reason.replace("candidates.", "items."))
        for each in found
    )


def _of_ids(found: Sequence[Violation]) -> InvalidInput:
    return InvalidInput(
        Violation(each.path.removeprefix("candidates."), each.reason.replace("candidates.", "")) for each in found
    )


def _unavailable(error: StoreError, what_next: str) -> Failure:
    text = f"{error}; {what_next}"
    return Failure(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", text, metadata={"store": error.reason})
