"""Greedy peers: pyversity, and the published fast greedy MAP of a DPP written plainly in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyversity
from numpy.typing import NDArray

from benchmarks.inputs import Work
from benchmarks.ours import Setting
from benchmarks.peers.optional import Call

Floats = NDArray[np.floating[Any]]
LIBRARY = "pyversity"
MAPS = ("NumPy MAP", "NumPy MAP, kernel")
KERNEL_AT_MOST = 5000  # candidates; above, the whole matrix is out of all proportion to the columns that are looked at


def peers(work: Work, setting: Setting) -> dict[str, Call]:
    """All that are greedy."""
    found: dict[str, Call] = {LIBRARY: library(work, setting)}
    if setting.strategy == "dpp" and not setting.window:
        found[MAPS[0]] = lambda: map_by_columns(work, setting.diversity)
        if len(work.scores) <= KERNEL_AT_MOST:
            found[MAPS[1]] = lambda: map_of_kernel(work, setting.diversity)
    return found


def library(work: Work, setting: Setting, alike: bool = False) -> Call:
    """Pyversity's call; `alike`: set so that it picks what ours picks under `like_the_library`.

    Its SSD works on vectors longer than ours by the root of 2.
    """
    strategy = pyversity.Strategy(setting.strategy)
    more: dict[str, Any] = {"window": setting.window} if setting.strategy == "ssd" and setting.window else {}
    if alike and setting.strategy == "ssd":
        more["gamma"] = np.sqrt(0.5)

    def call() -> list[int]:
        with np.errstate(all="ignore"):
            found = pyversity.diversify(
                work.embeddings, work.scores, work.slate_size, strategy, diversity=setting.diversity, **more
            )
        picks: list[int] = found.indices.tolist()
        return picks

    return call


def like_the_library(setting: Setting) -> dict[str, Any] | None:
    """Further words for our objective under which pyversity picks the same items; None for MSD, which is another sum.

    Its DPP at knob d weighs z-scored relevance 2 (1 - d) against log d2, which is our knob 1 / (3 - 2 d).
    """
    if setting.strategy == "dpp":
        return {"diversity": 1.0 / (3.0 - 2.0 * setting.diversity), "similarity": "cosine"}
    if setting.strategy in ("mmr", "cover"):
        return {"similarity": "cosine", "score_normalisation": "none"}
    return {} if setting.strategy == "ssd" else None


def map_by_columns(work: Work, diversity: float) -> list[int]:
    """Fast greedy MAP that works out a row of the kernel when the algorithm reads it: O(k N (D + k))."""
    rows, diagonal = weighted_features(work, diversity)
    return greedy_map(lambda j: rows @ rows[j], diagonal, work.slate_size)


def map_of_kernel(work: Work, diversity: float) -> list[int]:
    """Fast greedy MAP as published: of a kernel that is there, which a caller with embeddings has to make: O(N² D)."""
    rows, diagonal = weighted_features(work, diversity)
    kernel = rows @ rows.T
    return greedy_map(lambda j: kernel[j], diagonal, work.slate_size)


def greedy_map(row: Callable[[int], Floats], diagonal: Floats, size: int, epsilon: float = 1e-10) -> list[int]:
    """Algorithm 1 of Chen, Zhang, Zhou (NeurIPS 2018); `row(j)` is row j of the kernel. Stops where the rank ends."""
    left = diagonal.copy()
    size = min(size, len(left))
    factor = np.empty((size, len(left)), left.dtype)  # row t: entry t of every candidate's Cholesky vector
    picks = [int(np.argmax(left))] if size else []
    while len(picks) < size:
        last, t = picks[-1], len(picks) - 1
        entry = (row(last) - factor[:t, last] @ factor[:t]) / np.sqrt(left[last])
        factor[t] = entry
        left -= entry * entry
        left[last] = -np.inf
        best = int(np.argmax(left))
        if left[best] < epsilon:
            break
        picks.append(best)
    return picks


def weighted_features(work: Work, diversity: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows whose products are our kernel: q_i q_j (1 + cosine) / 2 with q = exp((1 - d) z / (2 d)), z-scored relevance.

    d log det L is then our (1 - d) relevance + d log d2, up to constants. With them its diagonal q², free of the noise
    of products, so that candidates of equal relevance tie as they should.
    """
    scores = work.scores
    spread = scores.std()
    z = (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)
    weights = np.exp((1.0 - diversity) / (2.0 * diversity) * z).astype(np.float32)[:, None]
    rows = np.empty((len(scores), work.embeddings.shape[1] + 1), np.float32)
    lengths = np.maximum(np.linalg.norm(work.embeddings, axis=1, keepdims=True), 1e-12)
    np.multiply(work.embeddings, np.sqrt(np.float32(0.5)) * weights / lengths, out=rows[:, :-1])
    rows[:, -1:] = np.sqrt(np.float32(0.5)) * weights
    return rows, (weights * weights).ravel()
