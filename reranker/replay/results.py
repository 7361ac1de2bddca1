"""The results of a run by policy, as plain arrays: what every comparison is made of. One entry a request throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from reranker.replay.measured import TIMES
from reranker.replay.words import Measure

Floats = NDArray[np.float64]

_SIZES = ((50, "under 50"), (200, "50 to 199"), (1_000, "200 to 999"))


def size_in_words(candidates: int) -> str:
    """The length of a list, for slices."""
    return next((word for limit, word in _SIZES if candidates < limit), "1000 or more")


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The requests of a run, (n,): `dimensions` hold a text a request, "" where nothing is known."""

    ordinals: NDArray[np.int64]
    names: tuple[str, ...]
    dimensions: Mapping[str, tuple[str, ...]]
    candidates: NDArray[np.int64]
    recorded_catalogs: Mapping[str, int] = field(default_factory=dict)
    """How many requests were recorded with each version of the catalog, of those that looked something up in one."""

    def __len__(self) -> int:
        return len(self.ordinals)

    def sizes(self) -> tuple[str, ...]:
        """The length of each list in words, for slices."""
        return tuple(map(size_in_words, self.candidates.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Slates(Sequence[NDArray[np.int32]]):
    """The slate of each request, one behind the other: that of request i are `items[starts[i]:starts[i + 1]]`."""

    starts: NDArray[np.int64]
    items: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, at: int) -> NDArray[np.int32]: ...
    @overload
    def __getitem__(self, at: slice) -> list[NDArray[np.int32]]: ...
    def __getitem__(self, at: int | slice) -> NDArray[np.int32] | list[NDArray[np.int32]]:
        places = range(len(self))[at]  # as any sequence: an IndexError beyond the end
        if isinstance(places, range):
            return [self[place] for place in places]
        return self.items[self.starts[places] : self.starts[places + 1]]

    @property
    def longest(self) -> int:
        """Items of the longest."""
        return int(np.diff(self.starts).max(initial=0))


@dataclass(frozen=True, slots=True, eq=False)
class Presences:
    """Values on some slates, one entry for each value in each request, (m,).

    `slots` are those of entry i from `starts[i]` to `starts[i + 1]`, `request` is a place among these requests, `key`
    one among `keys`, which are attributes with a value each, and `supply` counts candidates; the rest is as in
    `measured.Presence`.
    """

    request: NDArray[np.int64]
    key: NDArray[np.int64]
    keys: Sequence[tuple[str, str]]
    supply: NDArray[np.int64]
    starts: NDArray[np.int64]
    slots: NDArray[np.int64]
    lifted: NDArray[np.int64]
    lifted_score: Floats
    dropped: NDArray[np.int64]
    dropped_score: Floats


@dataclass(frozen=True, slots=True)
class Deficit:
    """One bound over all requests: how often it holds, and how often and by how much it is broken, by reason."""

    attribute: str
    value: str
    bound: str
    soft: bool
    met: int
    broken: Mapping[str, int]
    suspended: Mapping[str, int]
    units: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one policy made of the requests: numbers by measure (n,), NaN where there is none, and slates.

    `positions` has an empty slate where there is an `errors` text.
    """

    label: str
    numbers: Mapping[Measure, Floats]
    positions: Slates
    errors: tuple[str, ...]
    statuses: Mapping[str, int]
    deficits: tuple[Deficit, ...]
    microseconds: Floats

    @property
    def refusals(self) -> Counter[str]:
        """How many requests have no slate, by what was wrong with them."""
        return Counter(error for error in self.errors if error)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """A whole run: the traffic and what each policy made of it, by label in the run's order."""

    traffic: Traffic
    answers: Mapping[str, Answers]
    presences: Callable[[Sequence[str]], Iterator[tuple[Presences, ...]]]
    """Given labels, what stands where under each of them, for some requests after the others: too much to hold."""
    providers: tuple[str, ...] = field(default=())
    """Attributes of more than 32 values over the run: counted value by value, not compared by group."""
    pairs: dict[tuple[str, str], Mapping[Measure, Floats]] = field(default_factory=dict)
    """What `contrasts.together` has found of two policies: verdict, outcomes and browser ask for the same."""

    def groups(self) -> tuple[str, ...]:
        """The attributes that are compared by group, pairs of them last."""
        names = {measure.attribute for answers in self.answers.values() for measure in answers.numbers}
        return tuple(sorted(names - {"", *self.providers}, key=lambda name: (TIMES in name, name)))
