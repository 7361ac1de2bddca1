"""The multiply-adds that a lazy scan cannot avoid, by a plain NumPy model of it that knows each winner beforehand.

Utilities only fall from slot to slot, so a stale one is an upper bound: a candidate has to be brought up to date only
while its bound is above the winner's utility. The model reads that off tables of exact utilities; a real scan meets the
winner late and does more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import Work
from benchmarks.operations import eager
from benchmarks.ours import Setting

Floats = NDArray[np.float64]
CLAMP = 1e-5  # docs/policies.md, rule 1: where rank ends for dpp


def least(setting: Setting, work: Work, picks: NDArray[np.int32]) -> float | None:
    """Multiply-adds for the slate `picks`; None where utilities can rise, so that a stale one bounds nothing."""
    N, D = work.embeddings.shape
    if setting.window or setting.strategy not in ("dpp", "ssd", "mmr", "cover"):
        return None
    utilities, widths = utility_table(setting, work, picks)
    first = float(N) * N * D / 2 if setting.strategy == "cover" else 0.0
    return min(first + scanned(utilities, widths, picks), eager(setting, N, D, len(picks)).multiply_adds)


def scanned(utilities: Floats, widths: Floats, picks: NDArray[np.int32]) -> float:
    """`utilities` (slots, N) after 0, 1, ... picks; `widths[t]` what bringing one candidate from t to t + 1 costs."""
    slots, count = utilities.shape
    seen, taken, total = np.zeros(count, np.intp), np.zeros(count, bool), 0.0
    everyone = np.arange(count)
    for slot in range(slots):
        winner = utilities[slot, picks[slot]]
        while True:
            above = ~taken & (seen < slot) & (utilities[seen, everyone] >= winner)
            if not above.any():
                break
            total += float(widths[seen[above]].sum())
            seen[above] += 1
        taken[picks[slot]] = True
    return total


def utility_table(setting: Setting, work: Work, picks: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Everybody's utility at each slot given the picks before it, and the width of the update after each."""
    N, D = work.embeddings.shape
    rows = work.embeddings.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    relevance = (1.0 - setting.diversity) * _relevance(setting.strategy, work.scores)
    slots = len(picks)
    if setting.strategy in ("dpp", "ssd"):
        gains = _spectral(rows, picks, logarithm=setting.strategy == "dpp")
        widths = D + 1.0 + np.arange(slots)
    elif setting.strategy == "mmr":
        nearest = np.maximum.accumulate(np.clip(rows[picks] @ rows.T, 0.0, 1.0), axis=0)
        gains = np.vstack([np.zeros(N), -nearest])[:slots]
        widths = np.full(slots, float(D))
    else:
        similarity = np.clip(rows @ rows.T, 0.0, 1.0)
        gains = _coverage(similarity, picks)
        widths = np.full(slots, float(N))
    return relevance + setting.diversity * gains, widths


def _relevance(strategy: str, scores: Floats) -> Floats:
    """Rule 1: z-scores for dpp and ssd, 0 to 1 for the others."""
    if strategy in ("dpp", "ssd"):
        centre, spread = scores.mean(), scores.std()
    else:
        centre, spread = scores.min(), scores.max() - scores.min()
    return (scores - centre) / spread if spread > 0 else np.zeros_like(scores)


def _spectral(rows: Floats, picks: NDArray[np.int32], logarithm: bool) -> Floats:
    """The Cholesky residuals of (1 + cosine) / 2, slot by slot."""
    slots, left = len(picks), np.ones(len(rows))
    factor, table = np.zeros((slots, len(rows))), np.empty((slots, len(rows)))
    for t, pick in enumerate(picks):
        table[t] = np.log(np.maximum(left, CLAMP)) if logarithm else np.sqrt(left)
        if left[pick] > 1e-12:
            column = (1.0 + rows @ rows[pick]) / 2.0 - factor[:t, pick] @ factor[:t]
            factor[t] = column / np.sqrt(left[pick])
            left = np.maximum(left - factor[t] ** 2, 0.0)
    return table


def _coverage(similarity: Floats, picks: NDArray[np.int32]) -> Floats:
    """What each candidate would add to the sum of roots, slot by slot."""
    covered, table = np.zeros(len(similarity)), np.empty((len(picks), len(similarity)))
    for t, pick in enumerate(picks):
        table[t] = np.sqrt(covered + similarity).sum(axis=1) - np.sqrt(covered).sum()
        covered += similarity[pick]
    return table
