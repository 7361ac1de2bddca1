"""The server put together: it listens at once, takes requests when warm, and leaves without dropping one."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reranker import engine
from reranker.errors import RerankerError
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.admin import AdminServer
from reranker.runtime.settings import Settings
from reranker.runtime.state import ServerState
from reranker.service.health import Health, OnPool
from reranker.service.limits import Limits
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import SERVICE, RerankerServicer, handlers
from reranker.service.wire import Gate, Wire


class CannotListen(RerankerError):
    """An address is taken or not ours."""

    def __init__(self, what: str, address: str, cause: str) -> None:
        super().__init__(f"{what} cannot listen on {address}: {cause}")


class Server:
    """One server in this process; construction opens both ports, with health NOT_SERVING and every call UNAVAILABLE.

    Raises `CannotListen`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = ServerState.STARTING
        self._metrics = Metrics()
        self._gate = Gate.closed()
        self._health = Health()
        self._desk = PolicyDesk(PolicyBook.load(None), _limits(settings))
        self._stream_pool = ThreadPoolExecutor(settings.streams + 2, "stream")  # two to turn the surplus away
        self._server = self._grpc_server()
        self.port = _listen(self._server, settings.listen)
        self._admin = _admin(settings.admin, self._metrics, self)
        self._server.start()

    @property
    def address(self) -> str:
        """Where gRPC really listens: the port is the one that was given, or the free one that was taken for 0."""
        return f"{self.settings.listen.rpartition(':')[0]}:{self.port}"

    @property
    def admin_address(self) -> str:
        """Where the admin port really listens; empty when there is none."""
        return f"{self.settings.admin.rpartition(':')[0]}:{self._admin.port}" if self._admin else ""

    def warm_up(self) -> None:
        """Load the policies, compile every kernel, then let requests in. Raises `InvalidInput` for bad policies."""
        started = perf_counter()
        self.state = ServerState.WARMING
        book = PolicyBook.load(self.settings.policies)
        engine.warm_up()
        if self.state is not ServerState.WARMING:
            return  # told to stop meanwhile
        self._desk.book = book
        self._metrics.policies_serve((policy.name, policy.revision) for policy in book.policies())
        self._metrics.warmed_up(perf_counter() - started)
        self._metrics.set_ready(True)
        self._gate.open()
        self._health.set_ready(True)
        self.state = ServerState.SERVING

    @property
    def policy_names(self) -> tuple[str, ...]:
        """The policies that serve."""
        return self._desk.book.names()

    def drain(self) -> None:
        """Say NOT_SERVING, give load balancers time to notice, refuse new calls, let the others end."""
        self.state = ServerState.DRAINING
        self._health.set_ready(False)
        self._metrics.set_ready(False)
        time.sleep(self.settings.seconds_to_drain)
        self._server.stop(self.settings.grace).wait()
        self._stream_pool.shutdown(wait=False)
        self._health.close()
        if self._admin:
            self._admin.close()

    def _grpc_server(self) -> grpc.Server:
        settings = self.settings
        pool = ThreadPoolExecutor(settings.worker_threads, "worker")
        options = [
            ("grpc.so_reuseport", 0),  # one process: a second one must fail, not take half of the connections
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients of ours ping every 30 s
        ]
        server = grpc.server(pool, options=options)
        observer = Observer(self._metrics, settings.log_every)
        wire = Wire(self._gate, observer, self._stream_pool, settings.streams)
        servicer = RerankerServicer(self._desk, _limits(settings), observer)
        server.add_generic_rpc_handlers((handlers(servicer, wire),))
        self._health.add_to(server)
        if settings.reflects:
            _add_reflection(server)
        return server


def check(settings: Settings) -> tuple[str, ...]:
    """What a start would do without opening a port: load the policies and warm up. Returns the policies' names."""
    book = PolicyBook.load(settings.policies)
    engine.warm_up()
    return book.names()


def _limits(settings: Settings) -> Limits:
    return Limits(
        candidates=settings.max_candidates, slate_size=settings.max_slate_size, dimension=settings.max_dimension
    )


def _add_reflection(server: grpc.Server) -> None:
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = reflection.ReflectionServicer(names)
    # Each reflection stream holds a thread; on a pool of its own it cannot take one from the requests.
    pool = ThreadPoolExecutor(2, "reflection")
    servicer.ServerReflectionInfo = OnPool(servicer.ServerReflectionInfo, pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def _listen(server: grpc.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        raise CannotListen("gRPC", address, _why_not(address)) from None


def _admin(address: str, metrics: Metrics, server: Server) -> AdminServer | None:
    if not address:
        return None
    host, _, port = address.rpartition(":")
    try:
        return AdminServer(host.strip("[]"), int(port), metrics.registry, lambda: server.state)
    except OSError as error:
        raise CannotListen("the admin port", address, error.strerror or str(error)) from None


def _why_not(address: str) -> str:
    """Why an address cannot be bound, which gRPC does not say and the operating system does."""
    host, _, port = address.rpartition(":")
    try:
        places = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in places:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(place)
    except OSError as error:
        return error.strerror or str(error)
    return "the address was taken a moment ago"
