"""Who is in a list: membership, shares, skew and divergence from a reference distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
_WHOLE = 1.0 - 1e-6  # reference shares that add up to this leave nothing for other values
_NOISE = 1e-12  # what rounding leaves of a divergence of 0


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Which of `width` values each item of a list carries, as indices: memory grows with what is carried alone.

    Item i carries the values `carried[starts[i]:starts[i + 1]]`; `labelled` bool (N,): some value of the item is known.
    A labelled item may carry none of the values, when they are not the attribute's whole domain.
    """

    starts: Indices
    carried: Indices
    width: int
    labelled: NDArray[np.bool_]

    @classmethod
    def of_nobody(cls, count: int, width: int) -> Membership:
        """`count` items of which nothing is known."""
        return cls(np.zeros(count + 1, np.intp), np.zeros(0, np.intp), width, np.zeros(count, bool))

    @classmethod
    def of_matrix(cls, carries: NDArray[np.bool_]) -> Membership:
        """From `carries` bool (N, V); who carries none of the values is not labelled."""
        lengths = carries.sum(axis=1)
        return cls(_starts(lengths), np.nonzero(carries)[1], carries.shape[1], lengths > 0)

    @property
    def lengths(self) -> Indices:
        """How many of the values each item carries, (N,)."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Indices:
        """The item of each entry of `carried`."""
        return np.repeat(np.arange(len(self.labelled)), self.lengths)

    @property
    def counts(self) -> Indices:
        """How many items carry each value, (V,)."""
        return np.bincount(self.carried, minlength=self.width)

    @property
    def carries(self) -> NDArray[np.bool_]:
        """The whole matrix, bool (N, V): N x V bytes."""
        matrix = np.zeros((len(self.labelled), self.width), bool)
        matrix[self.rows, self.carried] = True
        return matrix

    def of(self, positions: NDArray[np.integer]) -> Membership:
        """The items of a list, in its order."""
        lengths = self.lengths[positions]
        starts = _starts(lengths)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        carried = self.carried[np.repeat(self.starts[positions], lengths) + within]
        return Membership(starts, carried, self.width, self.labelled[positions])

    def with_others(self) -> Membership:
        """The same items with one value more, which labelled items carry that carry none of the values."""
        others = np.flatnonzero(self.labelled & (self.lengths == 0))
        rows, carried = np.append(self.rows, others), np.append(self.carried, np.full(len(others), self.width))
        starts = _starts(np.bincount(rows, minlength=len(self.labelled)))
        return Membership(starts, carried[np.argsort(rows, kind="stable")], self.width + 1, self.labelled)

    def first(self, width: int) -> Membership:
        """The same items with the first `width` values alone; who is labelled stays."""
        kept = self.carried < width
        starts = _starts(np.bincount(self.rows[kept], minlength=len(self.labelled)))
        return Membership(starts, self.carried[kept], width, self.labelled)


def _starts(lengths: NDArray[np.integer]) -> Indices:
    starts = np.zeros(len(lengths) + 1, np.intp)
    np.cumsum(lengths, out=starts[1:])
    return starts


def membership(column: AttributeColumn, values: Sequence[str], threshold: float = 0.5) -> Membership:
    """Membership of every candidate in `values`; probabilities count as the most probable label from `threshold` up."""
    hard = column.hard(threshold)
    index_of = {value: index for index, value in enumerate(values)}
    column_of = np.array([-1, *(index_of.get(value, -1) for value in hard.values)], np.intp)  # by code; 0 is unknown
    if hard.offsets is None:
        count = len(hard.codes)
        rows, codes = np.arange(count), hard.codes
    else:
        lengths = np.diff(hard.offsets)
        count = len(lengths)
        rows, codes = np.repeat(np.arange(count), lengths), hard.codes[hard.offsets[0] : hard.offsets[-1]]
    labelled = np.zeros(count, bool)
    labelled[rows[codes > 0]] = True
    carried = column_of[codes]
    wanted = carried >= 0
    starts = _starts(np.bincount(rows[wanted], minlength=count))
    return Membership(starts, carried[wanted], len(values), labelled)


def carried_values(column: AttributeColumn, threshold: float = 0.5) -> tuple[str, ...]:
    """The values that at least one candidate carries, in the column's own order."""
    hard = column.hard(threshold)
    codes = hard.codes if hard.offsets is None else hard.codes[hard.offsets[0] : hard.offsets[-1]]
    used = np.bincount(codes, minlength=len(hard.values) + 1)[1:]
    return tuple(hard.values[index] for index in np.flatnonzero(used).tolist())


