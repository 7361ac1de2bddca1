"""Vector stores' MMR: they score by a query themselves, so they take part where scores are the cosine to one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.inputs import Work
from benchmarks.ours import Setting
from benchmarks.peers.optional import Call, optional


def peers(work: Work, setting: Setting) -> dict[str, Call]:
    """LangChain's utility, which its vector stores share, and qdrant-client's local mode."""
    if work.query is None or setting.window:
        return {}
    found: dict[str, Call] = {}
    utility = optional("langchain-core", "langchain_core.vectorstores.utils", "maximal_marginal_relevance")
    if utility is not None:
        # An array where stores hand over lists: that spares it a conversion for every slot.
        found["LangChain"] = partial(utility, work.query, work.embeddings, 1.0 - setting.diversity, work.slate_size)
    client = optional("qdrant-client", "qdrant_client", "QdrantClient")
    if client is not None:
        found["Qdrant local"] = _collection(client(":memory:"), work, setting.diversity)
    return found


def _collection(client: Any, work: Work, diversity: float) -> Call:
    """A query to a collection that holds the candidates already: uploading them is not part of the call."""
    from qdrant_client import models  # type: ignore[import-not-found, unused-ignore]

    assert work.query is not None
    vectors = models.VectorParams(size=work.embeddings.shape[1], distance=models.Distance.COSINE)
    client.create_collection("candidates", vectors_config=vectors)
    points = [models.PointStruct(id=i, vector=row) for i, row in zip(work.ids, work.embeddings.tolist(), strict=True)]
    client.upsert("candidates", points)
    mmr = models.Mmr(diversity=diversity, candidates_limit=len(work.ids))
    query = models.NearestQuery(nearest=work.query.astype(np.float64).tolist(), mmr=mmr)

    def call() -> list[int]:
        answer = client.query_points("candidates", query=query, limit=work.slate_size, with_payload=False)
        return [point.id for point in answer.points]

    return call
