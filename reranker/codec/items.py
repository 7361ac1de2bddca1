"""Items as a message: what `SignalService.Get` answers with."""

from __future__ import annotations

import numpy as np

from reranker.candidates import AttributeColumn, Candidates, EmbeddingColumn
from reranker.v1 import candidates_pb2


def encode_items(items: Candidates) -> candidates_pb2.CandidateList:
    """Ids, embeddings as float32 and attributes; scores are left out. O(items (D + attributes))."""
    message = candidates_pb2.CandidateList()
    if len(items) and isinstance(items.ids[0], int):
        message.item_numbers.extend(int(item) for item in items.ids)
    else:
        message.item_ids.extend(str(item) for item in items.ids)
    if len(items):
        message.embeddings.extend(_embedding(name, column) for name, column in items.embeddings.items())
        message.attributes.extend(_attribute(name, column) for name, column in items.attributes.items())
    return message


def _embedding(name: str, column: EmbeddingColumn) -> candidates_pb2.EmbeddingColumn:
    return candidates_pb2.EmbeddingColumn(
        name=name,
        dimension=column.matrix.shape[1],
        float32=column.matrix.astype("<f4", copy=False).tobytes(),
        missing_rows=np.flatnonzero(column.norms == 0).tolist(),
    )


def _attribute(name: str, column: AttributeColumn) -> candidates_pb2.AttributeColumn:
    message = candidates_pb2.AttributeColumn(name=name, dictionary=column.values)
    if column.probabilities is not None:
        message.probabilities.extend(column.probabilities.ravel().tolist())
    else:
        message.codes.extend(column.codes.tolist())
        message.offsets.extend([] if column.offsets is None else column.offsets.tolist())
    return message
