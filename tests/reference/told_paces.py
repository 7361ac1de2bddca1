"""Paces that are told how long things take: tests choose the rung, whatever the machine is busy with."""

from __future__ import annotations

from collections.abc import Hashable

from reranker.engine import Pace, Paces
from reranker.slate import Rung

LADDER = tuple(Rung)
_AGES = 1e6


class _Told(Pace):
    """Always the same, and never tried against it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._told = seconds

    def expected(self, work: int) -> float | None:
        """What it was told."""
        return self._told

    def may_try(self) -> bool:
        """Never."""
        return False


class ToldPaces(Paces):
    """Every rung above `rung` takes ages; `strategy` is the policy's own."""

    def __init__(self, rung: Rung, strategy: str) -> None:
        super().__init__()
        self._rung, self._strategy = rung, strategy

    def of(self, kind: Hashable) -> Pace:
        """Ages, or no time."""
        assert isinstance(kind, tuple)
        if kind[0] == "answer":
            return _Told(0.0)
        slow = LADDER.index(self._rung_of(kind[0], kind[2])) < LADDER.index(self._rung)
        return _Told(_AGES if slow else 0.0)

    def _rung_of(self, strategy: str, windowed: bool) -> Rung:
        if strategy == self._strategy:
            return Rung.WINDOW if windowed else Rung.WHOLE
        return Rung.MMR if strategy == "mmr" else Rung.QUOTAS
