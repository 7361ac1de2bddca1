"""Reloads: everything is read anew, and workers are replaced one by one, each by one that is warm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from reranker.errors import InvalidInput, Violation
from reranker.observability.logs import configure, log
from reranker.runtime.configuration import Configuration, flag_of
from reranker.runtime.inputs import Inputs
from reranker.runtime.settings import Settings
from reranker.runtime.slots import Slot

_FIXED = ("listen", "admin", "workers", "port_per_worker", "ledger", "store")


class Generation(NamedTuple):
    """What workers are made of."""

    configuration: Configuration
    inputs: Inputs

    @classmethod
    def read(cls, configuration: Configuration) -> Generation:
        """All that the settings name, read. Raises `InvalidInput` and `BadCatalog`."""
        return cls(configuration, Inputs(configuration.settings))

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return self.configuration.settings


class Rolling:
    """Replaces the workers of `slots` when asked to, and says in `note` how the last time went.

    New workers are made of `generation`. `read_again` gives the configuration anew, `begin` starts a slot's successor.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        generation: Generation,
        read_again: Callable[[], Configuration],
        begin: Callable[[Slot], None],
    ) -> None:
        self.generation = generation
        self.note = ""
        self._slots = slots
        self._read_again, self._begin = read_again, begin
        self._left: list[Slot] | None = None  # None: no reload is under way
        self._before = generation
        self._is_asked = False
        self._is_open = False

    @property
    def serving(self) -> Generation:
        """What the service is made of: while a reload is under way, what it was made of before."""
        return self.generation if self._left is None else self._before

    def open(self) -> None:
        """The service is up: reloads may begin, also one that was asked for before."""
        self._is_open = True
        if self._is_asked:
            self.ask()

    def close(self) -> None:
        """The service stops: nobody is replaced from now on."""
        self._is_open, self._left, self._is_asked = False, None, False

    def ask(self) -> None:
        """Read everything anew, and replace the workers if it is sound; else say why not, and leave all as it is.

        While another reload is under way, or the start, it is done when that is.
        """
        self._is_asked = self._left is not None or not self._is_open
        if self._is_asked:
            return
        try:
            fresh = self._fresh_generation()
        except Exception as error:  # whatever it is, the service goes on
            log(logging.ERROR, "reload refused", error, problem=str(error))
            self._say("refused; the log says why")
            return
        log(logging.INFO, "reloading")
        self._say("under way")
        self._left = list(self._slots)
        self._before, self.generation = self.generation, fresh
        self.go_on()

    def go_on(self) -> None:
        """The slot whose turn it was has its new worker alone: take the next, or end."""
        if self._left is None:
            return
        if self._left:
            self._begin(self._left.pop(0))
            return
        configure(self.generation.settings.log_level)
        log(logging.INFO, "reloaded")
        self._end("done")

    def fail(self, problem: str) -> None:
        """A successor ended before it served: end here, and where it was the first, as if nobody had asked."""
        if self._left is None:
            return
        replaced = len(self._slots) - len(self._left) - 1
        log(logging.ERROR, "reload failed", problem=problem, replaced=replaced)
        if not replaced:
            self.generation = self._before
        self._end(f"failed after {replaced} of {len(self._slots)} workers; the log says why")

    def _end(self, note: str) -> None:
        self._left = None
        self._say(note)
        if self._is_asked:
            self.ask()

    def _fresh_generation(self) -> Generation:
        configuration, now = self._read_again(), self.generation.settings
        changed = [name for name in _FIXED if getattr(configuration.settings, name) != getattr(now, name)]
        if changed:
            reason = "cannot change while the server runs: stop it and start it anew"
            raise InvalidInput([Violation(flag_of(name), reason) for name in changed])
        fresh = Generation.read(configuration)
        fresh.inputs.check()
        return fresh

    def _say(self, note: str) -> None:
        self.note = f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {note}"
