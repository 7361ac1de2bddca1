"""One stream of traffic as the ledger names it: its key and its half-life, as text and as a short digest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from reranker.exposure.tally import TallyKey

_DIGEST = 8  # bytes: two of ten thousand streams meet with a probability below 10^-11


@dataclass(frozen=True, slots=True)
class Stream:
    """A key and the half-life, in seconds, that its sums decay by: with another half-life another stream begins."""

    key: TallyKey
    half_life: float

    @property
    def text(self) -> str:
        """All of it as JSON; `read_stream` is the way back."""
        return _text(self)

    @property
    def digest(self) -> bytes:
        """Eight bytes that stand for the text."""
        return _digest(self)


@lru_cache(4_096)
def _text(stream: Stream) -> str:
    key = stream.key
    words = [key.surface, key.policy, key.arm, key.attribute, key.per, stream.half_life]
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))


@lru_cache(4_096)
def _digest(stream: Stream) -> bytes:
    return blake2b(_text(stream).encode(), digest_size=_DIGEST).digest()


@lru_cache(4_096)
def read_stream(text: str) -> Stream:
    """The stream of a text. Raises `ValueError` when it is none."""
    try:
        surface, policy, arm, attribute, per, half_life = json.loads(text)
        key = TallyKey(surface, policy, arm, attribute, tuple((name, value) for name, value in per))
        return Stream(key, float(half_life))
    except (TypeError, ValueError):
        raise ValueError("is not a stream's text") from None
