"""Differences between groups, with intervals that reckon with items that come again in many requests.

A ranker that has an opinion of every item makes the same mistake on an item in every request. Then many requests over
few items know little of a group, and an interval that draws requests alone accuses a fair ranker. Here requests and
items both are units of sampling: the variance is that between requests plus that between items less what is in both
(Cameron, Gelbach and Miller 2011). Units are folded, so that memory does not grow with the traffic.
"""

from __future__ import annotations

from statistics import NormalDist
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Id
from reranker.replay.bootstrap import Interval

Floats = NDArray[np.float64]
UNITS = 256
"""Requests, and items, that are one unit each are this many, beyond that sums over several."""
LEAST_REQUESTS, LEAST_ITEMS = 30, 10
"""With fewer requests, or fewer items on either side, nothing can be told."""
_NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0)


def units_of(ids: list[Id]) -> NDArray[np.intp]:
    """The unit of each item, the same in every request and every process."""
    return np.fromiter((crc32(str(each).encode()) % UNITS for each in ids), np.intp, len(ids))


class Paired:
    """Differences within requests, weighted as in `weights`: the mean over requests, of several quantities at once."""

    def __init__(self, quantities: int) -> None:
        self.requests = 0
        self._by_request = np.zeros((UNITS, quantities + 1))
        self._by_item = np.zeros((2, UNITS, quantities + 1))  # members, others: weighted sums, and the weights
        self._squares = np.zeros((2, 3, quantities))  # of weight² with y², y and 1

    def add(self, weights: Floats, quantities: Floats, units: NDArray[np.intp]) -> None:
        """One request: weights (N,) of which some are not 0, quantities (N, Q), units (N,) of the items."""
        unit = self.requests % UNITS
        self.requests += 1
        self._by_request[unit, :-1] += weights @ quantities
        self._by_request[unit, -1] += 1.0
        for side, rows in enumerate((np.flatnonzero(weights > 0.0), np.flatnonzero(weights < 0.0))):
            weight, values = np.abs(weights[rows])[:, None], quantities[rows]
            np.add.at(self._by_item[side], units[rows], np.hstack([weight * values, weight]))
            square = weight * weight
            self._squares[side] += [
                (square * values * values).sum(axis=0),
                (square * values).sum(axis=0),
                np.broadcast_to(square.sum(), values.shape[1:]),
            ]

    @property
    def items(self) -> tuple[float, float]:
        """Effective number of different items among members and others, at most `UNITS`: (Σw)² / Σw²."""
        weights = self._by_item[:, :, -1]
        total, squares = weights.sum(axis=1), (weights**2).sum(axis=1)
        ours, theirs = np.divide(total**2, squares, out=np.zeros(2), where=squares > 0).tolist()
        return ours, theirs

    @property
    def is_enough(self) -> bool:
        """Whether there is enough to tell anything."""
        return self.requests >= LEAST_REQUESTS and min(self.items) >= LEAST_ITEMS

    def difference(self, quantity: int, level: float) -> Interval:
        """Members minus others. NaN without a request; an interval of no meaning where it is not `is_enough`."""
        count = self.requests
        if not count:
            return _NOTHING
        means = self._by_item[:, :, quantity].sum(axis=1) / count  # of members, of others
        mean = float(means[0] - means[1])
        requests = self._by_request[:, quantity] - mean * self._by_request[:, -1]
        away = self._by_item[:, :, quantity] - means[:, None] * self._by_item[:, :, -1]
        items = away[0] - away[1]
        squares, linear, weights = self._squares[:, :, quantity].T
        both = float((squares - 2.0 * means * linear + means**2 * weights).sum())
        spread = _two_way(requests, items, both, min(count, UNITS)) / count
        freedom = min(float(min(count, UNITS)), *self.items) - 1.0
        return _around(mean, spread, freedom, level, count)


