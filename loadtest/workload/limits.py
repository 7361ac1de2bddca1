"""What a load test may be asked for: checked before anything is started, allocated or sent."""

from __future__ import annotations

import math
import re

from loadtest.errors import LoadtestError

MOST_PER_SECOND = 100_000
MOST_REQUESTS = 50_000_000
MOST_PROCESSES = 64
LONGEST_SECONDS = 4 * 3600.0
LONGEST_WARM_UP = 3600.0
LONGEST_MS = 600_000.0
"""What the histograms can hold."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def above_nothing(path: str, value: float, most: float) -> None:
    """Raises `LoadtestError` unless 0 < value ≤ most; NaN is neither."""
    if not 0 < value <= most:
        raise LoadtestError(f"{path} must be above 0 and at most {most:,.12g}")


def within(path: str, value: float, least: float, most: float) -> None:
    """Raises `LoadtestError` unless least ≤ value ≤ most; NaN is neither."""
    if not least <= value <= most:
        raise LoadtestError(f"{path} must be from {least:,.12g} to {most:,.12g}")


def finite(path: str, value: float) -> None:
    """Raises `LoadtestError` for infinity and NaN, which TOML and the command line both can say."""
    if not math.isfinite(value):
        raise LoadtestError(f"{path} must be a finite number")


def name_of_a_file(path: str, name: str) -> None:
    """Raises `LoadtestError` for a name that could lead out of the folder in which it is looked up."""
    if not _NAME.fullmatch(name):
        raise LoadtestError(f"{path} must be a plain name: letters, digits, dots, hyphens and underscores")
