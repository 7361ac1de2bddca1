"""The admin port of several workers: a process of its own, so that health is answered however busy they are.

Scrapes never meet the supervisor, which must stay free of threads. What the supervisor knows comes as messages; what a
worker knows is asked over a link to it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from reranker.runtime.admin import AdminServer
from reranker.runtime.children import listen_to_supervisor
from reranker.runtime.labelled import LABEL, merged
from reranker.runtime.link import Answer, Asker, Unanswered
from reranker.runtime.pages import Overview, Shown, WorkerView, pages
from reranker.runtime.state import ServerState

_PATIENCE = 2.0  # seconds that a page waits for a worker


def serve_pages(shown: Shown, listener: socket.socket, control: socket.socket) -> int:
    """Answer on `listener` until the supervisor is gone; a signal ends it at once."""
    service = ManyProcesses(shown)
    gone = threading.Event()
    listen_to_supervisor(control, service.hear, gone.set)
    AdminServer(listener, pages(service, shown))
    gone.wait()
    return 0


class ManyProcesses:
    """What the admin process knows, or can ask, of the service; what the pages show."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._overview = Overview(ServerState.STARTING, 0.0, ())
        self._links: dict[int, Asker] = {}  # by the worker's process number
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(16, "ask")

    def hear(self, message: dict[str, Any], files: list[int]) -> None:
        """A message of the supervisor: a link to a worker, how things are, or other settings."""
        with self._lock:
            for file in files:
                self._links[message["link"]] = Asker(socket.socket(fileno=file))
            if "settings" in message:
                self._shown.text, self._shown.profile = message["settings"], message["profile"]
            if "workers" in message:
                self._take_over(message)

    def state(self) -> ServerState:
        """What the supervisor said last."""
        return self._overview.state

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """Every worker's, and how they fare. One that does not answer is missing, with a `reranker_worker_up` of 0."""
        answers = self._ask("metrics", accept, [worker for worker in self._overview.workers if worker.scraped])
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry()
        registry.register(_Supervision(self._overview, answers))
        own = encode(registry)
        return content_type, merged([own, *(answer.body for answer in answers.values())])

    def overview(self) -> Overview:
        """The supervisor's view, with what each worker says of itself."""
        overview = self._overview
        answers = self._ask("sections", "", overview.workers)

        def completed(worker: WorkerView) -> WorkerView:
            if worker.pid in answers:
                return replace(worker, sections=json.loads(answers[worker.pid].body))
            return (
                replace(worker, note=worker.note or f"did not answer within {_PATIENCE:.0f} s")
                if worker.pid
                else worker
            )

        return replace(overview, workers=tuple(map(completed, overview.workers)))

    def _take_over(self, message: dict[str, Any]) -> None:
        workers = tuple(WorkerView(**worker) for worker in message["workers"])
        self._overview = Overview(ServerState(message["state"]), message["started"], workers, message["reload"])
        for pid in self._links.keys() - {worker.pid for worker in workers}:
            self._links.pop(pid).close()

    def _ask(self, page: str, accept: str, workers: Iterable[WorkerView]) -> dict[int, Answer]:
        """The answers of those workers that give one, by process number, in the order of the workers."""
        with self._lock:
            links = [(worker.pid, self._links[worker.pid]) for worker in workers if worker.pid in self._links]

        def ask(link: tuple[int, Asker]) -> tuple[int, Answer | None]:
            try:
                return link[0], link[1].ask(page, accept, _PATIENCE)
            except Unanswered:
                return link[0], None

        return {pid: answer for pid, answer in self._threads.map(ask, links) if answer is not None}


class _Supervision(Collector):
    """The metrics that no worker can know of itself."""

    def __init__(self, overview: Overview, answered: Container[int]) -> None:
        self._workers = [worker for worker in overview.workers if worker.scraped]
        self._answered = answered

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("reranker_worker_up", "1 for each worker that answered this scrape.", labels=[LABEL])
        text = "Times that a worker ended unasked and was started anew."
        restarts = CounterMetricFamily("reranker_worker_restarts", text, labels=[LABEL])
        for worker in self._workers:
            up.add_metric([str(worker.number)], worker.pid in self._answered)
            restarts.add_metric([str(worker.number)], worker.restarts)
        yield from (up, restarts)
