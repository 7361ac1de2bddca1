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
from reranker.runtime.admin_process import serve_pages
from reranker.runtime.backoff import Backoff
from reranker.runtime.children import SIGNALS, Child, fork
from reranker.runtime.configuration import Configuration
from reranker.runtime.inputs import Inputs
from reranker.runtime.ledger import TemporaryFolder
from reranker.runtime.life import leave, say, say_what_serves
from reranker.runtime.ports import SharedPort, admin_socket, port_of
from reranker.runtime.rolling import Roll, fresh_configuration
from reranker.runtime.settings import Settings
from reranker.runtime.slots import Slot, Worker
from reranker.runtime.state import ServerState
from reranker.runtime.worker import work

_LAST_WORDS = 4.0  # seconds on top of drain delay and grace, before a worker that should have left is killed


class Supervisor:
    """The service of several workers; construction reads what the settings name, and opens the ports.

    `read_again` gives the configuration anew, for SIGHUP. Raises `InvalidInput`, `BadCatalog` and `CannotListen`.
    """

    def __init__(self, configuration: Configuration, read_again: Callable[[], Configuration]) -> None:
        settings = configuration.settings
        self._configuration, self._read_again = configuration, read_again
        self._inputs = Inputs(settings)
        self._ports = [SharedPort(address) for address in _addresses(settings)]
        # The workers share a ledger also when nobody asked to keep it.
        self._ledger = TemporaryFolder() if settings.ledger is None and settings.store is None else None
        self._listener = admin_socket(settings.admin, BACKLOG) if settings.admin else None
        self._slots = [
            Slot(number, self._ports[number if settings.port_per_worker else 0].address)
            for number in range(settings.workers)
        ]
        self._workers: dict[int, Worker] = {}  # every worker's process, by its number
        self._admin: Child | None = None
        self._admin_due: float | None = None
        self._admin_backoff = Backoff()
        self._selector = selectors.DefaultSelector()
        self._signals, self._signalled = socket.socketpair()
        self._started = time.time()
        self._roll: Roll | None = None
        self._reload_asked = False
        self._reload_note = ""
        self._has_served = False
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Compile, fork, watch over the workers until a signal ends them; returns the exit code."""
        self._handle_signals(self._give_up)
        self._start_admin()
        addresses = ", ".join(port.address for port in self._ports)
        say(f"listening on {addresses}{self._admin_words()}; warming up")
        engine.warm_up()
        self._inputs.check()
        gc.collect()
        gc.freeze()  # the collector would write to the pages that the workers share
        self._handle_signals(_take_note)
        self._watch_signals()
        for slot in self._slots:
            slot.worker = self._fork_worker(slot)
        self._publish()
        while self._workers or not self._stopping:
            self._step()
        self._end_admin()
        self._forget_ledger()
        log(logging.INFO, "stopped")
        return self._code

    # ---- what happens ------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Wait for whatever comes next, and see to it."""
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if key.data is None:
                for number in set(self._signals.recv(4_096)):
                    self._on_signal(signal.Signals(number))
            else:
                self._hear(key.data)
        now = time.monotonic()
        for slot in self._slots:
            due = slot.next_start(is_last_hope=not self._serves)
            if due is not None and due <= now and not self._stopping:
                slot.due = None
                slot.worker = self._fork_worker(slot)
                self._publish()
        for worker in self._workers.values():
            if worker.deadline is not None and worker.deadline <= now:
                log(logging.WARNING, "worker killed", worker=worker.slot.number, why="it did not leave in time")
                worker.deadline = None
                worker.child.signal(signal.SIGKILL)
        if self._admin_due is not None and self._admin_due <= now:
            self._start_admin()
        if self._admin:
            self._admin.flush()

    def _seconds_to_wait(self) -> float | None:
        last_hope = not self._serves
        times = [slot.next_start(is_last_hope=last_hope) for slot in self._slots if not self._stopping]
        times += [worker.deadline for worker in self._workers.values()]
        times.append(self._admin_due)
        known = [moment for moment in times if moment is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            self._reload()
        elif self._stopping:
            self._kill_all()
            self._forget_ledger()
            leave(128 + number)
        else:
            log(logging.INFO, "draining")
            self._stop(0)

    def _hear(self, worker: Worker) -> None:
        """What a worker has to say, all of it."""
        while (message := worker.child.receive()) is not None:
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
                self._roll_on()
        if not self._has_served and all(slot.worker and slot.worker.serves for slot in self._slots):
            self._has_served = True
            say_what_serves(worker.policies)
            if self._reload_asked:
                self._reload()

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
        if self._admin and os.waitpid(self._admin.pid, os.WNOHANG)[0]:
            lived = time.monotonic() - self._admin.began
            self._admin.close()
            self._admin, self._admin_due = None, None
            if not self._stopping:
                wait = self._admin_backoff.after(lived)
                self._admin_due = time.monotonic() + wait
                log(logging.ERROR, "admin process ended", next_start_seconds=round(wait, 2))

    def _on_end(self, worker: Worker, code: int) -> None:
        slot = worker.slot
        if worker is slot.predecessor:
            slot.predecessor = None
            self._roll_on()
        elif worker is slot.successor:
            slot.successor = None
            self._roll_back(f"worker {slot.number} ended with {_ending(code)} before it served")
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

    # ---- replacing workers one by one --------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Read everything anew, and replace the workers if it is sound; else say why not and leave all as it is."""
        self._reload_asked = self._roll is not None or not self._has_served
        if self._stopping or self._reload_asked:
            return  # it is done when the one under way, or the start, is
        try:
            configuration = fresh_configuration(self._read_again, self._configuration.settings)
            inputs = Inputs(configuration.settings)
            inputs.check()
        except Exception as error:  # whatever it is, the service goes on
            log(logging.ERROR, "reload refused", error, problem=str(error))
            self._note_reload("refused; the log says why")
            return
        log(logging.INFO, "reloading")
        self._note_reload("under way")
        self._roll = Roll(list(self._slots), (self._configuration, self._inputs))
        self._configuration, self._inputs = configuration, inputs
        self._roll_on()

    def _roll_on(self) -> None:
        """Replace the next worker, or end the reload."""
        if self._roll is None or self._stopping:
            return
        if self._roll.slots:
            slot = self._roll.next_slot()
            slot.successor = self._fork_worker(slot)
            return
        self._end_roll("done")
        log(logging.INFO, "reloaded")

    def _roll_back(self, problem: str) -> None:
        """End the reload where it is; when nothing was replaced yet, as if it had never been asked for."""
        if self._roll is None or self._stopping:
            return
        log(logging.ERROR, "reload failed", problem=problem, replaced=self._roll.replaced)
        if not self._roll.replaced:
            self._configuration, self._inputs = self._roll.before
        self._end_roll(f"failed after {self._roll.replaced} of {len(self._slots)} workers; the log says why")

    def _end_roll(self, note: str) -> None:
        self._roll = None
        self._note_reload(note)
        if self._reload_asked:
            self._reload()

    def _note_reload(self, note: str) -> None:
        self._reload_note = f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {note}"
        self._publish()

    # ---- children ----------------------------------------------------------------------------------------------------

    def _fork_worker(self, slot: Slot) -> Worker:
        settings = replace(self._configuration.settings, listen=slot.address, admin="")
        if settings.ledger is None and self._ledger is not None:
            settings = replace(settings, ledger=self._ledger.path)
        inputs = self._inputs
        child = fork(lambda control: work(settings, inputs, slot.number, control), self._own_sockets())
        worker = Worker(child, slot)
        self._workers[child.pid] = worker
        self._selector.register(child.control, selectors.EVENT_READ, worker)
        self._link(worker)
        return worker

    def _start_admin(self) -> None:
        self._admin_due = None
        listener = self._listener
        if listener is None:
            return
        settings, sources = self._configuration.settings, self._configuration.sources
        others = (one for one in self._own_sockets() if one is not listener)
        self._admin = fork(lambda control: serve_pages(settings, sources, listener, control), others)
        self._publish()
        for worker in self._workers.values():
            self._link(worker)

    def _link(self, worker: Worker) -> None:
        """Give the admin process and a worker a pair of sockets to talk over."""
        if self._admin is None:
            return
        for_admin, for_worker = socket.socketpair()
        with for_admin, for_worker:
            worker.child.send({}, for_worker.fileno())
            self._admin.send({"link": worker.child.pid}, for_admin.fileno())

    def _own_sockets(self) -> Iterator[Any]:
        """Everything open that no child should have."""
        yield from (self._selector, self._signals, self._signalled)
        yield from (holder for port in self._ports for holder in port.sockets)
        yield from (worker.child.control for worker in self._workers.values())
        if self._listener:
            yield self._listener
        if self._admin:
            yield self._admin.control

    def _stop(self, code: int) -> None:
        """Ask everybody to leave."""
        self._stopping, self._code = True, code
        for worker in self._workers.values():
            self._ask_to_leave(worker)
        self._publish()

    def _ask_to_leave(self, worker: Worker) -> None:
        if worker.deadline is not None:
            return  # it was asked before, and a second signal would end it at once
        settings = self._configuration.settings
        worker.deadline = time.monotonic() + settings.seconds_to_drain + settings.grace + _LAST_WORDS
        worker.child.signal(signal.SIGTERM)

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            worker.child.signal(signal.SIGKILL)
        if self._admin:
            self._admin.signal(signal.SIGKILL)

    def _end_admin(self) -> None:
        if self._admin:
            self._admin.signal(signal.SIGKILL)  # it has nothing to lose
            os.waitpid(self._admin.pid, 0)

    def _forget_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    # ---- small things ------------------------------------------------------------------------------------------------

    @property
    def _serves(self) -> bool:
        return any(slot.worker is not None and slot.worker.serves for slot in self._slots)

    def _publish(self) -> None:
        """Tell the admin process how things are."""
        if self._admin is None:
            return
        state = ServerState.SERVING if self._serves else ServerState.WARMING
        self._admin.send(
            {
                "state": ServerState.DRAINING if self._stopping else state,
                "started": self._started,
                "workers": [view for slot in self._slots for view in slot.views()],
                "reload": self._reload_note,
            }
        )

    def _admin_words(self) -> str:
        if self._listener is None:
            return ""
        host = self._configuration.settings.admin.rpartition(":")[0]
        return f", admin on http://{host}:{self._listener.getsockname()[1]}"

    def _give_up(self, number: int, _: FrameType | None) -> None:
        """A signal while everything is being compiled: there is nobody to wait for."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._kill_all()
            self._forget_ledger()
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
