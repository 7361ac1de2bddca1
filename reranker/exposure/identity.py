"""Request ids at rest: hashes under secret keys that are thrown away, so that nobody can tell later who asked what.

Time is cut into periods of the ledger's memory. Each has a random key, which all processes share and which is deleted
with the period after it. An id is known for one period at least and two at most.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from hashlib import blake2b

_KEY = 32  # bytes
_HASH = 16


def new_secret() -> bytes:
    """A key for one period."""
    return secrets.token_bytes(_KEY)


def is_secret(data: object) -> bool:
    """Whether this can be such a key."""
    return isinstance(data, bytes) and len(data) == _KEY


def period_of(time: float, memory: float) -> int:
    """The period of a time; both are in seconds."""
    return math.floor(time / memory)


def names_of(request_id: str, keys: Mapping[int, bytes], period: int) -> list[bytes]:
    """What a request may be called at rest: a hash under each of the keys, that of `period` first."""
    data = request_id.encode()
    known = sorted(keys, key=lambda other: (other != period, other))
    return [blake2b(data, digest_size=_HASH, key=keys[other]).digest() for other in known]


def is_remembered(other: int, period: int) -> bool:
    """Whether a period's key may have named a request that is known in `period`; clocks may differ by one period."""
    return abs(other - period) <= 1
