"""Starts workers, and starts them anew: it compiles once, forks, listens to its children and to signals: no more.

It has neither threads nor gRPC objects, so that whatever it forks, at any time, begins sound.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

from reranker import engine
from reranker.observability.logs import log
from reranker.runtime.admin import BACKLOG
from reranker.runtime.admin_keeper import AdminKeeper
from reranker.runtime.children import SIGNALS, CannotFork, assert_alone, fork
from reranker.runtime.configuration import Configuration
from reranker.runtime.ledger import TemporaryFolder
from reranker.runtime.life import leave, say, say_what_serves
from reranker.runtime.ports import SharedPort, admin_socket, port_of
from reranker.runtime.rolling import Generation, Rolling
from reranker.runtime.settings import Settings
from reranker.runtime.slots import Slot, Worker
from reranker.runtime.state import ServerState
from reranker.runtime.worker import work

SECONDS_BETWEEN_BEATS = 1.0
MOST_SILENCE = 30
"""Beats after which a worker that serves and gives no sign of life is taken for hung.

Beats of this process, and not seconds: after a machine was suspended nobody is killed.
"""
_LAST_WORDS = 4.0  # seconds on top of drain delay and grace, before a worker that should have left is killed


class Supervisor:
    """The service of several workers; construction reads what the settings name, and opens the ports.

    `read_again` gives the configuration anew, for SIGHUP. Raises `InvalidInput`, `BadCatalog`, `BadLedger` and
    `CannotListen`; `run` raises `CannotFork` where nothing can be started. Once it serves, that is tried again.
    """

    def __init__(self, configuration: Configuration, read_again: Callable[[], Configuration]) -> None:
        settings = configuration.settings
        generation = Generation.read(configuration)
        self._ports = [SharedPort(address) for address in _addresses(settings)]
        listener = admin_socket(settings.admin, BACKLOG) if settings.admin else None
        self._admin = AdminKeeper(listener, configuration)
        # The workers share a ledger also when nobody asked to keep it.
        self._ledger = TemporaryFolder() if settings.ledger is None and settings.store is None else None
        self._slots = [
            Slot(number, self._ports[number if settings.port_per_worker else 0].address)
            for number in range(settings.workers)
        ]
        self._rolling = Rolling(self._slots, generation, read_again, self._begin_successor)
        self._workers: dict[int, Worker] = {}  # every worker's process, by its number
        self._selector = selectors.DefaultSelector()
        self._signals, self._signalled = socket.socketpair()
        self._started = time.time()
        self._next_beat = time.monotonic()
        self._has_served = False
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Compile, fork, watch over the workers until a signal ends them; returns the exit code."""
        assert_alone()  # sooner than after a minute of compiling
        self._handle_signals(self._give_up)
        self._start_admin()
        say(f"listening on {', '.join(port.address for port in self._ports)}{self._admin.words}; warming up")
        engine.warm_up()
        self._rolling.generation.inputs.check()
        gc.collect()
        gc.freeze()  # the collector would write to the pages that the workers share
        self._handle_signals(_take_note)
        self._watch_signals()
        for slot in self._slots:
            slot.worker = self._fork_worker(slot)
        self._publish()
        while self._workers or not self._stopping:
            self._step()
        self._tidy_up()
        log(logging.INFO, "stopped")
        return self._code

    # ---- what happens ------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Wait for whatever comes next, and see to it."""
        ready = [key for key, _ in self._selector.select(self._seconds_to_wait())]
        for key in sorted(ready, key=lambda key: key.data is None):  # SIGCHLD last: who is reaped cannot be heard
            if key.data is None:
                for number in set(self._signals.recv(4_096)):
                    self._on_signal(signal.Signals(number))
            else:
                self._hear(key.data)
        now = time.monotonic()
        for slot in self._slots:
            due = slot.next_start(is_last_hope=not self._serves)
            if due is not None and due <= now and not self._stopping:
                self._start_anew(slot)
        for worker in self._workers.values():
            if worker.deadline is not None and worker.deadline <= now:
                log(logging.WARNING, "worker killed", worker=worker.slot.number, why="it did not leave in time")
                worker.deadline = None
                worker.child.signal(signal.SIGKILL)
        if self._admin.due is not None and self._admin.due <= now and not self._stopping:
            self._start_admin()
        if self._next_beat <= now:
            self._next_beat = now + SECONDS_BETWEEN_BEATS
            self._ask_for_signs_of_life()
        self._admin.flush()

    def _ask_for_signs_of_life(self) -> None:
        """Of every worker that serves; one that owes one for too long is killed, and started anew as after a crash."""
        for worker in self._workers.values():
            if not worker.serves or worker.deadline is not None:
                continue
            if not worker.silent:
                worker.child.send({"alive": True})
            worker.silent += 1
            if worker.silent == MOST_SILENCE:
                log(logging.ERROR, "worker killed", worker=worker.slot.number, why="it gave no sign of life")
                worker.child.signal(signal.SIGKILL)

    def _seconds_to_wait(self) -> float:
        times = [worker.deadline for worker in self._workers.values()]
        if not self._stopping:
            last_hope = not self._serves
            times += [slot.next_start(is_last_hope=last_hope) for slot in self._slots]
            times.append(self._admin.due)
        soonest = min((moment for moment in times if moment is not None), default=self._next_beat)
        return max(0.0, min(soonest, self._next_beat) - time.monotonic())

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            self._rolling.ask()
            self._publish()
        elif self._stopping:
            self._kill_all()
            leave(128 + number)
        else:
            log(logging.INFO, "draining")
            self._stop(0)

    def _hear(self, worker: Worker) -> None:
        """What a worker has to say, all of it."""
        while (message := worker.child.receive()) is not None:
            worker.silent = 0
            if "state" not in message:
                continue
            worker.state = message["state"]
            worker.policies = tuple(message.get("policies", worker.policies))
            if worker.serves:
                self._on_serving(worker)
            self._publish()

    def _on_serving(self, worker: Worker) -> None:
        slot = worker.slot
        if worker is slot.successor:
            slot.predecessor, slot.worker, slot.successor, slot.due = slot.worker, worker, None, None
            if slot.predecessor:
                self._ask_to_leave(slot.predecessor)
            else:
                self._rolling.go_on()
        if not self._has_served and all(slot.worker and slot.worker.serves for slot in self._slots):
            self._has_served = True
            say_what_serves(worker.policies)
            self._rolling.open()

    def _reap(self) -> None:
        """See to all children that have ended."""
        for worker in list(self._workers.values()):
            pid, status = os.waitpid(worker.child.pid, os.WNOHANG)
            if pid:
                self._hear(worker)
                self._selector.unregister(worker.child.control)
                worker.child.close()
                del self._workers[pid]
                self._on_end(worker, os.waitstatus_to_exitcode(status))
                self._publish()
        self._admin.reap()

    def _on_end(self, worker: Worker, code: int) -> None:
        slot = worker.slot
        if worker is slot.predecessor:
            slot.predecessor = None
            self._rolling.go_on()
        elif worker is slot.successor:
            slot.successor = None
            self._rolling.fail(f"worker {slot.number} ended with {_ending(code)} before it served")
        elif self._stopping:
            slot.worker = None
        elif not self._has_served:
            slot.worker = None
            log(logging.ERROR, "worker ended", worker=slot.number, ending=_ending(code), why="it never served")
            self._stop(code if code > 0 else 1)
        else:
            lived = time.monotonic() - worker.child.began
            wait = slot.crashed(time.monotonic(), lived)
            log(
                logging.ERROR,
                "worker ended",
                worker=slot.number,
                ending=_ending(code),
                lived_seconds=round(lived, 1),
                next_start_seconds=round(wait, 2),
            )

    # ---- children ----------------------------------------------------------------------------------------------------

    def _fork_worker(self, slot: Slot) -> Worker:
        generation = self._rolling.generation
        settings = replace(generation.settings, listen=slot.address, admin="")
        if self._ledger is not None:
            settings = replace(settings, ledger=self._ledger.path)
        child = fork(lambda control: work(settings, generation.inputs, slot.number, control), self._not_for_children())
        worker = Worker(child, slot)
        self._workers[child.pid] = worker
        self._selector.register(child.control, selectors.EVENT_READ, worker)
        self._admin.link(child)
        return worker

    def _start_anew(self, slot: Slot) -> None:
        slot.due = None
        try:
            slot.worker = self._fork_worker(slot)
        except CannotFork as error:
            wait = round(slot.crashed(time.monotonic(), 0.0), 2)
            log(logging.ERROR, "no worker started", problem=str(error), worker=slot.number, next_start_seconds=wait)
        self._publish()

    def _begin_successor(self, slot: Slot) -> None:
        try:
            slot.successor = self._fork_worker(slot)
        except CannotFork as error:
            self._rolling.fail(str(error))

    def _start_admin(self) -> None:
        self._admin.start(one for one in self._not_for_children() if one not in self._admin.sockets)
        self._publish()
        for worker in self._workers.values():
            self._admin.link(worker.child)

    def _not_for_children(self) -> Iterator[Any]:
        """Everything open that no worker should have."""
        yield from (self._selector, self._signals, self._signalled)
        yield from (holder for port in self._ports for holder in port.sockets)
        yield from (worker.child.control for worker in self._workers.values())
        yield from self._admin.sockets

    def _ask_to_leave(self, worker: Worker) -> None:
        if worker.deadline is not None:
            return  # it was asked before, and a second signal would end it at once
        settings = self._rolling.generation.settings
        worker.deadline = time.monotonic() + settings.seconds_to_drain + settings.grace + _LAST_WORDS
        worker.child.signal(signal.SIGTERM)

    def _publish(self) -> None:
        """Tell the admin process how things are."""
        self._admin.show(self._rolling.serving.configuration)
        state = ServerState.SERVING if self._serves else ServerState.WARMING
        self._admin.tell(
            {
                "state": ServerState.DRAINING if self._stopping else state,
                "started": self._started,
                "workers": [view for slot in self._slots for view in slot.views()],
                "reload": self._rolling.note,
            }
        )

    @property
    def _serves(self) -> bool:
        return any(slot.worker is not None and slot.worker.serves for slot in self._slots)

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _stop(self, code: int) -> None:
        """Ask everybody to leave."""
        self._stopping, self._code = True, code
        self._rolling.close()
        for worker in self._workers.values():
            self._ask_to_leave(worker)
        self._publish()

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            worker.child.signal(signal.SIGKILL)
        self._tidy_up()

    def _tidy_up(self) -> None:
        self._admin.end()
        if self._ledger is not None:
            self._ledger.close()

    # ---- signals -----------------------------------------------------------------------------------------------------

    def _give_up(self, number: int, _: FrameType | None) -> None:
        """A signal while everything is being compiled: there is nobody to wait for, and a reload is for later."""
        if number == signal.SIGHUP:
            self._rolling.ask()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._kill_all()
            leave(0)

    def _handle_signals(self, handler: Callable[[int, FrameType | None], None]) -> None:
        for number in SIGNALS:
            signal.signal(number, handler)

    def _watch_signals(self) -> None:
        """From now on each signal's number comes as a byte, between two steps and never within one."""
        for end in (self._signals, self._signalled):
            end.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno())
        self._selector.register(self._signals, selectors.EVENT_READ, None)


def _take_note(_: int, __: FrameType | None) -> None:
    """The byte on the wake-up socket is all that is needed."""


def _addresses(settings: Settings) -> list[str]:
    if not settings.port_per_worker:
        return [settings.listen]
    host, first = settings.listen.rpartition(":")[0], port_of(settings.listen)
    return [f"{host}:{first + number if first else 0}" for number in range(settings.workers)]


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"
