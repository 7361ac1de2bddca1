"""Between gRPC and the servicer: bytes are parsed here, exceptions become statuses here, calls are counted here.

Handlers take bytes, because gRPC answers INTERNAL when a deserialiser of its own fails, and bad bytes are the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from reranker.engine import Presence
from reranker.lane import Lane, Turns, aside
from reranker.observability import Observer
from reranker.observability.metrics import service_of
from reranker.service.doors import Doors
from reranker.service.errors import Failure, failure_of, grpc_status, unparsable
from reranker.service.health import OnPool
from reranker.service.patience import TURN, Patience
from reranker.service.spans import Spans
from reranker.service.tokens import ANYBODY, Caller

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

_GO_NAMES = {grpc.StatusCode.OK: "OK", grpc.StatusCode.CANCELLED: "Canceled"}
CODE_NAMES = {
    code: _GO_NAMES.get(code, "".join(word.capitalize() for word in code.name.split("_"))) for code in grpc.StatusCode
}
"""Codes as existing dashboards know them: INVALID_ARGUMENT is InvalidArgument."""


class Call(NamedTuple):
    """The times of one request, as `time.perf_counter()` gives them, and whose it is; a `deadline` of None is none.

    `present` says whether the caller still waits. `size` is the message's bytes; `against_the_odds` that there seemed
    to be too little time for it.
    """

    started: float
    deadline: float | None = None
    caller: Caller = ANYBODY
    present: Presence | None = None
    size: int = 0
    against_the_odds: bool = False

    def seconds_left(self, most: float) -> float:
        """What is left until the deadline, and never more than `most`; below 0 when it has passed."""
        return most if self.deadline is None else min(most, self.deadline - perf_counter())


Admit = Callable[[Call], Call]
"""Looks at a call before its message is read; raises `Failure` for one that is not let in."""


class Gate:
    """Whether requests are let in; closed until the server is warm."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._moving = threading.Event()
        self._moving.set()

    def open(self) -> None:
        """Let requests in from now on."""
        self._open.set()

    def hold(self) -> None:
        """Let newcomers wait inside, unanswered, until `release`, or until half of their time is over."""
        self._moving.clear()

    def release(self) -> None:
        """Let those go on who were held."""
        self._moving.set()

    def admit(self, context: grpc.ServicerContext, size: int = 0) -> Call:
        """The request's times from here on; raises the failure of one that comes too early, or too late to matter.

        `size` is its message's bytes.
        """
        if not self._open.is_set():
            text = "the server is warming up; its health says when it serves"
            raise Failure(grpc.StatusCode.UNAVAILABLE, "NOT_READY", text)
        if not self._moving.is_set():
            given = context.time_remaining()
            with aside():  # whoever has an answer half made is to end it meanwhile
                self._moving.wait(None if given is None else given / 2)
        present = Presence()
        if not context.add_callback(present.leave):
            present.leave()
        remaining, now = context.time_remaining(), perf_counter()
        if remaining is None:
            return Call(now, None, ANYBODY, present, size)
        if remaining <= 0:
            text = "the deadline had passed before work began"
            raise Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_SPENT", text)
        return Call(now, now + remaining, ANYBODY, present, size)


