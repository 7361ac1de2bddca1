"""gRPC errors as exceptions of this package, and which of them are the caller's own mistakes."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2

from reranker.errors import InvalidInput, RerankerError, UnknownPolicy, Violation

CALLERS_MISTAKES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Codes that come back for as long as the request stays as it is; the others pass."""


class ServerError(RerankerError):
    """The server, or the way to it, failed.

    `code` is the gRPC code, `reason` the server's UPPER_SNAKE word for it, empty when gRPC itself answered.
    """

    def __init__(self, code: grpc.StatusCode, reason: str, text: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code.name}: {text}")


def exception_of(error: grpc.RpcError) -> RerankerError:
    """`InvalidInput` with the server's violations, `UnknownPolicy`, or else `ServerError`."""
    code = error.code()
    info, bad = _details(error)
    if code is grpc.StatusCode.INVALID_ARGUMENT and bad.field_violations:
        return InvalidInput(Violation(found.field, found.description) for found in bad.field_violations)
    if code is grpc.StatusCode.NOT_FOUND and info.reason == "UNKNOWN_POLICY":
        known = info.metadata.get("known", "")
        return UnknownPolicy(info.metadata.get("policy", ""), known.split(",") if known else ())
    return ServerError(code, info.reason, error.details() or "no details")


def _details(error: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    from grpc_status import rpc_status  # only a failed call needs it

    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict the status: a proxy's doing, the status itself is what counts
        status = None
    for detail in status.details if status is not None else ():
        detail.Unpack(info)  # each unpacks its own type and leaves the other alone
        detail.Unpack(bad)
    return info, bad
