"""How much of the upstream ranker's relevance a slate keeps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reranker.kernels.ranking import share_kept

Floats = NDArray[np.float64]
Positions = NDArray[np.integer]
LARGE = 1e150
"""Sums of as many scores as fit into memory stay finite below it."""


def above_zero(scores: Floats, zero: float) -> Floats:
    """`score - zero` of each score, for ratios and sums: exact but for one common factor, a power of two.

    The factor is 1 for all scores that upstream rankers send; beyond 1e150 it keeps differences and sums finite.
    """
    largest = max(float(scores.max(initial=0.0)), -float(scores.min(initial=0.0)), abs(zero))
    if largest < LARGE:
        return scores - zero
    exponent = math.frexp(largest)[1]
    shrunk: Floats = np.ldexp(scores, -exponent)
    return shrunk - math.ldexp(zero, -exponent)


def relevance_gains(scores: Floats, score_zero: float | None = None) -> Floats | None:
    """Relevance of each candidate, max(0, score - score_zero), (N,), but for one common factor as in `above_zero`.

    Without `score_zero` the zero is 0, and there is no relevance to take shares of (None) when any score is negative.
    """
    if score_zero is None and scores.size and scores.min() < 0.0:
        return None
    return np.maximum(above_zero(scores, score_zero or 0.0), 0.0)


def relevance_retained(
    scores: Floats, positions: Positions, upstream_order: Positions, score_zero: float | None = None
) -> float | None:
    """Share of the relevance of the upstream top k that a slate of k items keeps, from 0 to 1.

    Relevance of an item is max(0, score - score_zero). `scores` (N,) are all candidates' scores, `positions` (k,) and
    `upstream_order` (at least k) index into them. Without `score_zero` the zero is 0, and there is no ratio (None) when
    any score is negative; None also when the upstream top k has no relevance at all.
    """
    picked, order = np.ascontiguousarray(positions, np.int32), np.ascontiguousarray(upstream_order, np.int32)
    share = share_kept(scores, picked, order, score_zero or 0.0, score_zero is not None)
    return None if math.isnan(share) else share


def ndcg(
    scores: Floats, positions: Positions, upstream_order: Positions, score_zero: float | None = None
) -> float | None:
    """Normalised discounted cumulative gain of a slate against the upstream order, from 0 to 1.

    The gain of an item is max(0, score - zero), slot i weighs 1 / log2(i + 1) and the ideal is the upstream top k, so
    the upstream order has 1. The zero is `score_zero`; without one it is 0, or the least candidate's score when any
    score is negative (the ratio exists in every unit, and a slate of the worst items has 0). None when all gains of the
    upstream top k are 0 or the slate is empty.
    """
    if len(positions) == 0:
        return None
    zero = score_zero if score_zero is not None else min(0.0, float(scores.min()))
    gains = np.maximum(above_zero(scores, zero), 0.0)
    discounts = 1.0 / np.log2(np.arange(2, len(positions) + 2))
    ideal = float(gains[upstream_order[: len(positions)]] @ discounts)
    return float(gains[positions] @ discounts) / ideal if ideal > 0.0 else None
