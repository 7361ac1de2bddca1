"""Whom the store tells what happens to it; the metrics listen."""

from __future__ import annotations

from typing import Protocol


class StoreListener(Protocol):
    """Hears of every round trip and of every change of a server's state, from whichever thread it happens in."""

    def store_answered(self, seconds: float) -> None:
        """A round trip took so long, whatever came of it."""

    def store_failed(self, reason: str) -> None:
        """Some of a round trip's commands got no answer, or a wrong one; told once for each reason."""

    def store_changed(self, place: str, well: bool) -> None:
        """A server is well again, or calls on it fail at once from now on."""


class Silent:
    """Nobody listens."""

    def store_answered(self, seconds: float) -> None:
        """Nothing happens."""

    def store_failed(self, reason: str) -> None:
        """Nothing happens."""

    def store_changed(self, place: str, well: bool) -> None:
        """Nothing happens."""
