"""What a server reads before it serves: policies, keys of cursors, the catalog, its certificate, its tokens."""

from __future__ import annotations

import logging

from reranker.engine.seal import PROCESS, Seals
from reranker.errors import BadCatalog, InvalidInput
from reranker.observability.logs import log
from reranker.policy.folder import Folder
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.keys import read_seals
from reranker.runtime.security import read_tokens
from reranker.runtime.settings import Settings
from reranker.runtime.tls import Certificate
from reranker.signals import Shelf


class Inputs:
    """All that `settings` name, read and sound. Raises `InvalidInput` for bad policies and keys, and `BadCatalog`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder, self.book = _policies(settings)
        self.seals: Seals = PROCESS if settings.cursor_key_file is None else read_seals(settings.cursor_key_file)
        self.shelf = None if settings.catalog is None else Shelf(settings.catalog)
        self.certificate = Certificate.read(settings)
        self.tokens = read_tokens(settings)
        self._checked = False

    def check(self) -> None:
        """Read the catalog from end to end, the first time that this is asked. Raises `BadCatalog`."""
        if self.shelf is not None and not self._checked:
            self.shelf.check()
        self._checked = True

    def renew(self) -> None:
        """Take what is on disk now, for a worker that starts long after its siblings.

        Where one of them is bad, what was read of it before goes on: a mistake in a file must keep neither a crashed
        worker down nor a token alive that was taken away.
        """
        parts = (
            self._renew_policies,
            self._renew_seals,
            self._renew_certificate,
            self._renew_tokens,
            self._renew_shelf,
        )
        for renew in parts:
            try:
                renew()
            except (InvalidInput, BadCatalog) as error:
                log(logging.ERROR, "files refused", problem=str(error), serving="what was read before")

    def _renew_policies(self) -> None:
        self.folder, self.book = _policies(self._settings)

    def _renew_seals(self) -> None:
        if self._settings.cursor_key_file is not None:
            self.seals = read_seals(self._settings.cursor_key_file)

    def _renew_certificate(self) -> None:
        self.certificate = Certificate.read(self._settings)

    def _renew_tokens(self) -> None:
        self.tokens = read_tokens(self._settings)

    def _renew_shelf(self) -> None:
        if self.shelf is not None:
            self.shelf.refresh()


def _policies(settings: Settings) -> tuple[Folder | None, PolicyBook]:
    """The folder as it was read, and the policies that it makes."""
    folder = None if settings.policies is None else Folder.read(settings.policies)
    return folder, PolicyBook() if folder is None else PolicyBook.of(folder)
