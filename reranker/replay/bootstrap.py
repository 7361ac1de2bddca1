"""Intervals for means over requests: a Bayesian bootstrap, with an unseen extreme where a measure has a range.

A plain bootstrap knows only what happened: of thirty requests that all went well it says that all requests do, with an
interval of no width. So a measure with a range gets one more request that nobody has seen, the worst that could be for
the lower end and the best for the upper. For measures of 0 and 1 the interval is then Clopper and Pearson's; for all
others it is Gaffke's bound (2005; Learned-Miller and Thomas 2020), for which no distribution is known that it fails.
Requests are the unit of resampling, and both policies of a pair meet the same draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 4_000
MOST_UNITS = 2_000
"""Beyond so many requests, units of resampling are sums over every so many requests: time and memory stay bounded."""
_COLUMNS = 256  # worked on at once: draws x columns numbers are held
_DRAWS = 500  # made at once: draws x units numbers are held
_PRESENT = 1e-12  # what a column without any request weighs is exactly 0; this is well below one request's weight


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `requests` requests and the ends of its interval; all three are NaN when there is no request."""

    mean: float
    low: float
    high: float
    requests: int


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One number a request, NaN where it has none, and the range that it could have had; an infinite end is unknown."""

    values: Floats
    low: float = -np.inf
    high: float = np.inf


def intervals(
    columns: Iterable[Column], levels: Sequence[float], *, seed: int = 0, draws: int = DRAWS
) -> list[Interval]:
    """The interval of the mean of each column, at the level that stands beside it, e.g. 0.95.

    All columns have one entry a request (n,), in the same order, and meet the same draws; equal input and seed give
    equal intervals. Each end leaves out (1 - level) / 2. Columns are taken one by one and not kept.
    O(draws x min(n, 2000) x columns).
    """
    found: list[Interval] = []
    for some in _batches(columns):
        generator = np.random.default_rng(seed)  # the same draws for every column
        found += _of_some(some, levels[len(found) : len(found) + len(some.lows)], draws, generator)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Some columns in units of resampling: sums and counts (units, columns), and the ranges (columns,)."""

    sums: Floats
    counts: Floats
    lows: Floats
    highs: Floats


def _batches(columns: Iterable[Column]) -> Iterator[Sums]:
    """So many columns at once, and of those only what a mean needs."""
    waiting = iter(columns)
    while True:
        ends: list[tuple[float, float]] = []

        def values(some: Iterator[Column], ends: list[tuple[float, float]] = ends) -> Iterator[Floats]:
            for column in some:
                ends.append((column.low, column.high))
                yield column.values

        sums, counts = in_units(values(islice(waiting, _COLUMNS)))
        if not ends:
            return
        lows, highs = np.array(ends).T
        yield Sums(sums, counts, lows, highs)


def intervals_of_sums(some: Sums, levels: Sequence[float], *, seed: int = 0, draws: int = DRAWS) -> list[Interval]:
    """`intervals` of columns that are in units already."""
    return _of_some(some, levels, draws, np.random.default_rng(seed))


def _of_some(some: Sums, levels: Sequence[float], draws: int, generator: np.random.Generator) -> list[Interval]:
    requests, means = _means(some)
    drawn = _drawn(some, draws, generator)
    return [_interval(float(means[i]), drawn[:, :, i], level, int(requests[i])) for i, level in enumerate(levels)]


