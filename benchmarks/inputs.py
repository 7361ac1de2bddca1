"""Inputs that benchmarks share: synthetic candidate lists of three shapes, and real ones from the example corpora."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

SHAPES = ("uniform", "clustered", "duplicates")


@dataclass(frozen=True, eq=False)
class Work:
    """One candidate list: `embeddings` float32 (N, D), `scores` float64 (N,), `groups` one of a few values an item.

    `query` float32 (D,) is what the scores are the cosine to, for peers that score by themselves; None: something else.
    """

    name: str
    embeddings: NDArray[np.float32]
    scores: NDArray[np.float64]
    groups: list[str]
    slate_size: int
    query: NDArray[np.float32] | None = None
    ids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A caller has its ids already: listing them is not part of anybody's call.
        object.__setattr__(self, "ids", list(range(len(self.scores))))

    @property
    def size(self) -> str:
        """N/D/k."""
        return f"{self.embeddings.shape[0]}/{self.embeddings.shape[1]}/{self.slate_size}"


def synthetic(shape: str, candidates: int, dimension: int, slate_size: int) -> Work:
    """`uniform`: independent Gaussian vectors; `clustered`: 40 clusters; `duplicates`: near copies of 100 items."""
    embeddings, scores, groups = _drawn(shape, candidates, dimension)
    return Work(f"{shape} {candidates}/{dimension}/{slate_size}", embeddings, scores, groups, slate_size)


@cache
def _drawn(shape: str, candidates: int, dimension: int) -> tuple[NDArray[np.float32], NDArray[np.float64], list[str]]:
    """The same list at every slate size, so that a sweep over k changes k alone."""
    numbers = np.random.default_rng([candidates, dimension, SHAPES.index(shape)])
    rows = numbers.standard_normal((candidates, dimension))
    if shape == "clustered":
        rows = numbers.standard_normal((40, dimension))[numbers.integers(0, 40, candidates)] + 0.2 * rows
    elif shape == "duplicates":
        rows = numbers.standard_normal((100, dimension))[numbers.integers(0, 100, candidates)] + 0.01 * rows
    groups = numbers.choice(["a", "b", "c", "d"], candidates, p=[0.7, 0.2, 0.07, 0.03])
    return rows.astype(np.float32), numbers.uniform(size=candidates), groups.tolist()


def forget() -> None:
    """Let go of drawn lists: the largest of a grid take 30 MB each."""
    _drawn.cache_clear()


def queried(work: Work) -> Work:
    """The same candidates with the cosine to a query as their scores, as a vector store has them."""
    numbers = np.random.default_rng(len(work.scores))
    # Near one of the candidates, as the queries of real searches are; a random direction is near to nobody.
    query = work.embeddings[0] + work.embeddings[0].std() * numbers.standard_normal(work.embeddings.shape[1])
    unit = work.embeddings / np.linalg.norm(work.embeddings, axis=1, keepdims=True)
    scores = (unit @ (query / np.linalg.norm(query))).astype(np.float64)
    return replace(work, name=f"query, {work.name}", scores=scores, query=query.astype(np.float32))


def best_first(work: Work) -> Work:
    """The same candidates in upstream order: where all of them tie, the first is then also the most relevant."""
    order = np.argsort(-work.scores, kind="stable")
    groups = [work.groups[row] for row in order.tolist()]
    return replace(work, embeddings=work.embeddings[order], scores=work.scores[order], groups=groups)


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


def real_384(slate_size: int) -> Work:
    """A recorded foundation-shade search of 1,000 candidates with 384-dimensional embeddings."""
    from examples.catalog import DATA, Corpus

    corpus = Corpus("shades")
    with np.load(DATA / "shades" / "embeddings_384.npz", allow_pickle=False) as stored:
        request_id, embeddings = str(stored["request_id"]), stored["embeddings"].astype(np.float32)
    record = next(record for record in corpus.records() if record.request.request_id == request_id)
    tone = corpus.attributes["skin_tone"]
    groups = [(tone.of(row) or ["unknown"])[0] for row in corpus.rows(record.request).tolist()]
    scores = np.array(record.request.candidates.scores, np.float64)
    return Work(f"real {len(scores)}/{embeddings.shape[1]}/{slate_size}", embeddings, scores, groups, slate_size)
