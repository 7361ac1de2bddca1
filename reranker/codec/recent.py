"""Recently shown items: a list like the candidates', with ids and vectors of the same form and no need of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reranker.candidates import Candidates, Id
from reranker.codec.candidates import UNREAD, decode_candidates
from reranker.codec.catalog import Lookup
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.v1 import candidates_pb2, reranker_service_pb2

_PATH = "context.recent"


def decode_recent(
    message: reranker_service_pb2.RerankRequest,
    candidates: Candidates | None,
    limits: Limits,
    found: list[Violation],
    lookup: Lookup,
) -> Candidates | Sequence[Id]:
    """The items with their signals, or their ids where they came without any; violations are added to `found`.

    `candidates` are the request's, None when they could not be read: then nothing is compared with them. O(items).
    """
    sent = message.context.recent
    own: list[Violation] = []
    recent = decode_candidates(sent, replace(limits, candidates=limits.recent), own, lookup=lookup, scored=False)
    found += map(_placed, own)
    if recent is UNREAD or candidates is None:
        return ()
    if len(candidates) and len(recent) and bool(sent.item_numbers) != bool(message.candidates.item_numbers):
        given, wanted = ("item_numbers", "item_ids") if sent.item_numbers else ("item_ids", "item_numbers")
        found.append(Violation(f"{_PATH}.{given}", f"must be given as {wanted}, as the candidates' ids are"))
    _compare_dimensions(sent, candidates, found)
    if recent.unknown is not None and recent.unknown.any():
        lookup.notes.append(f"recently shown items that are not in the catalog: {int(recent.unknown.sum())}")
    return recent if sent.embeddings or sent.attributes or sent.HasField("catalog") else recent.ids


def _compare_dimensions(sent: candidates_pb2.CandidateList, candidates: Candidates, found: list[Violation]) -> None:
    """Vectors under one name must be of one length, or nothing could be compared."""
    for i, column in enumerate(sent.embeddings):
        own = candidates.embeddings.get(column.name)
        if own is not None and own.matrix.shape[1] != column.dimension:
            reason = f"must be {own.matrix.shape[1]}, as the candidates' is, is {column.dimension}"
            found.append(Violation(f"{_PATH}.embeddings[{i}].dimension", reason))


def _placed(violation: Violation) -> Violation:
    """A candidate list's violation where the request has this list; no reason quotes a text of the request."""
    path = violation.path.replace("candidates", _PATH, 1)
    reason = violation.reason.replace("candidates.", f"{_PATH}.").replace("candidate", "item")
    return Violation(path, reason)
