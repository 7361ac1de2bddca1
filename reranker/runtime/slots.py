"""The places of workers: each has a number and an address for ever, and at most one worker that serves at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from reranker.runtime.backoff import LAST_ONE, Backoff
from reranker.runtime.children import Child


@dataclass(eq=False)
class Worker:
    """A worker's process; `state` is what it said last, `policies` what it serves."""

    child: Child
    slot: Slot
    state: str = "STARTING"
    policies: tuple[str, ...] = ()
    deadline: float | None = None
    """When it has to have left, once it was asked to."""
    silent: int = 0
    """For how many beats it has owed a sign of life."""

    @property
    def serves(self) -> bool:
        """Whether it takes requests."""
        return self.state == "SERVING"


@dataclass(eq=False)
class Slot:
    """One place. While workers are replaced, a successor warms up and a predecessor drains beside `worker`."""

    number: int
    address: str
    worker: Worker | None = None
    successor: Worker | None = None
    predecessor: Worker | None = None
    restarts: int = 0
    fell: float = 0.0
    """When its worker ended unasked."""
    due: float | None = None
    """When the next one is to start, then."""
    backoff: Backoff = field(default_factory=Backoff)

    def crashed(self, now: float, lived: float) -> float:
        """Its worker ended unasked, after so many seconds; returns how many it stays empty."""
        self.worker = None
        self.restarts += 1
        wait = self.backoff.after(lived)
        self.fell, self.due = now, now + wait
        return wait

    def next_start(self, *, is_last_hope: bool) -> float | None:
        """When a worker is to start here, None for never: where nothing serves, no wait is longer than a second."""
        if self.due is None or self.successor is not None:
            return None
        return min(self.due, self.fell + LAST_ONE) if is_last_hope else self.due

    def views(self) -> list[dict[str, Any]]:
        """Its processes as the admin process hears of them: fields of `pages.WorkerView`."""
        views = [_view(self, self.worker, "")] if self.worker else [self._empty()]
        if self.successor:
            views.append({**_view(self, self.successor, "takes over when it is warm"), "scraped": False})
        if self.predecessor:
            views.append({**_view(self, self.predecessor, "was replaced"), "scraped": False})
        return views

    def _empty(self) -> dict[str, Any]:
        note = "" if self.due is None else f"starts anew in {max(0.0, self.due - time.monotonic()):.1f} s"
        fields = {"number": self.number, "pid": 0, "state": "DOWN", "since": time.time(), "address": self.address}
        return {**fields, "restarts": self.restarts, "note": note}


def _view(slot: Slot, worker: Worker, note: str) -> dict[str, Any]:
    return {
        "number": slot.number,
        "pid": worker.child.pid,
        "state": worker.state,
        "since": worker.child.started,
        "address": slot.address,
        "restarts": slot.restarts,
        "note": note,
    }
