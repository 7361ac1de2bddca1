"""The ledger as its users see it; where it is kept is one of `sqlite.py` and `redis.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

from reranker.exposure.receipt import Amounts, Receipt
from reranker.exposure.states import Outcome, Step, see, serve
from reranker.exposure.stream import Stream

MEMORY = 3_600.0
"""Seconds for which a request id is known at least; it is forgotten after twice as long."""

STREAMS = 10_000
"""Streams beyond so many are not kept account of: context values come from callers, and may be of any number."""


class LedgerUnavailable(Exception):
    """The ledger cannot be read or written now; `reason` is one fixed word. Nothing was changed, as far as is known."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Impression(NamedTuple):
    """What was seen of one slate: the bits in `seen`, bit 0 being slot 1."""

    request_id: str
    seen: int


@dataclass(slots=True)
class Counts:
    """What became of a batch of events."""

    new: int = 0
    repeated: int = 0
    unknown: int = 0

    def count(self, outcome: Outcome) -> None:
        """One more."""
        if outcome is Outcome.NEW:
            self.new += 1
        elif outcome is Outcome.REPEATED:
            self.repeated += 1
        else:
            self.unknown += 1


class Position(NamedTuple):
    """How far somebody has read: a ledger, and the number of the last change in it."""

    birth: bytes = b""
    version: int = 0


class Sum(NamedTuple):
    """Where one sum belongs."""

    stream: Stream
    bucket: int
    value: str


@dataclass(slots=True)
class Changes:
    """Sums that have changed since a position, as they are now.

    `is_all`: forget all others, it is another ledger. `is_last`: there is nothing behind the new position yet. What
    could not be read for what it is was `damaged`, and is left out.
    """

    position: Position
    is_all: bool
    sums: Mapping[Sum, Amounts] = field(default_factory=dict)
    is_last: bool = True
    damaged: int = 0


Event: TypeAlias = tuple[str, Callable[[bytes | None], Step]]
"""A request's id, and what an event makes of what is known of it."""


def served_event(receipt: Receipt) -> Event:
    """A slate was served."""
    return receipt.request_id, partial(serve, receipt=receipt.data, anonymous=receipt.anonymous)


def seen_event(impression: Impression) -> Event:
    """Some of a slate was seen."""
    return impression.request_id, partial(see, seen=impression.seen)


class Ledger(Protocol):
    """Sums over requests, exactly once each. Safe to use from many threads and processes.

    Every method raises `LedgerUnavailable` when it could not do its work within `seconds`, and may be called again with
    the same: what was done is not done twice.
    """

    def record(self, receipts: Sequence[Receipt], seconds: float) -> Counts:
        """Credit slates that were served. Durable when it returns."""
        ...

    def record_impressions(self, impressions: Sequence[Impression], seconds: float) -> Counts:
        """Take back what was not seen of slates. Durable when it returns."""
        ...

    def changes(self, since: Position, seconds: float) -> Changes:
        """What has changed."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
