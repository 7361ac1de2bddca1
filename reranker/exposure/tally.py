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
    the exposure that was due by the targets in force when it was given; `items` counts slots; `price` is Σ of the
    prices in force, one a request whatever was seen of it: over `Tally.requests` it is the controller's memory.
    """

    exposure: float = 0.0
    relevance: float = 0.0
    target: float = 0.0
    items: float = 0.0
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """One stream at `time` (seconds since the epoch): its groups by value, and the decayed number of requests."""

    time: float
    requests: float
    groups: Mapping[str, GroupTally]


class TallyBoard(Protocol):
    """What a request may look at without waiting: the last snapshot of the ledger, in this process's memory."""

    def tally(self, key: TallyKey, half_life: float) -> Tally | None:
        """The stream as it was at the last refresh; None when nothing is known of it. Never blocks.

        `half_life` is in seconds: with another one the stream is another.
        """
        ...

    @property
    def age(self) -> float:
        """Seconds since the last refresh that succeeded; infinite before the first."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """What one slate gave to one stream, and by what rule: all that the ledger writes of it comes from here.

    `values` are the hard labels of the item in each slot (none: unknown, and its attention is nobody's), `relevance`
    what each is worth above zero; `before` items stood on earlier pages, so slots count on from there. `shares` are the
    targets in force: a group's due is its share of all that groups got from the slots that count. `prices` are what the
    controller put on each group; both are by value. `half_life` is in seconds.
    """

    key: TallyKey
    half_life: float
    before: int
    values: tuple[tuple[str, ...], ...]
    relevance: tuple[float, ...]
    shares: Mapping[str, float]
    prices: Mapping[str, float]
