"""Soft rules on repetition (`[[spacings]]`, `[[decays]]`): what a candidate's utility loses to values above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn
from reranker.kernels.repeats import add_spacing, shrink
from reranker.policy.terms import Decay, Spacing
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
        columns = {name: _Carried.of(column) for name, column in pool.columns.items()}
        self._spacings = [_Spaced(rule, columns[rule.attribute]) for rule in spacings if rule.attribute in columns]
        self._decays = [_Decayed(rule, columns[rule.attribute]) for rule in decays if rule.attribute in columns]
        self._above_least = relevance - relevance.min() if len(relevance) else relevance
        self._picks = np.full(pool.slots, -1, np.int32)
        self.latest = np.zeros(len(pool))
        """What the last call of `cost` returned."""

    def cost(self, slot: int) -> NDArray[np.float64]:
        """What every candidate would pay in `slot` (from 0) after the picks so far: float64 (N,), a new array.

        O(blocks (window + codes)).
        """
        cost = np.zeros(len(self._above_least))
        for spaced in self._spacings:
            spaced.add(slot, self._picks, cost)
        if self._decays:
            share = np.ones(len(cost))
            for decayed in self._decays:
                decayed.shrink(share)
            cost += (1.0 - share) * self._above_least
        self.latest = cost
        return cost

    def commit(self, slot: int, pick: int) -> None:
        """Count the slot's pick; slots come in order."""
        self._picks[slot] = pick
        for decayed in self._decays:
            decayed.count(pick)

    def dearest(self, slot: int, candidate: int) -> tuple[str, bool]:
        """The attribute that costs this candidate most in `slot`, and whether by its spacing. Explanations only."""
        prices = []
        for spaced in self._spacings:
            cost = np.zeros(len(self._above_least))
            spaced.add(slot, self._picks, cost)
            prices.append((float(cost[candidate]), spaced.rule.attribute, True))
        for decayed in self._decays:
            share = np.ones(len(self._above_least))
            decayed.shrink(share)
            taken = (1.0 - share[candidate]) * self._above_least[candidate]
            prices.append((float(taken), decayed.rule.attribute, False))
        _, attribute, by_spacing = max(prices, key=lambda price: price[0])
        return attribute, by_spacing


@dataclass(frozen=True, slots=True, eq=False)
class _Carried:
    """Candidate i, in upstream order, carries `codes[offsets[i]:offsets[i + 1]]`, from 1 to `values`."""

    codes: NDArray[np.int32]
    offsets: NDArray[np.int32]
    values: int

    @classmethod
    def of(cls, column: AttributeColumn) -> _Carried:
        if column.offsets is not None:
            return cls(column.codes, column.offsets, len(column.values))
        known = column.codes > 0
        offsets = np.zeros(len(known) + 1, np.int32)
        np.cumsum(known, out=offsets[1:])
        return cls(column.codes[known], offsets, len(column.values))


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
        self._counts = np.zeros(carried.values + 1, np.int32)

    def shrink(self, share: NDArray[np.float64]) -> None:
        shrink(self._counts, self.rule.multiplier, self._carried.codes, self._carried.offsets, share)

    def count(self, pick: int) -> None:
        start, end = self._carried.offsets[pick : pick + 2]
        self._counts[self._carried.codes[start:end]] += 1
