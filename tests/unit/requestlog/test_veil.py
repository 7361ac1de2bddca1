from __future__ import annotations

import pytest

from reranker.requestlog.veil import PERIOD, Veil
from reranker.v1.reranker_service_pb2 import RerankRequest, RerankResponse

SECRETS = ("request-of-ann", "unit-of-ann", "item-one", "item-two", "seen-before")


def asked(*, catalog: bool = False) -> RerankRequest:
    request = RerankRequest(request_id="request-of-ann", slate_size=2)
    request.candidates.item_ids.extend(["item-one", "item-two"])
    request.candidates.scores.extend([2.0, 1.0])
    request.context.unit = "unit-of-ann"
    request.context.surface = "search"
    request.context.cursor = b"sealed"
    request.context.recent.item_ids.extend(["seen-before", "item-one"])
    request.context.fixed.add(slot=1, item_id="item-two")
    if catalog:
        request.candidates.catalog.SetInParent()
    return request


def answer() -> RerankResponse:
    response = RerankResponse(request_id="request-of-ann", positions=[1, 0], policy_name="p", catalog_version="v7")
    response.item_ids.extend(["item-two", "item-one"])
    response.cursor = b"sealed"
    response.explanations.add(text="item-two was fixed")
    response.notes.append("a note")
    response.arm = "b"
    return response


def test_no_id_is_written_and_equal_ids_stay_equal() -> None:
    request, response = asked(), answer()
    record = Veil("server", 0.5).record(1_000.25, request, response)
    data = record.SerializeToString()
    assert not any(secret.encode() in data for secret in SECRETS)
    assert b"sealed" not in data
    sent = record.request
    assert len(set(sent.candidates.item_ids)) == 2
    assert sent.context.recent.item_ids[1] == sent.candidates.item_ids[0]
    assert sent.context.fixed[0].item_id == sent.candidates.item_ids[1]
    assert len(record.metadata.request_hash) == 16
    assert (record.metadata.sampling_rate, record.metadata.origin) == (0.5, "server")
    assert record.metadata.time.ToNanoseconds() == 1_000_250_000_000
    assert list(record.response.positions) == [1, 0]
    assert (record.response.catalog_version, record.response.arm, sent.context.surface) == ("v7", "b", "search")
    assert (request, response) == (asked(), answer())  # what is being sent to the caller is not touched


def test_numbers_become_other_numbers() -> None:
    request = RerankRequest()
    request.candidates.item_numbers.extend([7, 2**64 - 1])
    request.context.fixed.add(slot=1, item_number=7)
    record = Veil("server", 1.0).record(0.0, request, RerankResponse())
    hidden = list(record.request.candidates.item_numbers)
    assert len(set(hidden)) == 2
    assert not {7, 2**64 - 1} & set(hidden)
    assert record.request.context.fixed[0].item_number == hidden[0]


def test_the_key_changes_with_the_period_and_with_the_process() -> None:
    veil = Veil("server", 1.0)
    hashes = [
        bytes(veil.record(time, asked(), answer()).metadata.request_hash)
        for time in (10.0, PERIOD - 1.0, PERIOD, 2.0 * PERIOD)
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3
    assert bytes(Veil("server", 1.0).record(10.0, asked(), answer()).metadata.request_hash) != hashes[0]


def test_items_of_a_catalog_stay_readable_and_nobody_else_does() -> None:
    record = Veil("server", 1.0).record(0.0, asked(catalog=True), answer())
    assert list(record.request.candidates.item_ids) == ["item-one", "item-two"]
    data = record.SerializeToString()
    assert b"request-of-ann" not in data
    assert b"unit-of-ann" not in data


def test_plain_ids_are_for_those_who_ask_for_them() -> None:
    record = Veil("server", 1.0, plain_ids=True).record(0.0, asked(), answer())
    assert (record.request.request_id, record.request.context.unit) == ("request-of-ann", "unit-of-ann")
    assert record.request.context.cursor == b""
    assert record.metadata.request_hash == b""


def test_of_who_wants_no_profile_neither_unit_nor_history_is_kept() -> None:
    request = asked()
    request.context.without_profiling = True
    record = Veil("server", 1.0, plain_ids=True).record(0.0, request, answer())
    assert record.request.context.unit == ""
    assert not record.request.context.HasField("recent")


def test_a_refined_request_is_never_recorded() -> None:
    request = asked()
    request.context.refinement.add(attribute="skin_tone", values=["dark"])
    with pytest.raises(ValueError, match="refined"):
        Veil("server", 1.0).record(0.0, request, answer())
