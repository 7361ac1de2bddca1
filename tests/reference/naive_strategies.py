"""Slow, obvious twins of the strategies in float64, written from the text of the policy words alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

TIE = 1e-9  # utilities nearer than this are one and the same
COPY = 1e-12  # a pick that adds no more variance is a copy of earlier ones
RANK_EXHAUSTED = 1e-5  # the clamp of rule 1
AUTO_NORMALISATION = {"dpp": "zscore", "ssd": "zscore"}  # the others: minmax
AUTO_SIMILARITY = {"dpp": "cosine_shifted", "ssd": "cosine_shifted"}  # the others: cosine


def upstream_order(scores: ArrayLike) -> list[int]:
    """Positions by score descending, ties by input position."""
    values = [float(score) for score in np.asarray(scores, np.float64)]
    return sorted(range(len(values)), key=lambda position: (-values[position], position))


def normalise(scores: ArrayLike, form: str) -> Floats:
    """Relevance of each candidate, over all candidates.

    `rank` is linear in the upstream rank, 1 for the first and 0 for the last, the mean rank for equal scores; every
    form but `none` gives 0 when nothing tells the candidates apart.
    """
    values = np.array(scores, np.float64)
    if len(values) == 0 or form == "none":
        return values
    if form == "zscore":
        deviation = float(np.sqrt(np.mean((values - values.mean()) ** 2)))
        alike = values.max() == values.min()
        return np.zeros(len(values)) if alike else (values - values.mean()) / deviation
    if form == "minmax":
        width = values.max() - values.min()
        return np.zeros(len(values)) if width == 0 else (values - values.min()) / width
    if form == "rank":
        ordered = sorted(values.tolist(), reverse=True)
        ranks = [np.mean([rank for rank, value in enumerate(ordered) if value == own]) for own in values.tolist()]
        best, worst = min(ranks), max(ranks)
        return np.array([0.0 if best == worst else 1.0 - (rank - best) / (worst - best) for rank in ranks])
    raise ValueError(form)


def similarities(rows: ArrayLike | None, count: int, form: str) -> Floats:
    """All N x N similarities. A row of zeros is a missing embedding: 1 to itself, 0 to all others, in either form."""
    matrix = np.zeros((count, 1)) if rows is None else np.array(rows, np.float64)
    lengths = np.linalg.norm(matrix, axis=1)
    present = lengths > 0
    unit = matrix / np.where(present, lengths, 1.0)[:, None]
    cosines = unit @ unit.T
    result = cosines if form == "cosine" else (1.0 + cosines) / 2.0
    result[~present, :] = 0.0
    result[:, ~present] = 0.0
    np.fill_diagonal(result, 1.0)
    return result


def directions(rows: ArrayLike | None, count: int, form: str) -> Floats:
    """Unit vectors whose products are the similarities: the row's, or (row, 1) / sqrt(2); an own axis if missing."""
    matrix = np.zeros((count, 1)) if rows is None else np.array(rows, np.float64)
    lengths = np.linalg.norm(matrix, axis=1)
    unit = matrix / np.where(lengths > 0, lengths, 1.0)[:, None]
    if form != "cosine":
        unit = np.hstack([unit, np.ones((count, 1))]) * np.sqrt(0.5)
    unit[lengths == 0] = 0.0
    return np.hstack([unit, np.diag((lengths == 0).astype(np.float64))])


def sliding_residuals(vectors: Floats, earlier: Sequence[int], window: int) -> Floats:
    """What is left of each vector under SSD: subtract its projection on what is left of every pick, oldest first.

    Once `window` (0: no limit) bases are held, the oldest projection is added back before the next is subtracted. A
    pick of which no more than a variance of 1e-12 is left is a copy of earlier ones and projects nothing.
    """
    left = vectors.copy()
    held: list[tuple[Floats, Floats]] = []
    for pick in earlier:
        base = left[pick].copy()
        if window and len(held) == window:
            shares, oldest = held.pop(0)
            left += np.outer(shares, oldest)
        squared = float(base @ base)
        shares = left @ base / squared if squared > COPY else np.zeros(len(left))
        left -= np.outer(shares, base)
        held.append((shares, base))
    return left


def coverage(similarity: Floats, picks: Sequence[int], first: int = 0) -> float:
    """Sum over all candidates from `first` on of the root of how alike they are to the picks together."""
    return float(np.sqrt(np.clip(similarity[first:, list(picks)], 0.0, 1.0).sum(axis=1)).sum())


