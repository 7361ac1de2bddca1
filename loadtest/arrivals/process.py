"""The kinds of arrivals, and their words in a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.arrivals.shapes import Stretch, scaled, times
from loadtest.arrivals.trace import gaps, replayed
from loadtest.errors import LoadtestError

_SPACING = {"spacing": "poisson"}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "constant": {},
    "poisson": {},
    "step": {"levels": [0.5, 1.0, 1.5], **_SPACING},
    "ramp": {"first": 0.2, "last": 1.8, **_SPACING},
    "burst": {"times": 5.0, "every": 5.0, "lasts": 0.5, **_SPACING},
    "replay": {"trace": "code", "first": 0},
}
"""The words of each kind with their defaults. Levels and the like are relative: a scenario's rate is the mean."""

NANOSECONDS = 1_000_000_000
LARGEST = 1_000_000
LEAST = 1e-6
MOST_LEVELS = 1000
SHORTEST_PERIOD = 0.1  # seconds
SHORTEST_BURST = 0.01


@dataclass(frozen=True)
class Arrivals:
    """One arrival process; `words` are those of its kind. Raises `LoadtestError` for words that make no sense."""

    kind: str = "poisson"
    words: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LoadtestError(f"arrivals.kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        unknown = sorted(set(self.words) - set(KINDS[self.kind]))
        if unknown:
            known = ", ".join(KINDS[self.kind]) or "no words of its own"
            raise LoadtestError(f"arrivals of kind {self.kind} have {known}; unknown: {', '.join(unknown)}")
        object.__setattr__(self, "words", {**KINDS[self.kind], **self.words})
        self._check()

    def schedule(self, rate: float, seconds: float, warm_up: float, seed: int) -> NDArray[np.int64]:
        """Nanoseconds from the start at which requests are due, ascending: `warm_up` seconds evenly paced, then these.

        The same arguments give the same schedule: two servers can be asked the same questions at the same times.
        """
        rng = np.random.default_rng(seed)
        before = times([Stretch(warm_up, rate, rate)], None) if warm_up else np.empty(0)
        if self.kind == "replay":
            measured = replayed(self.words["trace"], rate, seconds, self.words["first"])
        else:
            even = self.kind == "constant" or self.words.get("spacing") == "even"
            measured = times(scaled(self._stretches(seconds), rate), None if even else rng)
        due: NDArray[np.int64] = np.rint(np.concatenate([before, warm_up + measured]) * NANOSECONDS).astype(np.int64)
        return due

    def _stretches(self, seconds: float) -> list[Stretch]:
        words = self.words
        if self.kind == "step":
            levels = words["levels"]
            return [Stretch(seconds / len(levels), level, level) for level in levels]
        if self.kind == "ramp":
            return [Stretch(seconds, words["first"], words["last"])]
        if self.kind == "burst":
            return _bursts(seconds, words["every"], words["lasts"], words["times"])
        return [Stretch(seconds, 1.0, 1.0)]

    def _check(self) -> None:
        words = self.words
        for name, value in words.items():
            default = KINDS[self.kind][name]
            if isinstance(default, list):
                if not isinstance(value, list) or len(value) > MOST_LEVELS:
                    raise LoadtestError(f"arrivals.{name} must be a list of at most {MOST_LEVELS} numbers")
                for number in value:
                    self._check_number(name, number)
            elif isinstance(default, str | int) and not isinstance(value, type(default)):
                raise LoadtestError(f"arrivals.{name} must be of type {type(default).__name__}")
            elif not isinstance(default, str):
                self._check_number(name, value)
        self._check_shape()

    def _check_shape(self) -> None:
        """What single words do not say."""
        words = self.words
        if words.get("spacing", "even") not in ("even", "poisson"):
            raise LoadtestError(f'arrivals.spacing must be "even" or "poisson", not {words["spacing"]!r}')
        if self.kind == "step" and not sum(words["levels"]) > LEAST:
            raise LoadtestError("arrivals.levels must hold a number above 0")
        if self.kind == "ramp" and not words["first"] + words["last"] > LEAST:
            raise LoadtestError("arrivals.first or arrivals.last must be above 0")
        if self.kind == "burst" and not SHORTEST_BURST <= words["lasts"] < words["every"]:
            raise LoadtestError(f"arrivals.lasts must be {SHORTEST_BURST} or more and less than arrivals.every")
        if self.kind == "burst" and words["every"] < SHORTEST_PERIOD:
            raise LoadtestError(f"arrivals.every must be {SHORTEST_PERIOD} or more")
        if self.kind == "replay":
            gaps(words["trace"])

    def _check_number(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
            raise LoadtestError(f"arrivals.{name}: numbers must be 0 or more and at most {LARGEST:,}")


def _bursts(seconds: float, every: float, lasts: float, factor: float) -> list[Stretch]:
    """Each period ends in its burst; what is left at the end is calm."""
    stretches = []
    at = 0.0
    while at + every <= seconds + 1e-9:
        stretches += [Stretch(every - lasts, 1.0, 1.0), Stretch(lasts, factor, factor)]
        at += every
    if seconds - at > 1e-9:
        stretches.append(Stretch(seconds - at, 1.0, 1.0))
    return stretches
