"""Soft rules on repetition (`[[spacings]]`, `[[decays]]`): what a candidate's utility loses to values above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.kernels.repeats import add_spacing, shrink
from reranker.policy.terms import REMEMBERED, Decay, Spacing
from reranker.quotas.pool import Pool


class Repeats:
    """The spacings and decays of one policy over a slate as it grows. They never bind, and never change the status.

    A spacing takes price(d) for each value that a candidate shares with the item d slots above it. Decays take
    (1 - diversity) x (1 - m) x (r - least r), so that relevance counts m times what it is above the least; m is the
    product over blocks of the multiplier of the candidate's most frequent value. `relevance` float64 (N,), upstream
    order, is (1 - diversity) x r. Every item counts, fixed and kept ones too; an unknown label never does.
    """

    def __init__(
        self, spacings: Sequence[Spacing], decays: Sequence[Decay], pool: Pool, relevance: NDArray[np.float64]
    ) -> None:
        named = {spacing.attribute for spacing in spacings} | {decay.attribute for decay in decays}
        columns = {
            name: _Carried.of(column, _shown(pool, name)) for name, column in pool.columns.items() if name in named
        }
        self._spacings = [_Spaced(rule, columns[rule.attribute]) for rule in spacings if rule.attribute in columns]
        self._decays = [_Decayed(rule, columns[rule.attribute]) for rule in decays if rule.attribute in columns]
        with np.errstate(over="ignore"):  # scores that fill the whole range of numbers
            above = relevance - relevance.min() if len(relevance) else relevance
        self._above_least = np.minimum(above, np.finfo(np.float64).max)
        self._before = max([0, *(column.before for column in columns.values())])
        self._picks = np.full(self._before + pool.slots, -1, np.int32)
        self._picks[: self._before] = len(pool) + np.arange(self._before)
        self.latest = np.zeros(len(pool))
        """What the last call of `cost` returned."""

    def cost(self, slot: int) -> NDArray[np.float64]:
        """What every candidate would pay in `slot` (from 0) after the picks so far: float64 (N,), a new array.

        O(blocks (window + codes)).
        """
        cost = np.zeros(len(self._above_least))
        for spaced in self._spacings:
            spaced.add(self._before + slot, self._picks, cost)
        if self._decays:
            share = np.ones(len(cost))
            for decayed in self._decays:
                decayed.shrink(share)
            cost += (1.0 - share) * self._above_least
        self.latest = cost
        return cost

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick; slots come in order."""
        self._picks[self._before + slot] = pick
        for decayed in self._decays:
            decayed.count(pick)

    def dearest(self, slot: int, candidate: int) -> tuple[str, bool]:
        """The attribute that costs this candidate most in `slot`, and whether by its spacing. Explanations only."""
        prices = []
        for spaced in self._spacings:
            cost = np.zeros(len(self._above_least))
            spaced.add(self._before + slot, self._picks, cost)
            prices.append((float(cost[candidate]), spaced.rule.attribute, True))
        for decayed in self._decays:
            share = np.ones(len(self._above_least))
            decayed.shrink(share)
            taken = (1.0 - share[candidate]) * self._above_least[candidate]
            prices.append((float(taken), decayed.rule.attribute, False))
        _, attribute, by_spacing = max(prices, key=lambda price: price[0])
        return attribute, by_spacing


def _shown(pool: Pool, attribute: str) -> Sequence[Sequence[int]]:
    """What the items shown last carry of an attribute, oldest first."""
    column = pool.columns.get(attribute)
    if pool.earlier is None or column is None:
        return ()
    return pool.earlier.trail_codes(attribute, column)[-REMEMBERED:]


@dataclass(frozen=True, slots=True, eq=False)
class _Carried:
    """Candidate i, in upstream order, carries `codes[offsets[i]:offsets[i + 1]]`, from 1 to `values`.

    Behind the candidates come `before` items that were shown before the slate, oldest first.
    """

    codes: NDArray[np.int32]
    offsets: NDArray[np.int32]
    values: int
    before: int

    @classmethod
    def of(cls, column: AttributeColumn, shown: Sequence[Sequence[int]]) -> _Carried:
        sizes = (column.codes > 0).astype(np.int32) if column.offsets is None else np.diff(column.offsets)
        codes = column.codes[column.codes > 0]  # lists hold no unknown ones
        more = np.array([code for item in shown for code in item], np.int32)
        offsets = np.zeros(len(sizes) + len(shown) + 1, np.int32)
        np.cumsum(np.concatenate([sizes, [len(item) for item in shown]]), out=offsets[1:])
        return cls(np.concatenate([codes, more]), offsets, len(column.values), len(shown))


class _Spaced:
    """One block of `[[spacings]]`."""

    def __init__(self, rule: Spacing, carried: _Carried) -> None:
        self.rule, self._carried = rule, carried
        self._owed = np.zeros(carried.values + 1)

    def add(self, slot: int, picks: NDArray[np.int32], cost: NDArray[np.float64]) -> None:
        add_spacing(slot, picks, self.rule.price, self._carried.codes, self._carried.offsets, self._owed, cost)


class _Decayed:
    """One block of `[[decays]]`."""

    def __init__(self, rule: Decay, carried: _Carried) -> None:
        self.rule, self._carried = rule, carried
        first = carried.offsets[len(carried.offsets) - 1 - carried.before]
        self._counts = np.bincount(carried.codes[first:], minlength=carried.values + 1).astype(np.int32)

    def shrink(self, share: NDArray[np.float64]) -> None:
        shrink(self._counts, self.rule.multiplier, self._carried.codes, self._carried.offsets, share)

    def count(self, pick: int) -> None:
        start, end = self._carried.offsets[pick : pick + 2]
        self._counts[self._carried.codes[start:end]] += 1
