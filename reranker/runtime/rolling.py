"""A reload that replaces workers one by one, each by one that is warm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reranker.errors import InvalidInput, Violation
from reranker.runtime.configuration import Configuration, flag_of
from reranker.runtime.inputs import Inputs
from reranker.runtime.settings import Settings
from reranker.runtime.slots import Slot

_FIXED = ("listen", "admin", "workers", "port_per_worker", "ledger")


@dataclass
class Roll:
    """The slots that are still to be done, and what to go back to while none has been."""

    slots: list[Slot]
    before: tuple[Configuration, Inputs]
    begun: int = 0

    def next_slot(self) -> Slot:
        """The slot whose turn it is."""
        self.begun += 1
        return self.slots.pop(0)

    @property
    def replaced(self) -> int:
        """How many slots have a new worker, when the one whose turn it is fails."""
        return self.begun - 1


def fresh_configuration(read_again: Callable[[], Configuration], now: Settings) -> Configuration:
    """The configuration as it is now in the file. Raises `InvalidInput`, also where what it changes needs a restart."""
    fresh = read_again()
    changed = [name for name in _FIXED if getattr(fresh.settings, name) != getattr(now, name)]
    if changed:
        reason = "cannot change while the server runs: stop it and start it anew"
        raise InvalidInput([Violation(flag_of(name), reason) for name in changed])
    return fresh