class Wire:
    """Makes gRPC handlers out of plain functions on messages."""

    def __init__(
        self,
        gate: Gate,
        observer: Observer,
        stream_pool: ThreadPoolExecutor,
        streams: int,
        doors: Doors | None = None,
        storing: ThreadPoolExecutor | None = None,
        spans: Spans | None = None,
        at_once: int = 1_024,
    ) -> None:
        """`storing` are threads for calls that may wait for a disk or a store; without them requests' own do it.

        At most `at_once` requests are worked on at a time, however many threads have one, and one of them in Python.
        """
        self._gate = gate
        self.patience = Patience()
        self._doors = doors or Doors()
        self._observer, self._spans = observer, spans
        self._stream_pool, self._storing = stream_pool, storing
        self._streams = streams
        self._turns, self._lane = Turns(at_once), Lane()
        self._free_streams = threading.BoundedSemaphore(streams)

    def unary(
        self,
        method: str,
        request_type: type[Request],
        answer: Callable[[Request, Call], Response],
        admit: Admit | None = None,
        *,
        stores: bool = False,
    ) -> grpc.RpcMethodHandler[bytes, Response]:
        """A handler for one request and one response; one that `stores` holds no thread that requests need."""

        def handle(data: bytes, context: grpc.ServicerContext) -> Response:
            with self._turns, self._lane:
                if TURN.came is not None:
                    self._observer.metrics.hurry.waited(perf_counter() - TURN.came)
                return work(data, context)

        def work(data: bytes, context: grpc.ServicerContext) -> Response:
            started = perf_counter()
            self._observer.call_started(method)
            request: Request | None = None
            caller = ANYBODY
            try:
                call = self._admit(method, context, len(data))
                caller = call.caller
                if not stores:
                    came = call.started if TURN.came is None else TURN.came
                    self.patience.seen(None if call.deadline is None else call.deadline - came)
                if admit is not None:
                    call = admit(call)
                request = parse(request_type, data)
                response = answer(request, call)
            except Exception as error:
                failure = self.report(method, error, request)
            else:
                self._ended(method, caller, "OK", started)
                self._span(method, context, started, "OK", request, response)
                return response
            self._ended(method, caller, CODE_NAMES[failure.code], started)
            self._span(method, context, started, CODE_NAMES[failure.code], request)
            return context.abort_with_status(grpc_status(failure, request_id(request)))

        behaviour = OnPool(work, self._storing) if stores and self._storing is not None else handle
        return grpc.unary_unary_rpc_method_handler(behaviour, None, _serialise)

    def stream(
        self,
        method: str,
        request_type: type[Request],
        answer: Callable[[Request, Call], Response],
        apologise: Callable[[Failure], Response],
        admit: Admit | None = None,
    ) -> grpc.RpcMethodHandler[bytes, Response]:
        """A handler for many requests over one stream, in order: a bad one gets an apology and the stream goes on.

        Streams hold a thread for as long as they live, so they have a pool of their own and a limit. One whose caller's
        token is no longer good for it, because the tokens changed, ends at its next request.
        """

        def answers(requests: Iterator[bytes], whole: Call, context: grpc.ServicerContext) -> Iterator[Response]:
            tokens = self._doors.tokens
            for data in requests:
                if tokens is not self._doors.tokens:
                    tokens = self._doors.tokens
                    caller = self._enter(method, context)
                    whole = whole._replace(caller=caller)
                call = whole._replace(started=perf_counter())
                request: Request | None = None
                try:
                    self._doors.take(call.caller)
                    if admit is not None:
                        call = admit(call._replace(size=len(data)))
                    with self._turns, self._lane:
                        request = parse(request_type, data)
                        response, code = answer(request, call), "OK"
                except Exception as error:
                    failure = self.report(method, error, request)
                    response, code = apologise(failure), CODE_NAMES[failure.code]
                self._observer.metrics.stream_item(code)
                self._observer.metrics.tenants.answered(whole.caller.tenant, code)
                self._span(method, context, call.started, code, request, response)
                yield response

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Response]:
            started = perf_counter()
            self._observer.call_started(method)
            code = "Canceled"
            try:
                call = self._admit(method, context)
                with self._stream_slot():
                    yield from answers(requests, call, context)
                    code = "OK"
            except Failure as failure:
                code = CODE_NAMES[failure.code]
                self.report(method, failure, None)
                context.abort_with_status(grpc_status(failure))
            finally:
                self._observer.call_ended(method, code, perf_counter() - started)

        return grpc.stream_stream_rpc_method_handler(OnPool(handle, self._stream_pool), None, _serialise)

    def report(self, method: str, error: Exception, request: Message | None) -> Failure:
        """Log what became of a request and give the failure to answer with.

        Of one that a user refined, the line says neither which request it was nor what was wrong with it: the caller
        alone learns that.
        """
        failure = failure_of(error)
        refined = is_refined(request)
        self._observer.request_failed(
            method,
            CODE_NAMES[failure.code],
            failure.reason,
            request_id="" if refined else request_id(request),
            error=error if failure.code is grpc.StatusCode.INTERNAL else None,
            violations=() if refined else tuple(violation.path for violation in failure.violations),
            error_id=failure.metadata.get("error_id", ""),
        )
        return failure

    def _ended(self, method: str, caller: Caller, code: str, started: float) -> None:
        self._observer.call_ended(method, code, perf_counter() - started)
        self._observer.metrics.tenants.answered(caller.tenant, code)

    def _span(
        self,
        method: str,
        context: grpc.ServicerContext,
        started: float,
        code: str,
        request: Message | None,
        response: Message | None = None,
    ) -> None:
        if self._spans is None:
            return
        name, metadata = f"{service_of(method)}/{method}", context.invocation_metadata()
        self._spans.ended(name, metadata, started, code, request, response, refined=is_refined(request))

    def _admit(self, method: str, context: grpc.ServicerContext, size: int | None = None) -> Call:
        """The call with whose it is; without a `size` it is a stream, whose requests are counted one by one."""
        call = self._gate.admit(context, size or 0)
        if self._doors.tokens is None:
            return call
        call = call._replace(caller=self._enter(method, context))
        if size is not None and self._doors.goes_by_certificate(context.invocation_metadata()):
            self._doors.take(call.caller)  # those who are known by their tokens were counted when they arrived
        return call

    def _enter(self, method: str, context: grpc.ServicerContext) -> Caller:
        tokens = self._doors.tokens
        certified = tokens is not None and bool(tokens.certificates)
        identities: Any = context.auth_context() if certified else None  # its types know one name a kind
        return self._doors.enter(f"/{service_of(method)}/{method}", context.invocation_metadata(), identities)

    def _stream_slot(self) -> _Slot:
        if not self._free_streams.acquire(blocking=False):
            text = f"at most {self._streams} streams at a time"
            raise Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", text)
        return _Slot(self._free_streams)


class _Slot:
    """One of the streams that may be open; given back at the end of the block."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._free.release()


def parse(request_type: type[Request], data: bytes) -> Request:
    """The message in `data`; garbage is the caller's mistake."""
    try:
        return request_type.FromString(data)
    except DecodeError:
        raise unparsable(request_type.DESCRIPTOR.full_name) from None


def request_id(request: Any) -> str:
    """The caller's id of a rerank request, bare or inside a stream; empty for every other message."""
    return str(getattr(getattr(request, "request", request), "request_id", ""))


def is_refined(request: Any) -> bool:
    """Whether a rerank request, bare or inside a stream, carries what a user narrowed by hand."""
    context = getattr(getattr(request, "request", request), "context", None)
    return bool(getattr(context, "refinement", ()))


def _serialise(response: Message) -> bytes:
    return response.SerializeToString()
