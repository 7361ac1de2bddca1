"""The published policies as a server follows them: what the store last said, however long ago."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from reranker.errors import RegisterDamaged, StoreError, StoreLied
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.policy.register import NOTHING, Published, Register
from reranker.policy.register_store import StoredRegister
from reranker.runtime.settings import Settings

if TYPE_CHECKING:
    from reranker.store.store import Store

_SECONDS = 1.0  # that one look at the store may take, beside the requests


class PublishedPolicies:
    """Reads the store's register when it is told to. Where that fails, what was read before holds.

    `register` is the last one that was read whole, `problem` why there is no newer one: empty where nothing is wrong,
    or where the store is merely away.
    """

    def __init__(self, stored: StoredRegister, metrics: Metrics) -> None:
        self._stored, self._metrics = stored, metrics.policies
        self.register = Register()
        self.problem = ""
        self._said = ""
        self._read_at = time.monotonic()
        self._metrics.follow_register(lambda: time.monotonic() - self._read_at)

    def look(self) -> None:
        """Read what is new; say once what is wrong."""
        try:
            register = self._stored.follow(self.register)
        except (RegisterDamaged, StoreLied) as error:
            self.problem = str(error)
            self._say(logging.ERROR, "published policies refused")
            return
        except StoreError as error:
            self._say(logging.WARNING, f"published policies cannot be read: {error.reason}")
            return
        self._read_at, self.problem = time.monotonic(), ""
        if self.register.lines and not register.lines:
            self._say(logging.ERROR, "published policies are gone from the store; the last ones serve")
            return
        self._say(logging.INFO, "")
        if register.head != self.register.head:
            if register.lines[: len(self.register.lines)] != self.register.lines:
                log(logging.WARNING, "the register of published policies is another one", lines=len(register.lines))
            self.register = register
        self._metrics.register_read(len(register.lines))

    def published(self) -> Published:
        """What the register comes to. Raises `InvalidInput` where this release cannot serve it."""
        return self.register.published() if self.register.lines else NOTHING

    def _say(self, level: int, event: str) -> None:
        if event and event != self._said:
            log(level, event, problem=self.problem, serving_line=len(self.register.lines))
        self._said = event


def make_published(store: Store | None, settings: Settings, metrics: Metrics) -> PublishedPolicies | None:
    """The published policies of a store; None where there is none."""
    if store is None:
        return None
    stored = StoredRegister(store, _SECONDS, prefix=settings.store_prefix, two_persons=settings.production)
    return PublishedPolicies(stored, metrics)