def conditional_variances(similarity: Floats, earlier: Sequence[int]) -> Floats:
    """Variance of every item given the earlier picks under the kernel `similarity`: L_ii - L_iS pinv(L_SS) L_Si."""
    own = np.diag(similarity).copy()
    if not earlier:
        return own
    seen = list(earlier)
    rows = similarity[:, seen]
    inverse = np.linalg.pinv(similarity[np.ix_(seen, seen)], rcond=1e-12, hermitian=True)
    return np.asarray(np.maximum(0.0, own - np.einsum("is,st,it->i", rows, inverse, rows)))


def square_root(matrix: Floats) -> Floats:
    """Vectors (N, N) whose inner products are the entries of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True)
class Twin:
    """One strategy on one candidate list: everything that its utility needs."""

    strategy: str
    diversity: float
    scores: Floats
    relevance: Floats
    similarity: Floats
    window: int = 0
    vectors: Floats | None = None  # ssd
    seen: int = 0

    @classmethod
    def of(
        cls,
        strategy: str,
        diversity: float,
        scores: ArrayLike,
        rows: ArrayLike | None,
        *,
        normalisation: str = "auto",
        similarity: str = "auto",
        window: int = 0,
        matrix: Floats | None = None,
    ) -> Twin:
        """A twin from raw scores and embedding rows, or from a ready N x N similarity `matrix`."""
        values = np.array(scores, np.float64)
        if normalisation == "auto":
            normalisation = AUTO_NORMALISATION.get(strategy, "minmax")
        if similarity == "auto":
            similarity = AUTO_SIMILARITY.get(strategy, "cosine")
        return cls(
            strategy,
            diversity,
            values,
            normalise(values, normalisation),
            similarities(rows, len(values), similarity) if matrix is None else matrix,
            window,
            directions(rows, len(values), similarity) if matrix is None else square_root(matrix),
        )

    def gains(self, earlier: Sequence[int]) -> Floats:
        """The diversity part of every candidate's utility after the earlier picks, before its weight."""
        seen = list(earlier)
        if self.strategy == "ssd":
            assert self.vectors is not None
            return np.asarray(np.linalg.norm(sliding_residuals(self.vectors, seen, self.window), axis=1))
        if self.strategy == "cover":
            return self._coverage_gains(seen)
        if self.strategy == "msd":
            distances = 1.0 - np.clip(self.similarity[:, seen], 0.0, 1.0)
            return np.asarray(distances.mean(axis=1)) if seen else np.zeros(len(self.scores))
        if self.window:
            seen = seen[len(seen) - min(len(seen), self.window - 1) :]
        if self.strategy == "relevance" or not seen:
            return np.zeros(len(self.scores))
        if self.strategy == "mmr":
            return np.asarray(-np.clip(self.similarity[:, seen], 0.0, 1.0).max(axis=1))
        if self.strategy == "dpp":
            relative = conditional_variances(self.similarity, seen) / np.diag(self.similarity)
            return np.asarray(np.log(np.maximum(relative, RANK_EXHAUSTED)))
        raise ValueError(self.strategy)

    def _coverage_gains(self, earlier: list[int]) -> Floats:
        before = coverage(self.similarity, earlier, self.seen)
        count = len(self.scores)
        return np.array([coverage(self.similarity, [*earlier, i], self.seen) - before for i in range(count)])

    def utilities(self, earlier: Sequence[int], among: Collection[int] | None = None) -> dict[int, float]:
        """Utility of every candidate of `among` (default all) that is not picked yet."""
        values = (1.0 - self.diversity) * self.relevance + self.diversity * self.gains(earlier)
        pool = range(len(self.scores)) if among is None else sorted(among)
        return {item: float(values[item]) for item in pool if item not in earlier}

    def choose(self, utilities: dict[int, float]) -> int:
        """The pinned tie rule: larger utility, then higher score, then lower input position."""
        top = max(utilities.values())
        tied = [item for item, utility in utilities.items() if utility >= top - TIE]
        return min(tied, key=lambda item: (-float(self.scores[item]), item))


def top_two_margin(utilities: dict[int, float], best: int, twins: Collection[int] = ()) -> float:
    """How far the chosen utility is above all others; infinite when there is no other candidate.

    `twins` are candidates that are the same as the chosen one in every respect: they tie by construction, whatever the
    arithmetic, so they are left out of the comparison (the tie rule alone decides about them).
    """
    others = [utility for item, utility in utilities.items() if item != best and item not in twins]
    return utilities[best] - max(others, default=-float("inf"))


def greedy(twin: Twin, count: int) -> tuple[list[int], list[float], list[float]]:
    """Picks, their utilities and the top-two margin at each slot, without any quota."""
    picks: list[int] = []
    gains: list[float] = []
    margins: list[float] = []
    for _ in range(min(count, len(twin.scores))):
        utilities = twin.utilities(picks)
        pick = twin.choose(utilities)
        gains.append(utilities[pick])
        margins.append(top_two_margin(utilities, pick))
        picks.append(pick)
    return picks, gains, margins
