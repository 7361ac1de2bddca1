"""Who is in a list: membership, shares, skew and divergence from a reference distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn

Floats = NDArray[np.float64]
_WHOLE = 1.0 - 1e-6  # reference shares that add up to this leave nothing for other values


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Which items carry which values: `carries` bool (N, V); `labelled` bool (N,): some value of the item is known.

    A labelled item may carry none of the V values, when they are not the attribute's whole domain.
    """

    carries: NDArray[np.bool_]
    labelled: NDArray[np.bool_]

    def of(self, positions: NDArray[np.integer]) -> Membership:
        """The rows of a list, in its order."""
        return Membership(self.carries[positions], self.labelled[positions])


def membership(column: AttributeColumn, values: Sequence[str], threshold: float = 0.5) -> Membership:
    """Membership of every candidate in `values`; probabilities count as the most probable label from `threshold` up."""
    hard = column.hard(threshold)
    column_of = np.full(len(hard.values) + 1, -1, np.intp)  # by code; code 0 is unknown
    code_of = {value: code for code, value in enumerate(hard.values, 1)}
    for index, value in enumerate(values):
        if value in code_of:
            column_of[code_of[value]] = index
    if hard.offsets is None:
        rows, codes = np.arange(len(hard.codes)), hard.codes
        count = len(hard.codes)
    else:
        lengths = np.diff(hard.offsets)
        count = len(lengths)
        rows, codes = np.repeat(np.arange(count), lengths), hard.codes[hard.offsets[0] : hard.offsets[-1]]
    labelled = np.zeros(count, bool)
    labelled[rows[codes > 0]] = True
    carries = np.zeros((count, len(values)), bool)
    wanted = column_of[codes] >= 0
    carries[rows[wanted], column_of[codes[wanted]]] = True
    return Membership(carries, labelled)


def carried_values(column: AttributeColumn, threshold: float = 0.5) -> tuple[str, ...]:
    """The values that at least one candidate carries, in the column's own order."""
    hard = column.hard(threshold)
    codes = hard.codes if hard.offsets is None else hard.codes[hard.offsets[0] : hard.offsets[-1]]
    used = np.bincount(codes, minlength=len(hard.values) + 1)[1:]
    return tuple(hard.values[index] for index in np.flatnonzero(used).tolist())


def shares(members: Membership) -> Floats:
    """Share of the labelled items that carry each value, (V,); they add up to more than 1 where items carry several."""
    labelled = np.count_nonzero(members.labelled)
    return members.carries.sum(axis=0) / labelled if labelled else np.zeros(members.carries.shape[1])


def skews(members: Membership, reference: Floats) -> tuple[float, float] | None:
    """MinSkew and MaxSkew: the least and largest log(share / reference share) over the values (natural logarithm).

    `reference` (V,) holds shares of labelled items; a NaN leaves the value out. Where a group is empty, in the list or
    in the reference, its skew is add-one: log((count + 1) / (expected count + 1)), with the count that the reference
    expects in a list of this length; so it is finite and below the skew of a group with one item. A group that is empty
    in both has none. None when nothing is labelled or no group is left.
    """
    labelled = np.count_nonzero(members.labelled)
    counts = members.carries.sum(axis=0).astype(np.float64)
    expected = reference * labelled
    counted = (counts > 0) | (expected > 0)
    counted &= ~np.isnan(reference)
    if labelled == 0 or not counted.any():
        return None
    counts, expected = counts[counted], expected[counted]
    add_one = ((counts == 0) | (expected == 0)).astype(np.float64)
    skew = np.log((counts + add_one) / (expected + add_one))
    return float(skew.min()), float(skew.max())


def ndkl(members: Membership, reference: Floats) -> float | None:
    """Normalised discounted Kullback-Leibler divergence of a list from a reference distribution; 0 is the best.

    Mean over the prefixes i of KL(distribution of the first i items || reference), weighted by 1 / log2(i + 1); natural
    logarithm, 0 log 0 = 0. Distributions are over the labelled items, every value of an item counting once; prefixes
    that hold none are left out. `reference` (V,) is normalised if it adds up to more than 1; if to less, the rest is
    what items that carry none of these values should have together. Values without a reference share are left out
    (their divergence would be infinite; `skews` shows them). None when nothing is left to compare.
    """
    with_share = np.nan_to_num(reference) > 0.0
    target = reference[with_share]
    counted = members.carries[:, with_share]
    if target.sum() < _WHOLE:
        others = members.labelled & ~counted.any(axis=1)
        counted = np.column_stack([counted, others])
        target = np.append(target, 1.0 - target.sum())
    counts = counted.cumsum(axis=0, dtype=np.float64)
    totals = counts.sum(axis=1)
    prefixes = np.flatnonzero(totals > 0)
    if len(prefixes) == 0:
        return None
    observed = counts[prefixes] / totals[prefixes, None]
    ratio = np.where(observed > 0, observed, 1.0) / np.where(observed > 0, target / target.sum(), 1.0)
    divergence = (observed * np.log(ratio)).sum(axis=1)
    weights = 1.0 / np.log2(prefixes + 2)
    return max(0.0, float(weights @ divergence / weights.sum()))
