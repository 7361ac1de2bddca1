"""A rerank request as the engine's own types, or every violation at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reranker.candidates import Candidates, Id, checked_scores, list_duplicates
from reranker.context import Context
from reranker.errors import Violation
from reranker.service.codec.arrays import check_texts, repeated
from reranker.service.codec.attributes import decode_attributes
from reranker.service.codec.context import decode_context
from reranker.service.codec.embeddings import decode_embeddings
from reranker.service.limits import Limits
from reranker.v1 import candidates_pb2, reranker_service_pb2

_EMPTY = Candidates.from_columns([], np.zeros(0), {}, {})


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """What the engine needs of a request beside its policy."""

    candidates: Candidates
    context: Context
    slate_size: int


def decode_request(
    message: reranker_service_pb2.RerankRequest, limits: Limits, found: list[Violation]
) -> DecodedRequest:
    """Candidates, context and slate size; violations are added to `found`, and then the result must not be used.

    Complexity O(message); nothing loops over candidates in Python except what names a violation.
    """
    if len(message.request_id) > limits.text_length:
        found.append(Violation("request_id", f"must have at most {limits.text_length} characters"))
    if not 0 <= message.slate_size <= limits.slate_size:
        reason = f"must be from 0 to {limits.slate_size}, is {message.slate_size}"
        found.append(Violation("slate_size", reason))
    candidates = decode_candidates(message.candidates, limits, found)
    ids = None if candidates is _EMPTY else candidates.ids  # a list that was not read can not be searched
    context = decode_context(message, ids, limits, found)
    return DecodedRequest(candidates, context, message.slate_size)


def decode_candidates(message: candidates_pb2.CandidateList, limits: Limits, found: list[Violation]) -> Candidates:
    """The candidate list's columns, checked; violations are added to `found`."""
    if message.item_ids and message.item_numbers:
        found.append(Violation("candidates", "exactly one of item_ids and item_numbers must be filled, both are"))
        return _EMPTY
    form = "item_numbers" if message.item_numbers else "item_ids"
    count = max(len(message.item_numbers), len(message.item_ids))
    if count > limits.candidates:  # the columns are as long: looking further would be work for nothing
        reason = f"must be at most {limits.candidates} candidates, are {count}"
        found.append(Violation(f"candidates.{form}", reason))
        return _EMPTY
    texts = list(message.item_ids)
    check_texts("candidates.item_ids", texts, limits.text_length, found)
    ids: Sequence[Id] = texts or list(message.item_numbers)
    list_duplicates(f"candidates.{form}", ids, found)
    scores = checked_scores(repeated(message.scores, np.float64), count, found)
    embeddings = decode_embeddings(message, count, limits, found)
    attributes = decode_attributes(message, count, limits, found)
    return Candidates.from_columns(ids, scores, embeddings, attributes)
