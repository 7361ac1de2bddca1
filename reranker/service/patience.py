"""How long callers wait: what a call may wait for a worker without being too late when its turn comes."""

from __future__ import annotations

_FADING = 0.99  # of what the most patient caller had left, with each caller who has less
_FOR_EVER = 3_600.0  # seconds that a caller without a deadline waits


class Patience:
    """The most seconds that callers had left lately when their turn came.

    When a call arrives its deadline is not known yet, but how long those before it meant to wait is. They have waited
    already when they are asked, so that whoever waits as long as that has as long for its work.
    """

    def __init__(self) -> None:
        self.seconds = float("inf")

    def seen(self, left: float | None) -> None:
        """A caller's turn came with so many seconds left; None: without a deadline."""
        left = _FOR_EVER if left is None else left
        faded = _FADING * self.seconds if self.seconds <= _FOR_EVER else 0.0
        self.seconds = max(left, faded)
