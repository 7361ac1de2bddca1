"""The catalog that serves now, and how it gives way to the next version without anybody waiting."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from reranker.candidates import Id
from reranker.errors import BadCatalog
from reranker.signals.catalog import Catalog
from reranker.signals.erased import add_erased, mark_of, read_erased
from reranker.signals.folder import current_file


class Shelf:
    """The current version of a folder. Safe to read from many threads while one refreshes it.

    Whoever takes `catalog` keeps that version as long as he holds it, and its file is unmapped when nobody does. Raises
    `BadCatalog` when the folder has no current version that can be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = Catalog.open(folder, check=False)
        self._mark, self._hiding = (0, 0, 0), threading.Lock()

    def check(self) -> None:
        """Read all of the version that the shelf began with, before anything is looked up; raises `BadCatalog`."""
        self.catalog.check()
        self._hide()

    def refresh(self) -> bool:
        """Serve the folder's current version from now on, if it is another; whether it is.

        It is read and checked from end to end first, so nobody meets a damaged one and no request waits for the disk.
        Raises `BadCatalog`, and the version that served goes on.
        """
        self._hide()
        file = current_file(self.folder)
        if file == self.catalog.path:
            return False
        try:
            fresh = Catalog.open(file)
        except BadCatalog:
            if current_file(self.folder) != file:  # a newer one came, and this one went, while it was being read
                return False
            raise
        if fresh.has_numbers != self.catalog.has_numbers:
            kinds = ("text", "numbers")
            reason = (
                f"has ids that are {kinds[fresh.has_numbers]}, where {kinds[self.catalog.has_numbers]} serve: callers "
                "would be refused; start a server of its own with it"
            )
            raise BadCatalog(fresh.path, reason)
        with self._hiding:
            self._mark = mark_of(self.folder)
            fresh.hide(read_erased(self.folder))
            self.catalog = fresh
        return True

    def erase(self, ids: Sequence[Id]) -> None:
        """Hide items here at once, in other processes as soon as they look, and from the builds to come.

        Raises `OSError` when the folder cannot be written, and `BadCatalog` when its file of erased ids is none.
        """
        add_erased(self.folder, ids)
        self._hide()

    def _hide(self) -> None:
        """Hide what the folder says was erased, if it says something new."""
        with self._hiding:
            mark = mark_of(self.folder)
            if mark != self._mark:
                self.catalog.hide(read_erased(self.folder))
                self._mark = mark
