"""Attributes and embeddings as rows of numbers whose dot products are similarities (`[[similarity_signals]]`).

Each kind of comparison is a positive semi-definite kernel written as such rows, never as an N x N matrix. What a row
cannot say is the candidate's *own direction*: it adds to its similarity with itself, which is 1, and to no other.
Unknown labels and missing embeddings are nothing else (rule 8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, EmbeddingColumn
from reranker.kernels.jaccard import factor_jaccard

MOST_COLUMNS = 512  # of values that several candidates carry; up to 1,024 candidates there cannot be more
MOST_PIVOTS = 128  # of a Jaccard factor: its cost grows with their square
MOST_PLACES = 128  # told apart on an ordered scale
MOST_LEVELS = 32  # of a hierarchical id
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One signal over N candidates in input order, already weighted.

    `rows` float32 (N, width): their dot products are weight x similarity between different candidates. `own` float64
    (N,): what is missing to a squared length of `weight`. `known` bool (N,): who has the signal at all.
    """

    rows: NDArray[np.float32]
    own: NDArray[np.float64]
    known: NDArray[np.bool_]


def absent_part(count: int, weight: float) -> Part:
    """A signal that no candidate has: everybody's own direction."""
    return Part(np.zeros((count, 0), np.float32), np.full(count, weight), np.zeros(count, bool))


def cosine_part(column: EmbeddingColumn, shifted: bool, weight: float) -> Part:
    """The cosine of an embedding, or (1 + cosine) / 2 by one constant column more. O(N D)."""
    known = column.norms > 0
    scale = np.sqrt(weight / 2 if shifted else weight) * known
    rows = column.matrix * (scale / np.where(known, column.norms, 1.0))[:, None]
    if shifted:
        rows = np.column_stack([rows, scale])
    return Part(rows.astype(np.float32), np.where(known, 0.0, weight), known)


def equality_part(column: AttributeColumn, weight: float) -> Part:
    """1 where two candidates carry the same values, all of them, else 0: one column a set. O(N + codes log codes)."""
    members = _Members.of(column)
    group, _ = members.sets()
    owners = np.flatnonzero(members.known)
    return _one_hot(owners, group[owners], np.full(len(owners), weight), members.known, weight)


def prefix_part(column: AttributeColumn, weight: float) -> Part:
    """Common prefixes of values such as "a/b/c", over the root of how many each has: one column a prefix.

    With one value each that is common levels / sqrt(depth x depth). The first
    MOST_LEVELS levels count. O(codes x levels).
    """
    members = _Members.of(column)
    carried, at = np.unique(members.codes, return_inverse=True)
    number: dict[tuple[int, str], int] = {}
    chains = [_prefixes(column.values[code - 1], number) for code in carried.tolist()]
    lengths = np.array([len(chain) for chain in chains], np.int64)
    ends = np.cumsum(lengths)
    listed = np.array([prefix for chain in chains for prefix in chain], np.int64)
    sizes = lengths[at]
    entries = np.repeat(ends[at] - np.cumsum(sizes), sizes) + np.arange(sizes.sum())
    pairs = np.unique(np.repeat(members.owners, sizes) * max(len(number), 1) + listed[entries])
    owners, prefixes = np.divmod(pairs, max(len(number), 1))
    depth = np.bincount(owners, minlength=len(members.known))
    return _one_hot(owners, prefixes, weight / depth[owners], depth > 0, weight)


def jaccard_part(column: AttributeColumn, weight: float) -> Part:
    """|A n B| / |A u B| of the sets of values, through a factor of the distinct sets.

    Exact while at most `MOST_PIVOTS` distinct sets overlap others; beyond, what is left of a set is the own direction
    of each candidate that carries it. Sets that many carry come first.
    """
    members = _Members.of(column)
    count = len(members.known)
    group, first = members.sets()
    if not len(first):
        return absent_part(count, weight)
    codes, offsets = members.of_candidates(first)
    carriers = np.bincount(members.codes, minlength=len(column.values) + 1)
    size = np.bincount(group[members.known], minlength=len(first)).astype(np.float64)
    shared = np.maximum.reduceat(carriers[codes], offsets[:-1]) > 1
    factor = np.zeros((len(first), min(MOST_PIVOTS, int(shared.sum()))))
    left = np.empty(len(first))
    width = factor_jaccard(codes, offsets, len(column.values) + 1, size * shared, factor, left)
    rows = np.zeros((count, width), np.float32)
    rows[members.known] = np.sqrt(weight) * factor[group[members.known], :width]
    own = np.full(count, weight)
    own[members.known] = weight * left[group[members.known]]
    return Part(rows, own, members.known)


