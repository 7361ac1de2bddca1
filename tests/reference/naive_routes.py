"""Routes as the text describes them, in exact fractions and without a thought for time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any


def place(salt: str, unit: str) -> Fraction:
    """Where in [0, 1) a unit stands: the first eight bytes of SHA-256 over salt, a zero byte and unit."""
    return Fraction(int(hashlib.sha256(f"{salt}\0{unit}".encode()).hexdigest()[:16], 16), 2**64)


def arm(shares: Mapping[str, Fraction], salt: str, unit: str) -> str:
    """The arm whose stretch holds the unit's place."""
    start = Fraction(0)
    for name, share in shares.items():
        if start <= place(salt, unit) < start + share:
            return name
        start += share
    raise AssertionError("the shares do not add up to 1")


def matches(when: Mapping[str, Any], request: Mapping[str, str]) -> bool:
    """Every key says one of its values."""
    return all(request.get(key, "") != "" and request[key] in values for key, values in when.items())
