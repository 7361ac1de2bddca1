"""Token buckets: how many requests a tenant may make, on average and in a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second over time, and at most `burst` at once."""

    per_second: float
    burst: float


class Bucket:
    """Fills at a rate up to a burst; each request takes one. Safe to use from many threads."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._level, self._at = rate.burst, clock()

    def take(self) -> float:
        """Take one: 0 where there was one, else the seconds until there will be."""
        with self._lock:
            now = self._clock()
            self._level = min(self.rate.burst, self._level + (now - self._at) * self.rate.per_second)
            self._at = now
            if self._level >= 1.0:
                self._level -= 1.0
                return 0.0
            return (1.0 - self._level) / self.rate.per_second


class Buckets:
    """The buckets of tenants; a tenant whose rate does not change keeps what is in its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: dict[str, Bucket] = {}

    def set(self, rates: Mapping[str, Rate]) -> None:
        """These rates hold from now on; tenants without one have no limit."""
        kept = self._of
        self._of = {
            tenant: kept[tenant] if tenant in kept and kept[tenant].rate == rate else Bucket(rate, self._clock)
            for tenant, rate in rates.items()
        }

    def take(self, tenant: str) -> float:
        """As `Bucket.take` of this tenant; always 0 without a limit."""
        bucket = self._of.get(tenant)
        return 0.0 if bucket is None else bucket.take()
