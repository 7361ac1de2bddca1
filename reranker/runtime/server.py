"""The server put together: it listens at once, takes requests when warm, and answers those it has before it leaves."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from prometheus_client.exposition import choose_encoder

from reranker import engine
from reranker.codec.limits import Limits
from reranker.observability import Observer
from reranker.observability.metrics import Metrics
from reranker.observability.security import SecurityMetrics
from reranker.observability.traces import Tracer
from reranker.runtime.admin import BACKLOG, AdminServer
from reranker.runtime.catalog import CatalogWatch
from reranker.runtime.inputs import Inputs
from reranker.runtime.labelled import Labelled
from reranker.runtime.ledger import LedgerWatch, open_ledger
from reranker.runtime.listening import add_reflection, grpc_server, listen
from reranker.runtime.pages import Overview, Sections, Shown, WorkerView, pages
from reranker.runtime.policies import PolicyWatch
from reranker.runtime.ports import CannotListen, admin_socket, port_of
from reranker.runtime.published import make_published
from reranker.runtime.request_log import request_loggers
from reranker.runtime.security import SecurityWatch
from reranker.runtime.settings import Settings
from reranker.runtime.state import ServerState
from reranker.runtime.status import sections_of
from reranker.runtime.store import SECONDS_TO_COME_UP, keep_erased, make_items, make_store
from reranker.runtime.tls import Certificates
from reranker.service import exposure, signals
from reranker.service.admission import Admission, WorkerPool
from reranker.service.after import AfterAnswer, Consumer
from reranker.service.doors import Doors
from reranker.service.health import Health
from reranker.service.measured import Sampled
from reranker.service.policies import PolicyDesk
from reranker.service.servicer import RerankerServicer, handlers
from reranker.service.shadow import Shadows
from reranker.service.spans import Spans
from reranker.service.timekeeper import Timekeeper
from reranker.service.wire import Gate, Wire

_STORING = 4  # calls that may wait for a disk or a store, at once
# Leaving takes these on top of the drain delay and the grace. Newcomers are held, so that gRPC has no call left that it
# knows of and we do not when it closes (it would cancel those), and so that clients hear of the closing before they
# get an answer and send their next call.
_QUIET = 0.03  # seconds without a newcomer after which there will be none
_LONGEST_HOLD = 0.09
_GOODBYE = 0.03  # what the news of the closing takes to reach the clients
_LAST_WORD = 0.5  # what gRPC gets to end calls that it cancelled, and threads to end


class Server:
    """One server in this process; construction opens its ports, with health NOT_SERVING and every call UNAVAILABLE.

    `inputs` are what the settings name, when they have been read already. `sources` say where each setting came from.
    `worker` is the number of a worker among siblings: they share the port, which each opens when it is warm, and its
    metrics carry the number.

    Raises `CannotListen`, and before a port is open `InvalidInput` for bad policies and bad keys, `BadCatalog` and
    `BadLedger`.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: Inputs | None = None,
        *,
        sources: Mapping[str, str] | None = None,
        worker: int | None = None,
    ) -> None:
        self.settings = settings
        self._state = ServerState.STARTING
        self._started = time.time()
        self._worker = worker
        self._inputs = Inputs(settings) if inputs is None else inputs
        self._metrics = Metrics()
        self._store = make_store(settings, self._metrics)
        self._items = make_items(settings, self._store, self._metrics)
        shelf = self._inputs.shelf
        self._watch = None if shelf is None else CatalogWatch(shelf, self._metrics)
        self._desk = PolicyDesk(self._inputs.book, _limits(settings))
        ledger = open_ledger(settings, self._store)
        self._ledger = LedgerWatch(ledger, self._metrics, lambda: self._desk.book.policies())
        consumers: list[Consumer] = [Shadows(self._metrics, self._ledger.board), self._ledger.feed]
        consumers += request_loggers(settings, self._metrics)
        if settings.measure_every:
            consumers.append(Sampled(self._metrics.quality, settings.measure_every))
        self._after = AfterAnswer(self._metrics, consumers)
        self._gate = Gate()
        self._tracer = Tracer() if settings.traces else None
        self._doors = Doors(self._inputs.tokens, share=1 / settings.workers)
        certificate = self._inputs.certificate
        self._certificates = None if certificate is None else Certificates(certificate)
        security = SecurityMetrics(self._metrics.registry)
        self._security_watch = SecurityWatch(settings, self._doors, self._certificates, security)
        self._health = Health()
        published = make_published(self._store, settings, self._metrics)
        self._policy_watch = PolicyWatch(self._desk, self._inputs.folder, self._metrics, published)
        self._workers = WorkerPool(settings.worker_threads)
        self._storing = WorkerPool(_STORING, name="storing")
        self._stream_pool = ThreadPoolExecutor(settings.streams + 2, "stream")  # two to turn the surplus away
        self._reflection_pool = ThreadPoolExecutor(2, "reflection")
        self._admission = self._grpc_handlers()
        self._server = grpc_server(settings, self._workers, shares_port=worker is not None)
        self._server.add_generic_rpc_handlers((self._admission,))
        self._health.add_to(self._server)
        if settings.reflects:
            add_reflection(self._server, self._reflection_pool)
        self._admin: AdminServer | None = None
        self.port = port_of(settings.listen)
        try:
            self._open_ports(sources or {})
        except CannotListen:
            self._ledger.close()  # a folder may end with it
            raise

    def state(self) -> ServerState:
        """Where the server is in its life."""
        return self._state

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """Content type and body of a scrape with this `Accept` header."""
        encode, content_type = choose_encoder(accept)
        registry = self._metrics.registry
        return content_type, encode(registry if self._worker is None else Labelled(registry, self._worker))

    def sections(self) -> Sections:
        """What the status page says of this process."""
        shelf, store = self._inputs.shelf, self.settings.store
        return sections_of(self._desk.book, self._workers, self._admission, shelf, self._ledger.board, store)

    def overview(self) -> Overview:
        """The service, where this process is all of it."""
        state = self._state
        alone = WorkerView(0, os.getpid(), state.value, self._started, self.address, sections=self.sections())
        return Overview(state, self._started, (alone,))

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
        self._state = ServerState.WARMING
        engine.warm_up()
        self._inputs.check()
        if self._store is not None:
            self._store.start(SECONDS_TO_COME_UP)
        if self._items is not None:
            self._items.start(None if self._inputs.shelf is None else keep_erased(self._inputs.shelf))
        if self._state is not ServerState.WARMING:
            return  # told to stop meanwhile
        self._policy_watch.start()
        self._security_watch.start()
        self._metrics.warmed_up(perf_counter() - started)
        if self._watch is not None:
            self._watch.start()
        self._ledger.start()
        self._after.start()
        gc.collect()
        gc.freeze()  # else the collector looks through all that the start left, for 50 ms, while nobody is answered
        self._metrics.set_ready(True)
        self._gate.open()
        self._health.set_ready(True)
        if self._worker is not None:
            self._listen()
            self._server.start()
        self._state = ServerState.SERVING

    @property
    def policy_names(self) -> tuple[str, ...]:
        """The policies that serve."""
        return self._desk.book.names()

    def drain(self) -> bool:
        """Say NOT_SERVING, give load balancers time to notice, close the listener, let the calls we have end.

        Returns `drain-delay + grace` seconds and about two more later at the latest. False when a thread is at work
        even then: the interpreter would wait for it for as long as that takes.
        """
        self._state = ServerState.DRAINING
        self._policy_watch.close()
        self._security_watch.close()
        if self._watch is not None:
            self._watch.close()
        self._health.set_ready(False)
        self._metrics.set_ready(False)
        time.sleep(self.settings.seconds_to_drain)
        self._workers.learns = False  # that calls are held back says nothing of how long others would wait
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
        if self._tracer is not None:
            flushing = threading.Thread(target=self._tracer.close, daemon=True)
            flushing.start()
            flushing.join(max(_LAST_WORD, end - perf_counter()))
        if self._items is not None:
            self._items.close()
        if self._store is not None:
            self._store.close()
        return worked_off and not closing.is_alive()

    def _close_pools(self) -> None:
        """Returns when every thread of every pool has ended."""
        self._health.close()
        for pool in (self._workers, self._storing, self._stream_pool, self._reflection_pool):
            pool.shutdown(cancel_futures=True)

    def _await_quiet(self) -> None:
        """Until calls have ceased to arrive, which they do where each caller waits for the answer to its last one."""
        end = perf_counter() + _LONGEST_HOLD
        arrivals = -1
        while arrivals != self._admission.arrivals and perf_counter() < end:
            arrivals = self._admission.arrivals
            time.sleep(_QUIET)

    def _listen(self) -> int:
        credentials = None if self._certificates is None else self._certificates.credentials()
        return listen(self._server, self.settings.listen, credentials, shares_port=self._worker is not None)

    def _open_ports(self, sources: Mapping[str, str]) -> None:
        if self._worker is None:  # health says NOT_SERVING while it warms up; callers of siblings should not meet that
            self.port = self._listen()
        if self.settings.admin:
            listener = admin_socket(self.settings.admin, BACKLOG)
            self._admin = AdminServer(listener, pages(self, Shown.of(self.settings, sources)))
        if self._worker is None:
            self._server.start()

    def _grpc_handlers(self) -> Admission:
        settings = self.settings
        observer = Observer(self._metrics, settings.log_every)
        spans = None if self._tracer is None else Spans(self._tracer)
        wire = Wire(
            self._gate,
            observer,
            self._stream_pool,
            settings.streams,
            self._doors,
            self._storing,
            spans,
            at_once=settings.computes_at_once,
        )
        seals, shelf, items = self._inputs.seals, self._inputs.shelf, self._items
        limits, board = _limits(settings), self._ledger.board
        timekeeper = Timekeeper(settings.degrade)
        servicer = RerankerServicer(self._desk, limits, observer, seals, shelf, self._after, board, items, timekeeper)
        exposures = exposure.ExposureServicer(self._ledger.ledger, limits, self._metrics)
        catalog = signals.SignalServicer(limits, shelf, items, writes=settings.takes_items)
        services = [handlers(servicer, wire), exposure.handlers(exposures, wire), signals.handlers(catalog, wire)]
        return Admission(services, self._workers, settings.queue_length, observer, self._doors, wire.patience)


def check(settings: Settings) -> tuple[str, ...]:
    """What a start would do without opening a port: read policies, keys and catalog, warm up. Returns the policies."""
    inputs = Inputs(settings)
    if settings.ledger is not None or settings.store is None:  # else it is in the store
        open_ledger(settings).close()
    if settings.traces:
        Tracer().close()
    request_loggers(settings, Metrics())
    engine.warm_up()
    inputs.check()
    return inputs.book.names()


def _limits(settings: Settings) -> Limits:
    return Limits(
        candidates=settings.max_candidates,
        slate_size=settings.max_slate_size,
        dimension=settings.max_dimension,
        inline_policies=not settings.production,
    )
