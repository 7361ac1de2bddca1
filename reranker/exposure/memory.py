"""A ledger in this process's memory alone: for notebooks, batch engines and simulations, where one loop does it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import exp2, log2
from time import time as now

from reranker.exposure.stream import Stream
from reranker.exposure.tally import GroupTally, Served, Tally, TallyKey

_FIELDS = ("exposure", "relevance", "target", "items", "price")


@dataclass(slots=True)
class _Stream:
    """One stream's sums as of `time`."""

    time: float
    half_life: float
    requests: float = 0.0
    groups: dict[str, dict[str, float]] = field(default_factory=dict)

    def fade(self, time: float) -> float:
        """What is left at `time` of what was there; time never runs back."""
        return exp2(-max(0.0, time - self.time) / self.half_life)


class MemoryBoard:
    """What slates gave, with half-life decay; always up to date. Not for several threads at once.

    `clock` gives seconds since the epoch. Every slate counts as seen in full, and as often as it is recorded.
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self._clock = clock
        self._streams: dict[Stream, _Stream] = {}

    @property
    def age(self) -> float:
        """Always 0."""
        return 0.0

    def record(self, slates: Iterable[Served], time: float | None = None) -> None:
        """Add what slates gave: `trace.exposure` of `rerank_traced`. O(slots + groups) each."""
        time = self._clock() if time is None else time
        for served in slates:
            name = Stream(served.key, served.half_life)
            stream = self._streams.setdefault(name, _Stream(time, served.half_life))
            _decay(stream, time)
            stream.requests += 1.0
            _add(stream.groups, served)

    def tally(self, key: TallyKey, half_life: float) -> Tally | None:
        """The stream as it is now; None when nothing was recorded of it."""
        stream = self._streams.get(Stream(key, half_life))
        if stream is None:
            return None
        time = self._clock()
        left = stream.fade(time)
        groups = {
            value: GroupTally(**{name: left * sums[name] for name in _FIELDS}) for value, sums in stream.groups.items()
        }
        return Tally(max(time, stream.time), left * stream.requests, groups)


def _decay(stream: _Stream, time: float) -> None:
    left = stream.fade(time)
    if left < 1.0:
        stream.requests *= left
        for sums in stream.groups.values():
            for name in _FIELDS:
                sums[name] *= left
        stream.time = time


def _add(groups: dict[str, dict[str, float]], served: Served) -> None:
    given = 0.0
    for slot, (values, relevance) in enumerate(zip(served.values, served.relevance, strict=True), served.before + 1):
        attention = 1.0 / log2(slot + 1)
        for value in values:
            given += attention
            sums = _of(groups, value)
            sums["exposure"] += attention
            sums["relevance"] += relevance
            sums["items"] += 1.0
    _add_each(groups, served.shares, "target", given)
    _add_each(groups, served.prices, "price", 1.0)


def _add_each(groups: dict[str, dict[str, float]], by_value: Mapping[str, float], name: str, factor: float) -> None:
    for value, number in by_value.items():
        _of(groups, value)[name] += factor * number


def _of(groups: dict[str, dict[str, float]], value: str) -> dict[str, float]:
    return groups.setdefault(value, dict.fromkeys(_FIELDS, 0.0))
