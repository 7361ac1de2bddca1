"""A rerank request as the engine's own types, or every violation at once."""

from __future__ import annotations

from dataclasses import dataclass

from reranker.candidates import Candidates
from reranker.codec.candidates import UNREAD, decode_candidates
from reranker.codec.catalog import FindStored, Lookup
from reranker.codec.context import decode_context
from reranker.codec.limits import Limits
from reranker.context import Context
from reranker.errors import InvalidInput, Violation
from reranker.signals import Catalog
from reranker.v1 import reranker_service_pb2


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """What the engine needs of a request beside its policy."""

    candidates: Candidates
    context: Context
    slate_size: int
    lookup: Lookup


def decode_request(
    message: reranker_service_pb2.RerankRequest,
    limits: Limits,
    found: list[Violation],
    catalog: Catalog | None = None,
    find_stored: FindStored | None = None,
) -> DecodedRequest:
    """Candidates, context and slate size; violations are added to `found`, and then the result must not be used.

    `catalog` is the version that the whole of the request looks things up in, None where the server has none, and
    `find_stored` says what the store has.
    Complexity O(message); nothing loops over candidates in Python except what names a violation.
    """
    if len(message.request_id) > limits.text_length:
        found.append(Violation("request_id", f"must have at most {limits.text_length} characters"))
    if not 0 <= message.slate_size <= limits.slate_size:
        reason = f"must be from 0 to {limits.slate_size}, is {message.slate_size}"
        found.append(Violation("slate_size", reason))
    lookup = Lookup(catalog, find_stored)
    candidates = decode_candidates(message.candidates, limits, found, lookup=lookup)
    known = None if candidates is UNREAD else candidates  # a list that was not read can not be searched
    context = decode_context(message, known, limits, found, lookup)
    return DecodedRequest(candidates, context, message.slate_size, lookup)


def in_words_of_the_wire(error: InvalidInput, message: reranker_service_pb2.RerankRequest) -> InvalidInput:
    """What the engine found wrong with ids, by the field that they came in."""
    form = "item_numbers" if message.candidates.item_numbers else "item_ids"
    return InvalidInput(
        Violation(violation.path.replace("candidates.ids", f"candidates.{form}", 1), violation.reason)
        for violation in error.violations
    )