def shares(members: Membership) -> Floats:
    """Share of the labelled items that carry each value, (V,); they add up to more than 1 where items carry several."""
    labelled = np.count_nonzero(members.labelled)
    return members.counts / labelled if labelled else np.zeros(members.width)


def skews(members: Membership, reference: Floats) -> tuple[float, float] | None:
    """MinSkew and MaxSkew: the least and largest log(share / reference share) over the values (natural logarithm).

    `reference` (V,) holds shares of labelled items; a NaN leaves the value out. Where a group is empty, in the list or
    in the reference, its skew is add-one: log((count + 1) / (expected count + 1)), with the count that the reference
    expects in a list of this length; so it is finite and below the skew of a group with one item. A group that is empty
    in both has none. None when nothing is labelled or no group is left.
    """
    labelled = np.count_nonzero(members.labelled)
    counts = members.counts.astype(np.float64)
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
    rows, classes, target = against(members, reference)
    compared = target[classes] > 0.0
    if not compared.any():
        return None
    return _discounted_divergence(rows[compared], classes[compared], target, len(members.labelled))


def against(members: Membership, reference: Floats) -> tuple[Indices, Indices, Floats]:
    """A list laid out for a comparison with a reference distribution: rows, classes and the target of each class.

    Entry e says that item rows[e] (ascending) belongs to class classes[e]. The classes are the values, and one more,
    the last, for labelled items that carry no value with a reference share above 0. `target` (V + 1,) adds up to 1: the
    last class gets what the reference leaves, and a reference that adds up to more (items with several values) is
    divided by its sum. NaN is a share of 0. Unknown items belong nowhere.
    """
    target = np.append(np.nan_to_num(reference), 0.0)
    total = target.sum()
    if total < _WHOLE:
        target[-1] = 1.0 - total
    else:
        target /= total
    named = target[members.carried] > 0.0
    rows, classes = members.rows[named], members.carried[named]
    others = members.labelled.copy()
    others[rows] = False
    rest = np.flatnonzero(others)
    rows, classes = np.append(rows, rest), np.append(classes, np.full(len(rest), members.width))
    order = np.argsort(rows, kind="stable")
    return rows[order], classes[order], target


def _discounted_divergence(rows: Indices, values: Indices, target: Floats, length: int) -> float:
    """NDKL of a list whose items `rows` (ascending) carry `values`, one entry each; all of these have a target share.

    KL at a prefix is sum c ln c / n - ln n - sum c ln target / n with counts c that add up to n. Each entry adds to
    these sums by itself, so that the work grows with the entries and not with prefixes x values.
    """
    seen = earlier_equals(values).astype(np.float64)
    added = _times_log(seen + 1.0) - _times_log(seen) - np.log(target[values])
    ends = np.searchsorted(rows, np.arange(length), side="right")  # entries up to and with each item
    prefixes = np.flatnonzero(ends)
    counts = ends[prefixes].astype(np.float64)
    divergence = np.cumsum(added)[ends[prefixes] - 1] / counts - np.log(counts)
    weights = 1.0 / np.log2(prefixes + 2)
    mean = float(weights @ divergence / weights.sum())
    return mean if mean > _NOISE else 0.0


def earlier_equals(values: Indices) -> Indices:
    """How many entries before each one have the same value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(begins, len(values)))
    earlier = np.empty(len(values), np.intp)
    earlier[order] = np.arange(len(values)) - np.repeat(begins, sizes)
    return earlier


def _times_log(counts: Floats) -> Floats:
    """Each count times its natural logarithm, 0 for 0."""
    return counts * np.log(np.maximum(counts, 1.0))
