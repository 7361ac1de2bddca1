"""A list of candidates, or of items shown recently, as the engine's own type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reranker.candidates import Candidates, Id, checked_scores, list_duplicates
from reranker.codec.arrays import check_texts, repeated
from reranker.codec.attributes import decode_attributes
from reranker.codec.catalog import Lookup, are_known
from reranker.codec.embeddings import decode_embeddings
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.v1 import candidates_pb2

UNREAD = Candidates.from_columns([], np.zeros(0), {}, {})
"""What stands for a list whose ids could not be read."""


def decode_candidates(
    message: candidates_pb2.CandidateList,
    limits: Limits,
    found: list[Violation],
    *,
    lookup: Lookup | None = None,
    scored: bool = True,
) -> Candidates:
    """The list's columns, checked; violations are added to `found`, and then the result must not be used.

    Columns by reference come from the catalog of `lookup`. Where the list is not `scored`, scores may be left out (they
    are 0 then) and ids may repeat. Gives `UNREAD` when the ids cannot be read.
    """
    if message.item_ids and message.item_numbers:
        found.append(Violation("candidates", "exactly one of item_ids and item_numbers must be filled, both are"))
        return UNREAD
    form = "item_numbers" if message.item_numbers else "item_ids"
    count = max(len(message.item_numbers), len(message.item_ids))
    if count > limits.candidates:  # the columns are as long: looking further would be work for nothing
        reason = f"must be at most {limits.candidates} candidates, are {count}"
        found.append(Violation(f"candidates.{form}", reason))
        return UNREAD
    texts = list(message.item_ids)
    ids: Sequence[Id] = texts or list(message.item_numbers)
    lookup = lookup or Lookup(None)
    known = lookup.rows(message, ids, found) if message.HasField("catalog") else None
    if not are_known(known, once=scored):  # what the catalog has was checked when it was built
        check_texts("candidates.item_ids", texts, limits.text_length, found)
        if scored:  # else the same item may have been shown twice
            list_duplicates(f"candidates.{form}", ids, found)
    scores = np.zeros(count)
    if scored or message.scores:
        scores = checked_scores(repeated(message.scores, np.float64), count, found)
    embeddings = decode_embeddings(message, count, limits, found)
    attributes = decode_attributes(message, count, limits, found)
    candidates = Candidates.from_columns(ids, scores, embeddings, attributes)
    if not message.HasField("catalog"):
        return candidates
    return lookup.join(message, candidates, known, limits, found)