def pooled_intervals(imputed: Sequence[Sums], level: float, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """The interval of one column of which several versions may be the true one (multiple imputations).

    Each version has its share of the draws, so that the interval covers both: which requests there were, and which
    version it is. How far the versions are apart counts (1 + 1 / versions) times, as of Rubin (1987).
    """
    found = [_means(some) for some in imputed]
    means = np.array([means[0] for _, means in found])
    if np.isnan(means).all():
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(np.nanmean(means))
    wider = np.sqrt(1.0 + 1.0 / len(imputed)) - 1.0
    each = -(-draws // len(imputed))
    drawn = [
        _drawn(some, each, np.random.default_rng([seed, version]))[:, :, 0] + wider * (own - mean)
        for version, (some, own) in enumerate(zip(imputed, means, strict=True))
        if not np.isnan(own)
    ]
    return _interval(mean, np.concatenate(drawn, axis=1), level, max(int(requests[0]) for requests, _ in found))


def _means(some: Sums) -> tuple[Floats, Floats]:
    """How many requests have a number, and their mean, NaN where none has: (columns,) each."""
    requests = some.counts.sum(axis=0)
    none = np.full(len(requests), np.nan)
    return requests, np.divide(some.sums.sum(axis=0), requests, out=none, where=requests > 0)


def _interval(mean: float, drawn: Floats, level: float, requests: int) -> Interval:
    """From draws (2, draws) of the lower and of the upper end."""
    if requests == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    share = (1.0 - level) / 2.0
    # The ranks that err outwards: with few draws an end is too far out rather than too far in.
    low = float(np.quantile(drawn[0], share, method="lower"))
    high = float(np.quantile(drawn[1], 1.0 - share, method="higher"))
    return Interval(mean, min(low, mean), max(high, mean), requests)


def _drawn(some: Sums, draws: int, generator: np.random.Generator) -> Floats:
    """Means of resampled requests, with the worst and with the best that nobody has seen: (2, draws, columns)."""
    sums, counts = some.sums, some.counts
    units, width = sums.shape
    requests = counts.sum(axis=0)
    typical = requests / np.maximum(np.count_nonzero(counts, axis=0), 1)  # the unseen request is as heavy as a unit
    drawn = np.empty((2, draws, width))
    for first in range(0, draws, _DRAWS):
        size = min(_DRAWS, draws - first)
        weights = generator.standard_exponential((size, units))
        unseen = generator.standard_exponential((size, 1)) * typical
        total, weight = weights @ sums, weights @ counts
        for end, extremes in enumerate((some.lows, some.highs)):
            is_known = np.isfinite(extremes)
            extra = np.where(is_known, unseen, 0.0)
            drawn[end, first : first + size] = (total + extra * np.where(is_known, extremes, 0.0)) / np.maximum(
                weight + extra, _PRESENT
            )
    return drawn


def difference(one: Interval, other: Interval) -> Interval:
    """The other mean minus the one, of two independent samples: MOVER, the square-and-add of both intervals.

    Zou and Donner (2008); for shares it is Newcombe's (1998). NaN where either has no request.
    """
    if not one.requests or not other.requests:
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = other.mean - one.mean
    below = float(np.hypot(other.mean - other.low, one.high - one.mean))
    above = float(np.hypot(other.high - other.mean, one.mean - one.low))
    return Interval(mean, mean - below, mean + above, one.requests + other.requests)


def in_units(columns: Iterable[Floats]) -> tuple[Floats, Floats]:
    """Sums and counts of what is there, (units, columns) each: request i of n belongs to unit i mod min(n, 2000).

    Columns are taken one by one and not kept.
    """
    sums, counts = [], []
    for values in columns:
        units = min(len(values), MOST_UNITS)
        places = np.flatnonzero(~np.isnan(values))
        unit = places % max(units, 1)
        sums.append(np.bincount(unit, weights=values[places], minlength=units))
        counts.append(np.bincount(unit, minlength=units).astype(float))
    if not sums:
        return np.zeros((0, 0)), np.zeros((0, 0))
    return np.stack(sums, axis=1), np.stack(counts, axis=1)


def halves(columns: Iterable[Floats], *, seed: int = 0, draws: int = 1_000, share: float = 0.95) -> list[float]:
    """The noise baseline: by how much a policy differs from itself on two random halves of the same requests.

    For each column (n,), NaN where a request has no number, the difference of the halves' means that `share` of random
    halvings stay below. A change between two policies that is no larger is what other traffic alone would have brought.
    NaN with fewer than two requests. O(draws x min(n, 2000) x columns).
    """
    waiting = iter(columns)
    found: list[float] = []
    while True:
        sums, counts = in_units(islice(waiting, _COLUMNS))
        units, width = sums.shape
        if not width:
            return found
        side = np.zeros((draws, units))
        side[:, : units // 2] = 1.0
        side = np.random.default_rng(seed).permuted(side, axis=1)  # the same halves for every column
        one, other = side @ counts, (1.0 - side) @ counts
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.abs(side @ sums / one - (1.0 - side) @ sums / other)
        apart[(one == 0.0) | (other == 0.0)] = np.nan
        found += [_quantile(apart[:, i], share) for i in range(width)]


def _quantile(values: Floats, share: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, share, method="higher")) if len(known) else float("nan")
