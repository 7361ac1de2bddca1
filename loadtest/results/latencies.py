"""Latencies in an HdrHistogram, beside the requests that were never answered, which count as slower than any."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.errors import LoadtestError

try:
    from hdrh.histogram import HdrHistogram
except ModuleNotFoundError:
    HdrHistogram = None

LONGEST_US = 600_000_000
"""Ten minutes; what takes longer is recorded as this."""

DIGITS = 3


def check_installed() -> None:
    """Raises `LoadtestError` naming the extra when the histogram's package is missing."""
    if HdrHistogram is None:
        raise LoadtestError("load tests need HdrHistogram: pip install 'diversity-reranker[loadtest]'")


def enough(count: int, percent: float) -> bool:
    """Whether a percentile of so many requests rests on at least one beyond it."""
    return count * (100 - percent) / 100 >= 1 - 1e-9


class Latencies:
    """Durations, to three digits of a microsecond count. Percentiles are taken over all requests that were due."""

    def __init__(self) -> None:
        self._histogram: Any = HdrHistogram(1, LONGEST_US, DIGITS)
        self.unanswered = 0

    def add(self, nanoseconds: NDArray[np.int64]) -> None:
        """Record answers."""
        microseconds = np.clip(np.rint(nanoseconds / 1e3), 1, LONGEST_US).astype(np.int64)
        for value, count in zip(*(part.tolist() for part in np.unique(microseconds, return_counts=True)), strict=True):
            self._histogram.record_value(value, count)

    def add_unanswered(self, count: int) -> None:
        """Record requests that have no answer."""
        self.unanswered += count

    def knows(self, percent: float) -> bool:
        """Whether there are enough requests for this percentile: one beyond it at least, so p99 wants a hundred."""
        return enough(self.count, percent)

    @property
    def answered(self) -> int:
        """How many have an answer."""
        return int(self._histogram.get_total_count())

    @property
    def count(self) -> int:
        """How many were due."""
        return self.answered + self.unanswered

    def percentile(self, percent: float) -> float:
        """Milliseconds within which `percent` of all requests were answered: by rank, ⌈percent × count⌉ from below.

        Infinite where that many were never answered; NaN without requests.
        """
        return self.percentiles([percent])[0]

    def percentiles(self, percents: Iterable[float]) -> list[float]:
        """The same for several."""
        answered, count = self.answered, self.count
        values = []
        for percent in percents:
            rank = max(1, math.ceil(percent / 100 * count - 1e-9))
            if not count:
                values.append(math.nan)
            elif rank > answered:
                values.append(math.inf)
            else:
                values.append(self._histogram.get_value_at_percentile(100 * rank / answered) / 1e3)
        return values

    def known(self, percents: Iterable[float]) -> list[float]:
        """The same, and NaN for each that too few requests stand behind."""
        return [self.percentile(percent) if self.knows(percent) else math.nan for percent in percents]

    @property
    def longest(self) -> float:
        """Milliseconds of the slowest answer; infinite when one is missing, NaN without requests."""
        if self.unanswered:
            return math.inf
        return self._histogram.get_max_value() / 1e3 if self.answered else math.nan

    @property
    def mean(self) -> float:
        """Mean milliseconds of the answers; NaN without any."""
        return self._histogram.get_mean_value() / 1e3 if self.answered else math.nan

    def encoded(self) -> str:
        """The histogram of the answers, in microseconds, in HdrHistogram's own compressed text form."""
        return str(self._histogram.encode().decode("ascii"))
