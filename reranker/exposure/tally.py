"""What the ledger knows about one stream of traffic: the words that it and the controller share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TallyKey:
    """One stream of traffic whose representation is kept apart: item groups of one attribute, never users.

    `per` holds the context's values of the policy's `per` keys, in the policy's order; a missing one is "".
    """

    surface: str
    policy: str
    arm: str
    attribute: str
    per: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GroupTally:
    """What one value of the attribute got, every number decayed to the tally's `time`.

    `exposure` is attention, Σ 1 / log2(slot + 1); `relevance` Σ of the shown items' relevance above zero; `target` is
    the exposure that was due by the targets in force when it was given; `items` counts slots.
    """

    exposure: float = 0.0
    relevance: float = 0.0
    target: float = 0.0
    items: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """One stream at `time` (seconds since the epoch): its groups by value, and the decayed number of requests."""

    time: float
    requests: float
    groups: Mapping[str, GroupTally]


class TallyBoard(Protocol):
    """What a request may look at without waiting: the last snapshot of the ledger, in this process's memory."""

    def tally(self, key: TallyKey) -> Tally | None:
        """The stream as it was at the last refresh; None when nothing is known of it. Never blocks."""
        ...

    @property
    def age(self) -> float:
        """Seconds since the last refresh that succeeded; infinite before the first."""
        ...
