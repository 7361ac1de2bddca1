"""How long callers wait for an answer, and with that how long a call may wait for its turn."""

from __future__ import annotations

import threading

_FADING = 0.99  # of what the most patient caller gave, with each caller who gives less
_FOR_EVER = 3_600.0  # seconds that a caller without a deadline waits
_SLACK = 2.0  # times that the wait is reckoned with: waits are means, and so is what comes after


class Turn(threading.local):
    """When the call that this thread works on arrived, on `time.perf_counter()`; None where nobody knows."""

    came: float | None = None


TURN = Turn()


class Patience:
    """The most seconds that callers gave lately, from their arrival to their deadline.

    When a call arrives its deadline is not known yet: gRPC tells it when a thread is there for it. What those before it
    gave is.
    """

    def __init__(self) -> None:
        self.seconds = float("inf")

    def seen(self, given: float | None) -> None:
        """A caller gave so many seconds; None: it has no deadline."""
        given = _FOR_EVER if given is None else given
        faded = _FADING * self.seconds if self.seconds <= _FOR_EVER else 0.0
        self.seconds = max(given, faded)

    def ends_before(self, wait: float, work: float) -> bool:
        """Whether nobody is that patient: who waits so many seconds for a thread that then takes so many for it."""
        return _SLACK * wait + work > self.seconds
