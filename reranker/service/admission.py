"""Who is let in, decided the moment a call arrives: gRPC looks a call's handler up before any worker is free for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import grpc
from google.protobuf.message import Message

from reranker.observability import Observer
from reranker.service.doors import Doors
from reranker.service.errors import Failure, grpc_status, retry_in
from reranker.service.health import OnPool
from reranker.service.patience import TURN, Patience
from reranker.service.tokens import ANYBODY, Caller
from reranker.service.wire import CODE_NAMES

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_NEWEST = 0.05  # what the newest call counts for in the mean


class WorkerPool(ThreadPoolExecutor):
    """Threads that know how many calls are theirs, waiting or being worked on.

    `mean` is the seconds for which a call keeps its thread, of late; without `learns` it stays as it is.
    """

    learns = True

    def __init__(self, threads: int, name: str = "worker") -> None:
        super().__init__(threads, name)
        self.threads = threads
        self.calls = 0
        self._counting = threading.Lock()
        self.mean = 0.0

    @property
    def wait(self) -> float:
        """Seconds that a call would wait which came now, as far as the last ones tell."""
        return max(0, self.calls - self.threads + 1) * self.mean / self.threads

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Run a call when a thread is free."""
        with self._counting:
            self.calls += 1
        future = super().submit(self._timed, perf_counter(), fn, *args, **kwargs)
        future.add_done_callback(self._ended)  # runs however the call ends, also when its caller never sent the message
        return future

    def _timed(
        self, came: float, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        began = perf_counter()
        TURN.came = came
        try:
            return fn(*args, **kwargs)
        finally:
            if self.learns:
                self.mean += _NEWEST * (perf_counter() - began - self.mean)  # what a race loses is one call of many

    def _ended(self, _: Future[Any]) -> None:
        with self._counting:
            self.calls -= 1


class _OnTheSpot(ThreadPoolExecutor):
    """No threads at all: what is submitted is done by whoever submits it, before anything else is."""

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Done when this returns."""
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Admission(grpc.GenericRpcHandler):
    """The services' handlers behind `doors` and a bounded queue: at most `queue` calls wait for a worker of each pool.

    Nor does a call wait for longer than the `patience` of callers. Whoever may not call, or not wait, is answered at
    once, by the thread that takes calls and before the message is read. Streams have a pool and a limit of their own
    and pass the queue. gRPC's `maximum_concurrent_rpcs` would turn health checks away as well.
    """

    def __init__(
        self,
        services: Sequence[grpc.GenericRpcHandler],
        pool: WorkerPool,
        queue: int,
        observer: Observer,
        doors: Doors | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._services = services
        self._pool = pool
        self._queue = queue
        self._observer = observer
        self._doors = doors or Doors()
        self._patience = patience or Patience()
        self._refuser = _OnTheSpot(1)
        self.arrivals = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call that has just arrived; None when there is no such method."""
        handlers = (service.service(handler_call_details) for service in self._services)
        handler = next((found for found in handlers if found is not None), None)
        self.arrivals += 1
        if handler is None:
            return None
        method, caller = handler_call_details.method, ANYBODY
        try:
            known = self._doors.at_arrival(method, handler_call_details.invocation_metadata)
            if known is not None:
                caller = known
                if not handler.request_streaming:  # the requests of a stream are counted one by one
                    self._doors.take(caller)
        except Failure as failure:
            return self._refusal(method, failure, caller)
        if handler.request_streaming:
            return handler
        own = getattr(handler.unary_unary, "experimental_thread_pool", None)
        crowded = self._crowded(own if isinstance(own, WorkerPool) else self._pool)
        return handler if crowded is None else self._refusal(method, crowded, caller)

    def _crowded(self, pool: WorkerPool) -> Failure | None:
        """Why one more call cannot wait; None where it can. Nobody is refused while a thread is free."""
        waiting = pool.calls - pool.threads
        if waiting < 0:
            return None
        wait = pool.wait
        if waiting >= self._queue:
            reason, text = "QUEUE_FULL", f"{self._queue} requests wait for a worker already"
        elif pool is self._pool and self._patience.ends_before(wait, pool.mean):
            reason, text = "WAIT_TOO_LONG", f"a worker is free in about {wait:.3g} s, later than callers wait"
        else:
            return None
        return Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, text, details=(retry_in(wait),))

    def _refusal(self, method: str, failure: Failure, caller: Caller) -> grpc.RpcMethodHandler[Any, Any]:
        code = CODE_NAMES[failure.code]

        def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> Message:
            self._observer.call_refused(method.rpartition("/")[2], code, failure.reason)
            self._observer.metrics.tenants.answered(caller.tenant, code)
            return context.abort_with_status(grpc_status(failure))

        # As a handler of a stream it does not wait for the message, and another thread would cost more than it does.
        return grpc.stream_unary_rpc_method_handler(OnPool(refuse, self._refuser))
