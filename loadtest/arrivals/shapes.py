"""Rates that change over time as stretches of straight lines, and the times at which requests are due under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stretch:
    """`seconds` during which the rate goes in a straight line from `first` to `last` requests a second."""

    seconds: float
    first: float
    last: float

    @property
    def expected(self) -> float:
        """How many requests it holds."""
        return self.seconds * (self.first + self.last) / 2

    def when(self, count: NDArray[np.float64]) -> NDArray[np.float64]:
        """The seconds after which `count` requests of this stretch are due: the inverse of its integral."""
        slope = (self.last - self.first) / self.seconds
        # The textbook root loses all its digits where the slope is small; this form of it does not.
        reach = np.sqrt(np.maximum(self.first**2 + 2 * slope * count, 0.0))
        return 2 * count / (self.first + reach)


def scaled(stretches: Sequence[Stretch], rate: float) -> list[Stretch]:
    """The same shape with `rate` as its mean."""
    seconds = sum(stretch.seconds for stretch in stretches)
    factor = rate * seconds / sum(stretch.expected for stretch in stretches)
    return [Stretch(part.seconds, part.first * factor, part.last * factor) for part in stretches]


def times(stretches: Sequence[Stretch], rng: np.random.Generator | None) -> NDArray[np.float64]:
    """Seconds from the start at which requests are due, ascending.

    Without `rng` they are spaced evenly: the k-th is due when the rate's integral reaches k + ½. With it they are a
    Poisson process of that rate, by the same inversion of a process of rate 1.
    """
    ends = np.cumsum([stretch.expected for stretch in stretches])
    total = float(ends[-1])
    counts = np.arange(int(np.floor(total + 0.5)), dtype=np.float64) + 0.5
    if rng is not None:
        counts = _unit_process(total, rng)
    due = []
    start, before = 0.0, 0.0
    places = np.searchsorted(counts, [0.0, *ends.tolist()]).tolist()
    for stretch, end, first, last in zip(stretches, ends.tolist(), places[:-1], places[1:], strict=True):
        inside = counts[first:last]
        due.append(start + stretch.when(inside - before))
        start, before = start + stretch.seconds, end
    return np.concatenate(due)


def _unit_process(total: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A Poisson process of rate 1 on [0, total)."""
    enough = int(total + 6 * np.sqrt(total) + 20)
    counts = np.cumsum(rng.exponential(size=enough))
    while counts[-1] < total:
        counts = np.concatenate([counts, counts[-1] + np.cumsum(rng.exponential(size=enough))])
    return counts[counts < total]
