"""The server put together: it listens at once, takes requests when warm, and answers those it has before it leaves."""

from __future__ import annotations

import errno
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from reranker import engine
from reranker.codec.limits import Limits
from reranker.engine.seal import PROCESS, Seals
from reranker.errors import RerankerError
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.policy.folder import Folder
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.admin import AdminServer
from reranker.runtime.catalog import CatalogWatch
from reranker.runtime.keys import read_seals
from reranker.runtime.ledger import LedgerWatch, open_ledger
from reranker.runtime.policies import PolicyWatch
from reranker.runtime.settings import Settings
from reranker.runtime.state import ServerState
from reranker.runtime.store import SECONDS_TO_COME_UP, make_store
from reranker.service import exposure
from reranker.service.admission import Admission, WorkerPool
from reranker.service.after import AfterAnswer
from reranker.service.health import Health, OnPool
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import SERVICE, RerankerServicer, handlers
from reranker.service.shadow import Shadows
from reranker.service.wire import Gate, Wire
from reranker.signals import Shelf

# Leaving takes these on top of the drain delay and the grace. Newcomers are held, so that gRPC has no call left that it
# knows of and we do not when it closes (it would cancel those), and so that clients hear of the closing before they
# get an answer and send their next call.
_QUIET = 0.03  # seconds without a newcomer after which there will be none
_LONGEST_HOLD = 0.09
_GOODBYE = 0.03  # what the news of the closing takes to reach the clients
_LAST_WORD = 0.5  # what gRPC gets to end calls that it cancelled, and threads to end


class CannotListen(RerankerError):
    """An address is taken or not ours."""

    def __init__(self, what: str, address: str, cause: str) -> None:
        super().__init__(f"{what} cannot listen on {address}: {cause}")


class Server:
    """One server in this process; construction opens both ports, with health NOT_SERVING and every call UNAVAILABLE.

    Raises `CannotListen`, and before a port is open `InvalidInput` for bad policies and bad keys, `BadCatalog` and
    `BadLedger`.
    """

    def __init__(self, settings: Settings) -> None:
        folder = None if settings.policies is None else Folder.read(settings.policies)
        book = PolicyBook() if folder is None else PolicyBook.of(folder)
        self._seals = _seals(settings)
        self._shelf = _shelf(settings)
        self.settings = settings
        self.state = ServerState.STARTING
        self._metrics = Metrics()
        self._store = make_store(settings, self._metrics)
        self._watch = None if self._shelf is None else CatalogWatch(self._shelf, self._metrics)
        self._desk = PolicyDesk(book, _limits(settings))
        self._ledger = LedgerWatch(open_ledger(settings), self._metrics, lambda: self._desk.book.policies())
        self._after = AfterAnswer(self._metrics, [Shadows(self._metrics), self._ledger.feed])
        self._gate = Gate()
        self._health = Health()
        self._policy_watch = PolicyWatch(self._desk, folder, self._metrics)
        self._workers = WorkerPool(settings.worker_threads)
        self._stream_pool = ThreadPoolExecutor(settings.streams + 2, "stream")  # two to turn the surplus away
        self._reflection_pool = ThreadPoolExecutor(2, "reflection")
        self._admission = self._grpc_handlers()
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
        """Compile every kernel, read the catalog, then let requests in. Raises `BadCatalog` when it was damaged."""
        started = perf_counter()
        self.state = ServerState.WARMING
        engine.warm_up()
        if self._shelf is not None:
            self._shelf.check()
        if self._store is not None:
            self._store.start(SECONDS_TO_COME_UP)
        if self.state is not ServerState.WARMING:
            return  # told to stop meanwhile
        self._policy_watch.start()
        self._metrics.warmed_up(perf_counter() - started)
        if self._watch is not None:
            self._watch.start()
        self._ledger.start()
        self._after.start()
        self._metrics.set_ready(True)
        self._gate.open()
        self._health.set_ready(True)
        self.state = ServerState.SERVING

    @property
    def policy_names(self) -> tuple[str, ...]:
        """The policies that serve."""
        return self._desk.book.names()

    def drain(self) -> bool:
        """Say NOT_SERVING, give load balancers time to notice, close the listener, let the calls we have end.

        Returns `drain-delay + grace` seconds and about two more later at the latest. False when a thread is at work
        even then: the interpreter would wait for it for as long as that takes.
        """
        self.state = ServerState.DRAINING
        self._policy_watch.close()
        if self._watch is not None:
            self._watch.close()
        self._health.set_ready(False)
        self._metrics.set_ready(False)
        time.sleep(self.settings.seconds_to_drain)
        self._gate.hold()
        self._await_quiet()
        end = perf_counter() + self.settings.grace
        stopped = self._server.stop(self.settings.grace)
        time.sleep(_GOODBYE)
        self._gate.release()
        stopped.wait(self.settings.grace + _LAST_WORD)
        closing = threading.Thread(target=self._close_pools, daemon=True)
        closing.start()
        if self._admin:
            self._admin.close()
        closing.join(_LAST_WORD)
        worked_off = self._after.close(max(_LAST_WORD, end - perf_counter()))
        self._ledger.close()
        if self._store is not None:
            self._store.close()
        return worked_off and not closing.is_alive()

    def _close_pools(self) -> None:
        """Returns when every thread of every pool has ended."""
        self._admission.close()
        self._health.close()
        for pool in (self._workers, self._stream_pool, self._reflection_pool):
            pool.shutdown(cancel_futures=True)

    def _await_quiet(self) -> None:
        """Until calls have ceased to arrive, which they do where each caller waits for the answer to its last one."""
        end = perf_counter() + _LONGEST_HOLD
        arrivals = -1
        while arrivals != self._admission.arrivals and perf_counter() < end:
            arrivals = self._admission.arrivals
            time.sleep(_QUIET)

    def _grpc_handlers(self) -> Admission:
        settings = self.settings
        observer = Observer(self._metrics, settings.log_every)
        wire = Wire(self._gate, observer, self._stream_pool, settings.streams)
        servicer = RerankerServicer(
            self._desk, _limits(settings), observer, self._seals, self._shelf, self._after, self._ledger.board
        )
        exposures = exposure.ExposureServicer(self._ledger.ledger, _limits(settings), self._metrics)
        services = [handlers(servicer, wire), exposure.handlers(exposures, wire)]
        return Admission(services, self._workers, settings.queue_length, observer)

    def _grpc_server(self) -> grpc.Server:
        settings = self.settings
        options = [
            ("grpc.so_reuseport", 0),  # one process: a second one must fail, not take half of the connections
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients of ours ping every 30 s
        ]
        server = grpc.server(self._workers, options=options)
        server.add_generic_rpc_handlers((self._admission,))
        self._health.add_to(server)
        if settings.reflects:
            _add_reflection(server, self._reflection_pool)
        return server


