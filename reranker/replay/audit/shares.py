"""What each group has of a list and of its top, request by request: sums in units, for intervals of means."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reranker.replay.bootstrap import Interval, Sums, intervals_of_sums

Floats = NDArray[np.float64]
UNITS = 1_000
_COLUMNS = 8


class Means:
    """Means over requests of numbers by name, a name for each group: a group that came late had 0 before.

    `is_of_all` is False where a request without a group says nothing about it. The first `UNITS` requests are a unit
    each, later ones are added to them.
    """

    def __init__(self, *, is_of_all: bool) -> None:
        self.requests = 0
        self._is_of_all = is_of_all
        self._places: dict[str, int] = {}
        self._sums = np.zeros((1, _COLUMNS))
        self._counts = np.zeros((1, _COLUMNS))
        self._every = np.zeros(1)

    def add(self, numbers: dict[str, float]) -> None:
        """One request."""
        unit = self.requests % UNITS
        self.requests += 1
        for name in numbers:
            self._places.setdefault(name, len(self._places))
        rows, columns = self._sums.shape
        if unit >= rows or len(self._places) > columns:
            size = (min(UNITS, max(rows, 2 * unit)), max(columns, 2 * len(self._places)))
            self._sums, self._counts = _grown(self._sums, size), _grown(self._counts, size)
            self._every = _grown(self._every, size[:1])
        self._every[unit] += 1.0
        for name, number in numbers.items():
            self._sums[unit, self._places[name]] += number
            self._counts[unit, self._places[name]] += 1.0

    def names(self) -> tuple[str, ...]:
        """Every name that there was."""
        return tuple(self._places)

    def intervals(
        self, ends: Mapping[str, tuple[float, float]], level: float, *, seed: int, draws: int
    ) -> dict[str, Interval]:
        """The means of these names, each with its range; NaN where no request has it. As `bootstrap.intervals`."""
        used = min(self.requests, UNITS)
        sums, counts = np.zeros((2, used, len(ends)))
        for column, name in enumerate(ends):
            place = self._places.get(name)
            if place is not None:
                sums[:, column], counts[:, column] = self._sums[:used, place], self._counts[:used, place]
            if self._is_of_all:
                counts[:, column] = self._every[:used]
        lows, highs = np.array(list(ends.values()), float).reshape(-1, 2).T
        found = intervals_of_sums(Sums(sums, counts, lows, highs), [level] * len(ends), seed=seed, draws=draws)
        return dict(zip(ends, found, strict=True))


def _grown(array: Floats, size: tuple[int, ...]) -> Floats:
    grown = np.zeros(size)
    grown[tuple(slice(0, length) for length in array.shape)] = array
    return grown


class Draws:
    """Counts of items in sets whose items are draws each: the item is the unit."""

    def __init__(self) -> None:
        self.sets = 0
        self.labelled = 0
        self.counts: dict[str, int] = {}

    def add(self, labelled: int, counts: dict[str, int]) -> None:
        """One set."""
        self.sets += 1
        self.labelled += labelled
        for value, count in counts.items():
            self.counts[value] = self.counts.get(value, 0) + count

    def interval(self, value: str, level: float, *, seed: int, draws: int) -> Interval:
        """The share of a value: Clopper and Pearson's interval, drawn. `requests` are items here."""
        n, k = self.labelled, self.counts.get(value, 0)
        if not n:
            return Interval(float("nan"), float("nan"), float("nan"), 0)
        generator = np.random.default_rng(seed)
        out = (1.0 - level) / 2.0
        low = float(np.quantile(generator.beta(k, n - k + 1, draws), out, method="lower")) if k else 0.0
        high = float(np.quantile(generator.beta(k + 1, n - k, draws), 1.0 - out, method="higher")) if k < n else 1.0
        return Interval(k / n, min(low, k / n), max(high, k / n), n)
