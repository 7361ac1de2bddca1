"""What two slates for the same list have in common, and what each is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import Work

Picks = Sequence[int] | NDArray[np.integer]


def equal(ours: Picks, theirs: Picks) -> float:
    """Share of slots with the same item."""
    pairs = list(zip(ours, theirs, strict=False))
    return sum(int(a) == int(b) for a, b in pairs) / max(len(ours), len(theirs), 1)


def overlap(ours: Picks, theirs: Picks) -> float:
    """Share of items in both, whatever their slots."""
    return len(set(map(int, ours)) & set(map(int, theirs))) / max(len(ours), len(theirs), 1)


def retained(work: Work, picks: Picks) -> float:
    """Share of the score mass of the upstream top; scores from the list's lowest, so that they are not negative."""
    scores = work.scores - min(0.0, float(work.scores.min()))
    top = np.sort(scores)[::-1][: len(picks)].sum()
    return float(scores[np.asarray(picks)].sum() / top) if top > 0 else 1.0


def distance(work: Work, picks: Picks) -> float:
    """ILD: the mean 1 - cosine over pairs of the slate."""
    rows = work.embeddings[np.asarray(picks)].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosines = rows @ rows.T
    pairs = len(rows) * (len(rows) - 1)
    return float(1.0 - (cosines.sum() - np.trace(cosines)) / pairs) if pairs else 0.0