def check(settings: Settings) -> tuple[str, ...]:
    """What a start would do without opening a port: read policies, keys and catalog, warm up. Returns the policies."""
    book = PolicyBook.load(settings.policies)
    _seals(settings)
    shelf = _shelf(settings)
    open_ledger(settings).close()
    engine.warm_up()
    if shelf is not None:
        shelf.check()
    return book.names()


def _seals(settings: Settings) -> Seals:
    return PROCESS if settings.cursor_key_file is None else read_seals(settings.cursor_key_file)


def _shelf(settings: Settings) -> Shelf | None:
    return None if settings.catalog is None else Shelf(settings.catalog)


def _limits(settings: Settings) -> Limits:
    return Limits(
        candidates=settings.max_candidates,
        slate_size=settings.max_slate_size,
        dimension=settings.max_dimension,
        inline_policies=not settings.production,
    )


def _add_reflection(server: grpc.Server, pool: ThreadPoolExecutor) -> None:
    names = (SERVICE, exposure.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = reflection.ReflectionServicer(names)
    # Each reflection stream holds a thread; on a pool of its own it cannot take one from the requests.
    servicer.ServerReflectionInfo = OnPool(servicer.ServerReflectionInfo, pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def _listen(server: grpc.Server, address: str) -> int:
    cause = _why_not(address)  # asked first: gRPC prints lines of its own when it fails
    if cause:
        raise CannotListen("gRPC", address, cause)
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        raise CannotListen("gRPC", address, _why_not(address) or "gRPC does not say why") from None


def _admin(address: str, metrics: Metrics, server: Server) -> AdminServer | None:
    if not address:
        return None
    host, _, port = address.rpartition(":")
    try:
        return AdminServer(host.strip("[]"), int(port), metrics.registry, lambda: server.state)
    except OSError as error:
        raise CannotListen("the admin port", address, error.strerror or str(error)) from None


def _why_not(address: str) -> str:
    """Why an address cannot be bound, as the operating system says it; empty when it can.

    A name may stand for several places: one in use is enough to refuse, otherwise one that can be bound is enough.
    """
    host, _, port = address.rpartition(":")
    failures: list[OSError] = []
    try:
        places = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return error.strerror or str(error)
    for family, kind, protocol, _, place in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger are no listeners
                probe.bind(place)
        except OSError as error:
            failures.append(error)
    in_use = [error for error in failures if error.errno == errno.EADDRINUSE]
    if in_use or len(failures) == len(places):
        first = (in_use or failures)[0]
        return first.strerror or str(first)
    return ""