class AtPosition:
    """A quantity of items at equal positions: members minus others in the same place of different requests.

    Positions are single to the tenth and then bands that are a quarter wider each. A band weighs as much as it can
    tell, g o / (g + o).
    """

    BANDS = 48

    def __init__(self) -> None:
        self.requests = 0
        self._by_request = np.zeros((UNITS, self.BANDS, 2, 2))  # by band and side: sum, count
        self._by_item = np.zeros((UNITS, self.BANDS, 2, 2))
        self._squares = np.zeros((self.BANDS, 2))

    @classmethod
    def bands(cls, count: int) -> NDArray[np.intp]:
        """The band of each rank of a list, from 0."""
        ranks = np.arange(1, count + 1)
        wide = 10 + np.floor(np.log(np.maximum(ranks, 11) / 10.0) / np.log(1.25))
        return np.minimum(np.where(ranks <= 10, ranks - 1, wide), cls.BANDS - 1).astype(np.intp)

    def add(
        self,
        is_member: NDArray[np.bool_],
        values: Floats,
        bands: NDArray[np.intp],
        units: NDArray[np.intp],
    ) -> None:
        """One request: for labelled items, in any order, who is a member, the quantity, band and unit of each."""
        unit = self.requests % UNITS
        self.requests += 1
        side = np.where(is_member, 0, 1)
        entries = np.stack([values, np.ones(len(values))], axis=1)
        np.add.at(self._by_request[unit], (bands, side), entries)
        np.add.at(self._by_item, (units, bands, side), entries)
        np.add.at(self._squares, (bands, side), values**2)

    @property
    def items(self) -> tuple[float, float]:
        """As of `Paired`."""
        counts = self._by_item[..., 1].sum(axis=1)  # (units, side)
        total, squares = counts.sum(axis=0), (counts**2).sum(axis=0)
        ours, theirs = np.divide(total**2, squares, out=np.zeros(2), where=squares > 0).tolist()
        return ours, theirs

    @property
    def is_enough(self) -> bool:
        """Whether there is enough to tell anything."""
        return self.requests >= LEAST_REQUESTS and min(self.items) >= LEAST_ITEMS

    def difference(self, level: float) -> Interval:
        """Members minus others at equal position. NaN where no band has both."""
        sums, counts = np.moveaxis(self._by_request.sum(axis=0), -1, 0)  # (bands, side) each
        there = (counts > 0).all(axis=1)
        if not there.any():
            return _NOTHING
        tells = np.where(there, counts.prod(axis=1) / np.maximum(counts.sum(axis=1), 1.0), 0.0)
        share = (tells / tells.sum())[:, None]
        means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        per_item = np.divide(share, counts, out=np.zeros_like(counts), where=there[:, None]) * np.array([1.0, -1.0])
        mean = float((share * means * np.array([1.0, -1.0])).sum())
        requests, items = (
            ((units[..., 0] - means * units[..., 1]) * per_item).sum(axis=(1, 2))
            for units in (self._by_request, self._by_item)
        )
        both = float((per_item**2 * (self._squares - counts * means**2)).sum())
        units = min(self.requests, UNITS)
        spread = _two_way(requests, items, both, units)
        return _around(mean, spread, min(float(units), *self.items) - 1.0, level, self.requests)


def _two_way(requests: Floats, items: Floats, both: float, units: int) -> float:
    """The standard error of a sum whose parts are given by unit of requests and of items, and entry by entry."""
    by_request = float((requests**2).sum()) * units / max(units - 1, 1)
    used = int(np.count_nonzero(items))
    by_item = float((items**2).sum()) * used / max(used - 1, 1)
    return float(np.sqrt(by_request + max(by_item - both, 0.0)))


def _around(mean: float, spread: float, freedom: float, level: float, requests: int) -> Interval:
    reach = spread * student(1.0 - (1.0 - level) / 2.0, max(freedom, 1.0))
    return Interval(mean, mean - reach, mean + reach, requests)


def student(share: float, freedom: float) -> float:
    """The quantile of Student's distribution, by its expansion about the normal's; good from ten degrees on."""
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4.0,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96.0,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384.0,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160.0,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
