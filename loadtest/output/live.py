"""A row for each second while it runs."""

from __future__ import annotations

from examples.display import Screen
from loadtest.output.words import milliseconds
from loadtest.results.outcome import Second

_COLUMNS = ("second", "due", "under way", "errors", "degraded", "p50 ms", "p99 ms", "max ms", "late ms", "server cores")
_ROWS = 60


class Live:
    """Prints rows for one run after another; of a long run every n-th second, so that a soak fits on some screens."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._every = 1

    def begin(self, title: str, seconds: float) -> None:
        """A new run."""
        self._every = max(1, round(seconds / _ROWS))
        self._screen.line()
        self._screen.line(self._screen.paint(title, "bold"))
        self._screen.line(self._screen.paint("  ".join(f"{name:>9}" for name in _COLUMNS), "dim"))

    def second(self, second: Second, under_way: int) -> None:
        """One second that is just over; what was due in it and is unanswered yet is under way."""
        if second.second % self._every:
            return
        cores = "–" if second.server_cores is None else f"{second.server_cores:.2f}"
        figures = [
            f"{second.second}{' warm' if second.warm_up else ''}",
            str(second.due),
            str(under_way),
            str(second.errors),
            str(second.degraded),
            *(milliseconds(value) for value in (second.p50, second.p99, second.longest, second.late_p99)),
            cores,
        ]
        self._screen.line("  ".join(f"{figure:>9}" for figure in figures))

    @staticmethod
    def silent(_: Second, __: int) -> None:
        """For runs of which only the end is shown."""

    def note(self, text: str) -> None:
        """A line between runs."""
        self._screen.line(text)
