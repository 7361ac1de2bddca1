"""Inputs that benchmarks share: synthetic candidate lists of three shapes, and real ones from the example corpora."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Work:
    """One candidate list: `embeddings` float32 (N, D), `scores` float64 (N,), `groups` one of four values an item."""

    name: str
    embeddings: NDArray[np.float32]
    scores: NDArray[np.float64]
    groups: list[str]
    slate_size: int


def synthetic(shape: str, candidates: int, dimension: int, slate_size: int) -> Work:
    """`uniform`: independent Gaussian vectors; `clustered`: 40 clusters; `duplicates`: near copies of 100 items."""
    numbers = np.random.default_rng([candidates, dimension, slate_size])
    rows = numbers.standard_normal((candidates, dimension))
    if shape == "clustered":
        rows = numbers.standard_normal((40, dimension))[numbers.integers(0, 40, candidates)] + 0.2 * rows
    elif shape == "duplicates":
        rows = numbers.standard_normal((100, dimension))[numbers.integers(0, 100, candidates)] + 0.01 * rows
    groups = numbers.choice(["a", "b", "c", "d"], candidates, p=[0.7, 0.2, 0.07, 0.03])
    name = f"{shape} {candidates}/{dimension}/{slate_size}"
    return Work(name, rows.astype(np.float32), numbers.uniform(size=candidates), groups.tolist(), slate_size)


def real(slate_size: int) -> Work:
    """A recorded foundation-shade search of about 300 candidates with 64-dimensional embeddings."""
    from examples.catalog import Corpus

    corpus = Corpus("shades")
    record = next(record for record in corpus.records("text_search") if len(record.request.candidates.item_ids) >= 300)
    candidates = record.request.candidates
    rows = corpus.rows(record.request)
    tone = corpus.attributes["skin_tone"]
    groups = [(tone.of(row) or ["unknown"])[0] for row in rows]
    scores = np.array(candidates.scores, np.float64)
    embeddings = corpus.embeddings[rows].astype(np.float32)
    return Work(f"real {len(rows)}/{embeddings.shape[1]}/{slate_size}", embeddings, scores, groups, slate_size)
