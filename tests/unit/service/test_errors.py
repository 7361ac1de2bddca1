from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from reranker.errors import DeadlinePassed, InvalidInput, UnknownPolicy, Violation
from reranker.service.errors import Failure, failure_of, message_of, status_of, unparsable
from reranker.service.wire import CODE_NAMES


def unpacked(failure: Failure) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_of(failure, "r-1").details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info, bad


def test_an_unforeseen_error_tells_nothing_but_an_id() -> None:
    first, second = (failure_of(KeyError("item-4711")) for _ in range(2))
    assert first.code is grpc.StatusCode.INTERNAL
    assert first.metadata["error_id"] in first.text
    assert first.metadata["error_id"] != second.metadata["error_id"]
    assert "item-4711" not in str(status_of(first, "r-1"))


def test_every_violation_is_in_the_details() -> None:
    info, bad = unpacked(
        failure_of(InvalidInput([Violation("a.b[1]", "must be finite"), Violation("c", "is missing")]))
    )
    assert (info.reason, info.domain, dict(info.metadata)) == ("INVALID_INPUT", "reranker.v1", {"request_id": "r-1"})
    assert [(found.field, found.description) for found in bad.field_violations] == [
        ("a.b[1]", "must be finite"),
        ("c", "is missing"),
    ]


@pytest.mark.parametrize("text", ["x" * 10_000, "ü" * 5_000, "\n\x00" * 5_000])
def test_a_status_fits_into_the_trailers_whatever_it_says(text: str) -> None:
    failures = [
        failure_of(InvalidInput([Violation(f"{text}{i}", text) for i in range(500)])),
        failure_of(UnknownPolicy(text, [f"{text}{i}" for i in range(50)])),
    ]
    for failure in failures:
        status = status_of(failure, text)
        assert len(status.SerializeToString()) * 4 / 3 + 3 * len(status.message) < 8_000
        assert status.details


def test_violations_beyond_the_room_are_counted() -> None:
    _, bad = unpacked(failure_of(InvalidInput([Violation(f"field[{i}]", "must be finite") for i in range(1_000)])))
    listed = len(bad.field_violations) - 1
    assert listed > 20
    assert bad.field_violations[-1].field == "*"
    assert bad.field_violations[-1].description.startswith(f"{1_000 - listed} more")


def test_streams_get_every_violation() -> None:
    failure = failure_of(InvalidInput([Violation(f"field[{i}]", "must be finite") for i in range(1_000)]))
    assert len(message_of(failure).violations) == 1_000


def test_a_deadline_that_passed_says_so() -> None:
    failure = failure_of(DeadlinePassed(10, 3))
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    assert "3 of 10" in failure.text


def test_garbage_names_the_message_it_should_be() -> None:
    failure = unparsable("reranker.v1.RerankRequest")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "reranker.v1.RerankRequest" in failure.text


def test_codes_have_the_names_of_existing_dashboards() -> None:
    assert CODE_NAMES[grpc.StatusCode.OK] == "OK"
    assert CODE_NAMES[grpc.StatusCode.INVALID_ARGUMENT] == "InvalidArgument"
    assert CODE_NAMES[grpc.StatusCode.CANCELLED] == "Canceled"
