"""The ledger as it was a moment ago, in this process's memory: what a request may look at without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from reranker.exposure.decay import BUCKETS, UNIT, remains
from reranker.exposure.ledger import Ledger, Position, Sum
from reranker.exposure.receipt import Amounts
from reranker.exposure.stream import Stream
from reranker.exposure.tally import GroupTally, Tally, TallyKey

_Sums = dict[int, dict[str, Amounts]]
"""What one stream holds, by bucket and value."""


@dataclass(frozen=True, slots=True, eq=False)
class _Snapshot:
    """The ledger at one time; `tallies` are those that were asked for so far."""

    time: float = 0.0
    sums: Mapping[Stream, _Sums] = field(default_factory=dict)
    tallies: dict[Stream, Tally] = field(default_factory=dict)


class Board:
    """A `TallyBoard`. One thread refreshes it; any number of threads look at it, and none of them waits."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._position = Position()
        self._snapshot = _Snapshot()
        self._refreshed = float("-inf")

    def tally(self, key: TallyKey, half_life: float) -> Tally | None:
        """The stream at the last refresh; None when nothing is known of it. Made once a refresh. O(its sums)."""
        return self.of(Stream(key, half_life))

    def of(self, stream: Stream) -> Tally | None:
        """`tally` by the stream's whole name."""
        snapshot = self._snapshot
        known = snapshot.tallies.get(stream)
        if known is None and (sums := snapshot.sums.get(stream)) is not None:
            known = snapshot.tallies[stream] = _tally_of(stream, sums, snapshot.time)
        return known

    @property
    def age(self) -> float:
        """Seconds since the last refresh that succeeded; infinite before the first."""
        return time.monotonic() - self._refreshed

    @property
    def streams(self) -> Collection[Stream]:
        """Every stream that something is known of."""
        return self._snapshot.sums.keys()

    def refresh(self, ledger: Ledger, seconds: float) -> int:
        """Take over what has changed in the ledger, each part of it within `seconds`. Returns how much was damaged.

        Raises `LedgerUnavailable`, and the board stays as it is.
        """
        position, sums, fresh = self._position, dict(self._snapshot.sums), set[Stream]()
        damaged, is_last = 0, False
        while not is_last:
            changes = ledger.changes(position, seconds)
            position, is_last = changes.position, changes.is_last
            damaged += changes.damaged
            if changes.is_all:
                sums, fresh = {}, set()
            _take_over(changes.sums, sums, fresh)
        for stream in fresh:
            for bucket in sorted(sums[stream], reverse=True)[BUCKETS:]:
                del sums[stream][bucket]
        self._position = position
        self._snapshot = _Snapshot(self._clock(), sums)
        self._refreshed = time.monotonic()
        return damaged


def _take_over(changed: Mapping[Sum, Amounts], sums: dict[Stream, _Sums], fresh: set[Stream]) -> None:
    """Put what has changed into `sums`, in which the streams of `fresh` are nobody else's."""
    for (stream, bucket, value), amounts in changed.items():
        if stream not in fresh:  # requests may look at the one that was there
            fresh.add(stream)
            sums[stream] = {number: dict(held) for number, held in sums.get(stream, {}).items()}
        sums[stream].setdefault(bucket, {})[value] = amounts


def _tally_of(stream: Stream, sums: _Sums, time: float) -> Tally:
    """A stream's sums, decayed to `time`. Requests wait for it, so it makes no object for each sum."""
    requests, groups = 0.0, dict[str, list[float]]()
    for bucket in sorted(sums):
        worth = remains(bucket, time, stream.half_life)
        if worth == 0.0:
            continue
        unit = worth / UNIT
        for value, (exposure, target, items, price, relevance) in sums[bucket].items():
            if value == "":
                requests += unit * items
                continue
            group = groups.get(value)
            if group is None:
                group = groups[value] = [0.0] * 5
            group[0] += unit * exposure
            group[1] += worth * relevance
            group[2] += unit * target
            group[3] += unit * items
            group[4] += unit * price
    return Tally(time, requests, {value: GroupTally(*group) for value, group in groups.items()})
