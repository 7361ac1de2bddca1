"""How large a request may be: beyond these numbers it is answered INVALID_ARGUMENT, never worked on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits of one request; every error that they cause states the number."""

    candidates: int = 10_000
    """Candidates in one list."""
    slate_size: int = 1_000
    """Slots asked for."""
    recent: int = 1_000
    """Recently shown items; their columns have the limits of the candidates'."""
    cursor_bytes: int = 256 << 10
    """Bytes of a cursor: an answer whose cursor would be longer has none."""
    embeddings: int = 8
    """Embedding columns."""
    dimension: int = 4_096
    """Numbers in one vector."""
    attributes: int = 64
    """Attribute columns."""
    dictionary: int = 65_536
    """Distinct values of one attribute."""
    labels: int = 256
    """Labels of one column of probabilities."""
    values_per_column: int = 500_000
    """Codes of one multi-valued attribute, over all candidates."""
    text_length: int = 1_024
    """Characters of one id, name or attribute value."""
    policy_bytes: int = 16_384
    """Bytes of a policy sent along."""
    impressions: int = 1_000
    """Reports of impressions in one call."""
    inline_policies: bool = True
    """Whether a request may bring its policy along."""
    message_bytes: int = 64 << 20
    """Bytes of one message; gRPC itself refuses more with RESOURCE_EXHAUSTED."""
