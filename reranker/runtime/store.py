"""The store while the server runs: what happens to it goes to the metrics, and to the log when it changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reranker.candidates import Id
from reranker.errors import BadCatalog
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.runtime.settings import Settings
from reranker.signals import Shelf
from reranker.signals.stored import StoredItems, StoredSettings

if TYPE_CHECKING:
    from reranker.store.store import Store

SECONDS_TO_COME_UP = 1.0  # that a start waits for a store, which may be away


def make_store(settings: Settings, metrics: Metrics) -> Store | None:
    """The store that the settings name, not started; None when they name none."""
    if settings.store is None:
        return None
    from reranker.store.store import Store  # redis takes a tenth of a second, and many servers have no store

    return Store(
        settings.store.with_files(settings.store_password_file, settings.store_ca),
        # One for each thread that answers requests, and some for what works beside them: nobody waits for another.
        connections=settings.worker_threads + settings.streams + 8,
        timeout=settings.store_timeout,
        listener=_Reporter(metrics),
    )


def make_items(settings: Settings, store: Store | None, metrics: Metrics) -> StoredItems | None:
    """The items in the store, not started; None where the settings leave them out."""
    if store is None or not settings.store_items:
        return None
    items = StoredItems(
        store,
        StoredSettings(
            settings.store_prefix,
            settings.store_items_cache,
            settings.store_items_fresh,
            settings.store_items_stale,
            settings.store_items_keep,
        ),
    )
    metrics.items.watch(lambda: items.cache.size, lambda: time.monotonic() - items.read_feed_at)
    return items


def keep_erased(shelf: Shelf) -> Callable[[Sequence[Id]], None]:
    """What writes ids that any server erased into the folder of this one's catalog.

    So they stay hidden here when the store loses its tombstones, or cannot be asked for them.
    """
    said: set[str] = set()

    def keep(ids: Sequence[Id]) -> None:
        try:
            shelf.erase(ids)
        except (OSError, BadCatalog) as error:
            problem = error.strerror or "" if isinstance(error, OSError) else str(error)
            if problem not in said:
                log(logging.WARNING, "erased items cannot be noted beside the catalog", problem=problem)
                said.add(problem)

    return keep


class _Reporter:
    """Tells metrics and log."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics.store
        self._down: set[str] = set()

    def store_answered(self, seconds: float) -> None:
        """A round trip has ended."""
        self._metrics.answered(seconds)

    def store_failed(self, reason: str) -> None:
        """Some of it failed."""
        self._metrics.failed(reason)

    def store_changed(self, place: str, well: bool) -> None:
        """A server comes or goes."""
        (self._down.discard if well else self._down.add)(place)
        self._metrics.servers_down(len(self._down))
        log(logging.INFO if well else logging.WARNING, "store answers" if well else "store is unavailable", at=place)
