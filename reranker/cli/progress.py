"""A bar on a terminal: how much is done, how fast, and how long it will take."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 30
_SECONDS = 0.1  # between two looks of the bar


class Progress:
    """Rewrites one line of `stream`; on anything but a terminal it says nothing."""

    def __init__(self, noun: str, stream: TextIO | None = None) -> None:
        self._noun, self._stream = noun, sys.stderr if stream is None else stream
        self._is_shown = self._stream.isatty()
        self._started = time.monotonic()
        self._first: int | None = None
        self._drawn = -_SECONDS

    def __call__(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if not self._is_shown:
            return
        now = time.monotonic()
        if self._first is None:  # what an earlier run had done says nothing about this one's rate
            self._first, self._started = done, now
        if now - self._drawn < _SECONDS and done < total:
            return
        self._drawn = now
        print(f"\r\033[K{self.line(done, total, now - self._started)}", end="", file=self._stream, flush=True)

    def line(self, done: int, total: int, seconds: float) -> str:
        """The bar after so many seconds."""
        share = done / total if total else 1.0
        filled = round(_WIDTH * share)
        rate = (done - (self._first or 0)) / seconds if seconds > 0.0 else 0.0
        left = f", {_clock((total - done) / rate)} left" if rate > 0.0 else ""
        bar = "█" * filled + "░" * (_WIDTH - filled)
        return f"{bar} {done:,} of {total:,} {self._noun}, {rate:,.0f}/s{left}"

    def close(self) -> None:
        """Take the bar away."""
        if self._is_shown:
            print("\r\033[K", end="", file=self._stream, flush=True)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole >= 3_600:
        return f"{whole // 3_600}:{whole % 3_600 // 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"
