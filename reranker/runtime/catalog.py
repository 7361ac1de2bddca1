"""The catalog while the server runs: a thread looks whether its folder has a new version, and takes it over."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from time import perf_counter
from typing import Any

from reranker.errors import BadCatalog
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.signals import Shelf

_SECONDS = 1.0  # between two looks, each of which reads one small file


class CatalogWatch:
    """Refreshes a shelf from `start` to `close`. A version that is refused is logged once; the last good one serves."""

    def __init__(self, shelf: Shelf, metrics: Metrics, seconds: float = _SECONDS) -> None:
        self._shelf, self._metrics, self._seconds = shelf, metrics, seconds
        self._end = threading.Event()
        self._refused = ""
        self._thread = threading.Thread(target=self._run, name="catalog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._say_what_serves()
        self._thread.start()

    def close(self) -> None:
        """Look no more; returns at once, even while a version is being read."""
        self._end.set()

    def look(self) -> None:
        """Take a new version over if there is one."""
        started = perf_counter()
        try:
            is_new = self._shelf.refresh()
        except BadCatalog as error:
            self._refuse(str(error))
            return
        self._refused = ""
        if is_new:
            self._metrics.catalog_loaded("loaded")
            self._say_what_serves(perf_counter() - started)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # whatever it is, the next version may be better
                log(logging.ERROR, "looking for a new catalog failed", error)

    def _refuse(self, problem: str) -> None:
        if problem == self._refused:
            return
        self._refused = problem
        self._metrics.catalog_loaded("refused")
        log(logging.ERROR, "catalog refused", problem=problem, serving=self._shelf.catalog.version)

    def _say_what_serves(self, seconds: float | None = None) -> None:
        catalog = self._shelf.catalog
        fields: dict[str, Any] = {"version": catalog.version, "items": len(catalog), "bytes": catalog.size}
        if seconds is not None:
            fields["seconds"] = round(seconds, 3)
        built = datetime.fromisoformat(catalog.manifest.built).timestamp()
        self._metrics.catalog_serves(len(catalog), built)
        log(logging.INFO, "catalog serves", **fields)
