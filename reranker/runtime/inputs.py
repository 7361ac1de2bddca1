"""What a server reads before it serves: policies, keys of cursors, the catalog, its certificate, its tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from reranker.engine.seal import PROCESS, Seals
from reranker.errors import BadCatalog, FileViolation, InvalidInput, Violation
from reranker.observability.logs import log
from reranker.policy.folder import Folder
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.keys import read_seals
from reranker.runtime.security import read_tokens
from reranker.runtime.settings import Settings
from reranker.runtime.tls import Certificate
from reranker.service.tokens import Tokens
from reranker.signals import Shelf


class Inputs:
    """All that `settings` name, read and sound.

    Raises `InvalidInput` that names the mistakes of all files at once, or `BadCatalog` where the catalog alone is bad.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder: Folder | None = None
        self.book = PolicyBook()
        self.seals: Seals = PROCESS
        self.certificate: Certificate | None = None
        self.tokens: Tokens | None = None
        self.shelf: Shelf | None = None
        self._checked = False
        bad = [error for read in (*self._renewals, self._open_shelf) if (error := _mistakes_of(read)) is not None]
        if len(bad) == 1:
            raise bad[0]
        if bad:
            raise InvalidInput([violation for error in bad for violation in _in_their_files(error)])

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
        for renew in (*self._renewals, self._renew_shelf):
            error = _mistakes_of(renew)
            if error is not None:
                log(logging.ERROR, "files refused", problem=str(error), serving="what was read before")

    @property
    def _renewals(self) -> tuple[Callable[[], None], ...]:
        return self._renew_policies, self._renew_seals, self._renew_certificate, self._renew_tokens

    def _renew_policies(self) -> None:
        self.folder, self.book = _policies(self._settings)

    def _renew_seals(self) -> None:
        if self._settings.cursor_key_file is not None:
            self.seals = read_seals(self._settings.cursor_key_file)

    def _renew_certificate(self) -> None:
        self.certificate = Certificate.read(self._settings)

    def _renew_tokens(self) -> None:
        self.tokens = read_tokens(self._settings)

    def _open_shelf(self) -> None:
        if self._settings.catalog is not None:
            self.shelf = Shelf(self._settings.catalog)

    def _renew_shelf(self) -> None:
        if self.shelf is not None:
            self.shelf.refresh()


def _mistakes_of(read: Callable[[], None]) -> InvalidInput | BadCatalog | None:
    """What is wrong with that which `read` reads; None where it is sound."""
    try:
        read()
    except (InvalidInput, BadCatalog) as error:
        return error
    return None


def _in_their_files(error: InvalidInput | BadCatalog) -> list[Violation]:
    """The mistakes as they stand beside those of other files: each with the file it is in."""
    if isinstance(error, BadCatalog):
        return [Violation("catalog", str(error))]
    if not error.source:
        return list(error.violations)
    return [
        FileViolation(
            found.path,
            found.reason,
            found.line,
            str(Path(error.source, found.file)) if isinstance(found, FileViolation) else error.source,
        )
        for found in error.violations
    ]


def _policies(settings: Settings) -> tuple[Folder | None, PolicyBook]:
    """The folder as it was read, and the policies that it makes."""
    folder = None if settings.policies is None else Folder.read(settings.policies)
    return folder, PolicyBook() if folder is None else PolicyBook.of(folder)