def ordinal_part(column: AttributeColumn, scale: tuple[str, ...] | None, weight: float) -> Part:
    """1 - |i - j| / (V - 1) for places i, j on a scale of V values; several values stand at their mean.

    A constant, and for each gap between two places that occur a column of plus or minus the root of half its width:
    two candidates disagree exactly in the gaps between them. O(N x places).
    """
    members = _Members.of(column)
    known = members.known
    place = _places(column.values, scale)
    reach = max(len(scale or column.values) - 1, 1)
    total = np.bincount(members.owners, weights=place[members.codes], minlength=len(known))
    at = np.asarray(total[known] / members.sizes[known] / reach, np.float64)
    steps = np.unique(at)
    if len(steps) > MOST_PLACES:
        at = np.rint(at * (MOST_PLACES - 1)) / (MOST_PLACES - 1)
        steps = np.unique(at)
    gaps = np.diff(steps) / 2
    rows = np.zeros((len(known), 1 + len(gaps)), np.float32)
    rows[known, 0] = np.sqrt(weight * (1.0 - gaps.sum()))
    above = at[:, None] > steps[None, :-1]
    rows[known, 1:] = np.where(above, 1.0, -1.0) * np.sqrt(weight * gaps)
    return Part(rows, np.where(known, 0.0, weight), known)


def is_ordered(values: tuple[str, ...]) -> bool:
    """Whether values have an order of their own: each starts with a number."""
    return all(_NUMBER.match(value) for value in values)


def _prefixes(value: str, number: dict[tuple[int, str], int]) -> list[int]:
    """The numbers of "a", "a/b" and "a/b/c" for "a/b/c", new ones counted on; levels without a name are left out."""
    chain: list[int] = []
    for level in [level for level in value.split("/") if level][:MOST_LEVELS]:
        parent = chain[-1] if chain else -1
        chain.append(number.setdefault((parent, level), len(number)))
    return chain


def _places(values: tuple[str, ...], scale: tuple[str, ...] | None) -> NDArray[np.float64]:
    """The place of each code on its scale, from 0: float64 (1 + values,)."""
    place_of = {value: place for place, value in enumerate(scale or sorted(values, key=_by_number))}
    return np.array([0.0, *(place_of[value] for value in values)])


def _by_number(value: str) -> tuple[float, str]:
    number = _NUMBER.match(value)
    assert number is not None, "check_request has refused values without an order"
    return float(number[0]), value


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """Who carries what: candidate `owners[e]` carries `codes[e]`, both rising; `sizes` values each, unknown ones 0."""

    owners: NDArray[np.int64]
    codes: NDArray[np.int32]
    sizes: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, column: AttributeColumn) -> _Members:
        """Of a column of hard labels."""
        if column.offsets is None:
            known = column.codes > 0
            return cls(np.flatnonzero(known), column.codes[known], known.astype(np.int64), known)
        sizes = np.diff(column.offsets).astype(np.int64)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        return cls(owners, column.codes[np.lexsort((column.codes, owners))], sizes, sizes > 0)

    def sets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of each candidate's set of values, -1 when unknown; and the first candidate that carries each set."""
        ends = np.cumsum(self.sizes)
        text, width = self.codes.tobytes(), self.codes.itemsize
        number: dict[bytes, int] = {}
        first: list[int] = []
        group = np.full(len(self.sizes), -1, np.int64)
        for i in np.flatnonzero(self.known).tolist():
            values = text[width * int(ends[i] - self.sizes[i]) : width * int(ends[i])]
            group[i] = number.setdefault(values, len(number))
            if len(number) > len(first):
                first.append(i)
        return group, np.array(first, np.int64)

    def of_candidates(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The values of these candidates, one after the other, and where each begins."""
        sizes = self.sizes[chosen]
        offsets = np.zeros(len(chosen) + 1, np.int32)
        np.cumsum(sizes, out=offsets[1:])
        starts = (np.cumsum(self.sizes) - self.sizes)[chosen]
        return self.codes[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])], offsets


def _one_hot(
    owners: NDArray[np.int64],
    keys: NDArray[np.int64],
    share: NDArray[np.float64],
    known: NDArray[np.bool_],
    weight: float,
) -> Part:
    """A column for each key that at least two candidates have, the most frequent ones where that is too many.

    Candidate `owners[e]` has `keys[e]`, no pair twice, and its column gets the root of `share[e]` of the weight.
    """
    carriers = np.bincount(keys)
    kept = np.flatnonzero(carriers > 1)
    if len(kept) > MOST_COLUMNS:
        kept = kept[np.argsort(-carriers[kept], kind="stable")[:MOST_COLUMNS]]
    column_of = np.full(len(carriers), -1)
    column_of[kept] = np.arange(len(kept))
    common = column_of[keys] >= 0
    rows = np.zeros((len(known), len(kept)), np.float32)
    rows[owners[common], column_of[keys[common]]] = np.sqrt(share[common])
    own = np.full(len(known), weight)
    own -= np.bincount(owners[common], weights=share[common], minlength=len(known))
    return Part(rows, np.maximum(own, 0.0), known)
