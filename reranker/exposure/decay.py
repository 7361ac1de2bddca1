"""Half-lives in whole numbers: sums that come out the same in whatever order, and however often, they are added to.

Time is cut into buckets of one half-life. What is given at time t is weighed with 2^(t / half-life - bucket), from 1 to
2, rounded to whole units and added to its bucket's sum. At a later time T a sum is worth 2^(bucket - T / half-life) of
itself, so decay is exact and nothing that is kept has to be touched for it.
"""

from __future__ import annotations

import math

UNIT = 1 << 20
"""Units in one: the rounding of what one slot gives is below a millionth."""
BUCKETS = 33
"""Older buckets are forgotten: what is in them has decayed to 2^-32."""


def bucket_of(time: float, half_life: float) -> int:
    """The bucket of a time; both are in seconds."""
    return math.floor(time / half_life)


def weight_of(time: float, half_life: float) -> float:
    """What 1, given at this time, adds to its bucket: from 1 to 2."""
    lives = time / half_life
    return float(2.0 ** (lives - math.floor(lives)))


def remains(bucket: int, time: float, half_life: float) -> float:
    """What 1 in a bucket is worth at a time: 0 before the bucket begins, and after it has been forgotten.

    A bucket of the future was written by a clock that is ahead; it counts when its time has come.
    """
    lives = time / half_life
    now = math.floor(lives)
    return float(2.0 ** (bucket - lives)) if now - BUCKETS < bucket <= now else 0.0
