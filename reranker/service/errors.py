"""Exceptions as gRPC statuses: the code, a short text, and the details that a program can read."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from reranker.errors import (
    CallerGone,
    DeadlinePassed,
    InvalidInput,
    QuotasInfeasible,
    TooLittleTime,
    UnknownPolicy,
    Violation,
)
from reranker.v1 import reranker_service_pb2

DOMAIN = "reranker.v1"
PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata: after how many milliseconds gRPC's own retries may try again."""

_LONGEST_PUSHBACK = 2**31 - 1  # they read a signed number of 32 bits

# gRPC peers accept 8 KiB of trailers by default; base64 makes 4 of every 3 bytes, and the text travels beside them.
_DETAIL_BYTES = 3_600
_TEXT_LENGTH = 400
_FIELD_LENGTH = 160
_REASON_LENGTH = 240


@dataclass(eq=False)
class Failure(Exception):
    """Why a request gets a status instead of an answer; raised by handlers, sent by the wire layer."""

    code: grpc.StatusCode
    reason: str
    """UPPER_SNAKE, stable: what a program may switch on."""
    text: str
    violations: tuple[Violation, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    details: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Ending(grpc.Status):
    """How a call ends, as gRPC wants to be told."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def failure_of(error: Exception) -> Failure:
    """The failure that an exception stands for; what nobody foresaw is INTERNAL and tells nothing but an id."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, InvalidInput):
        text = _summary(error.violations)
        return Failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", text, error.violations)
    if isinstance(error, UnknownPolicy):
        metadata = {"policy": _cut(error.name, _FIELD_LENGTH), "known": _cut(",".join(error.known), _TEXT_LENGTH)}
        return Failure(grpc.StatusCode.NOT_FOUND, "UNKNOWN_POLICY", str(error), metadata=metadata)
    if isinstance(error, QuotasInfeasible):
        return Failure(
            grpc.StatusCode.FAILED_PRECONDITION, "QUOTAS_INFEASIBLE", str(error), details=(_preconditions(error),)
        )
    if isinstance(error, DeadlinePassed):
        return Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED", str(error))
    if isinstance(error, TooLittleTime):
        details = (retry_in(error.needed),)
        return Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_TIME", str(error), details=details)
    if isinstance(error, CallerGone):
        return Failure(grpc.StatusCode.CANCELLED, "CALLER_GONE", str(error))
    error_id = secrets.token_hex(8)
    text = f"an error inside the server; its log names it {error_id}"
    return Failure(grpc.StatusCode.INTERNAL, "INTERNAL", text, metadata={"error_id": error_id})


def unparsable(message_name: str) -> Failure:
    """The bytes are not the message they should be."""
    return Failure(
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNPARSABLE_MESSAGE",
        f"the request is not a {message_name} message",
        (Violation("request", f"must be a serialised {message_name}"),),
    )


def status_of(failure: Failure, request_id: str = "") -> status_pb2.Status:
    """The failure as a rich status that fits into the trailers: violations beyond that are counted."""
    info = error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN, metadata=failure.metadata)
    if request_id:
        info.metadata["request_id"] = _cut(request_id, _FIELD_LENGTH)
    status = status_pb2.Status(code=failure.code.value[0], message=_cut(failure.text, _TEXT_LENGTH))
    status.details.append(_packed(info))
    status.details.extend(_packed(detail) for detail in failure.details if detail.ByteSize() < _DETAIL_BYTES)
    if failure.violations:
        status.details.append(_packed(_bad_request(failure.violations, _DETAIL_BYTES - status.ByteSize())))
    return status


def grpc_status(failure: Failure, request_id: str = "") -> grpc.Status:
    """The failure as a call ends with it; one that says when to try again says it to gRPC's own retries too.

    They heed `grpc-retry-pushback-ms` and do not look into details. See gRPC proposal A6.
    """
    rich = rpc_status.to_status(status_of(failure, request_id))
    trailers = tuple(rich.trailing_metadata)
    delays = [detail.retry_delay for detail in failure.details if isinstance(detail, error_details_pb2.RetryInfo)]
    if delays:
        milliseconds = min(_LONGEST_PUSHBACK, math.ceil(delays[0].ToNanoseconds() / 1e6))
        trailers = (*trailers, (PUSHBACK, str(milliseconds)))
    return Ending(rich.code, rich.details, trailers)


def message_of(failure: Failure) -> reranker_service_pb2.RequestError:
    """The failure as a message, for streams that go on; every violation is in it."""
    return reranker_service_pb2.RequestError(
        code=failure.code.value[0],
        message=_cut(failure.text, _TEXT_LENGTH),
        violations=[
            reranker_service_pb2.RequestViolation(field=violation.path, description=violation.reason)
            for violation in failure.violations
        ],
    )


def retry_in(seconds: float) -> error_details_pb2.RetryInfo:
    """The detail that says when to try again: in a millisecond at the earliest."""
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromNanoseconds(math.ceil(max(0.001, seconds) * 1e9))
    return retry


def _summary(violations: Sequence[Violation]) -> str:
    if len(violations) == 1:
        return str(violations[0])
    return f"{len(violations)} violations: " + "; ".join(str(violation) for violation in violations[:8])


def _bad_request(violations: Sequence[Violation], room: int) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for count, violation in enumerate(violations):
        path, reason = _cut(violation.path, _FIELD_LENGTH), _cut(violation.reason, _REASON_LENGTH)
        room -= len(path.encode()) + len(reason.encode()) + 12  # tags and lengths
        if room < 0 and count:
            rest = len(violations) - count
            bad.field_violations.add(field="*", description=f"{rest} more violations are not listed", reason="MORE")
            break
        bad.field_violations.add(field=path, description=reason)
    return bad


def _preconditions(error: QuotasInfeasible) -> error_details_pb2.PreconditionFailure:
    broken: Iterable[error_details_pb2.PreconditionFailure.Violation] = (
        error_details_pb2.PreconditionFailure.Violation(
            type="QUOTA",
            subject=_cut(outcome.attribute, _FIELD_LENGTH),
            description=_cut(outcome.detail, _REASON_LENGTH),
        )
        for outcome in error.outcomes
        if outcome.status == "BROKEN"
    )
    return error_details_pb2.PreconditionFailure(violations=list(broken)[:8])


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _cut(text: str, length: int) -> str:
    """At most `length` bytes when escaped for a trailer; a longer text ends in an ellipsis of dots."""
    if len(text) <= length and text.isascii():
        return text
    kept = text.encode("ascii", "backslashreplace")[:length].decode()
    return kept if len(kept) < length else f"{kept[:-3]}..."
