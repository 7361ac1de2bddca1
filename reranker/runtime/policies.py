"""The policies while the server runs: a thread looks whether folder or register changed, and takes that over whole."""

from __future__ import annotations

import datetime
import logging
import threading
from time import perf_counter
from typing import Any

from reranker.errors import InvalidInput
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.policy.compile import subjects, warm
from reranker.policy.folder import Folder
from reranker.policy.register import NOTHING, Published
from reranker.policy.review import overdue
from reranker.policy.snapshots import PolicyBook
from reranker.runtime.published import PublishedPolicies
from reranker.service.policies import PolicyDesk

_SECONDS = 1.0  # between two looks, each of which reads some small files, and a line of the register
_LISTED = 50  # mistakes in one line of the log


class PolicyWatch:
    """Keeps a desk's book current from `start` to `close`.

    A change of the folder is taken over when two looks in a row have read the same, so that nobody meets half of what
    is being copied. A change serves as a whole, compiled, from one request to the next, or not at all: where anything
    is wrong with it, the last good book serves on.
    """

    def __init__(
        self,
        desk: PolicyDesk,
        folder: Folder | None,
        metrics: Metrics,
        published: PublishedPolicies | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        """Keep what `desk` has, which was made of `folder`; what is `published` takes the place of what is there."""
        self._desk, self._published = desk, published
        self._metrics, self._quality, self._seconds = metrics.policies, metrics.quality, seconds
        self._folder = self._seen = folder
        self._decided: tuple[Folder | None, bytes] = (folder, b"")
        self._is_refused = False
        self._ignored: tuple[int, ...] = ()
        self._reviewed = datetime.date.min
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="policies", daemon=True)

    def start(self) -> None:
        """Compile what serves, say so, take over what is published, and begin to look."""
        warm(self._desk.book.policies())
        self._say_what_serves(self._desk.book)
        self._look_whatever_happens()
        if self._folder is not None or self._published is not None:
            self._thread.start()

    def close(self) -> None:
        """Look no more; returns at once."""
        self._end.set()

    def look(self) -> None:
        """Take a change over if there is one; say whose review is due, once a day."""
        self._say_what_is_due(self._desk.book)
        self._look_at_the_folder()
        if self._published is not None:
            self._published.look()
        head = self._published.register.head if self._published is not None else b""
        if (self._folder, head) == self._decided:
            self._metrics.refuse(self._is_refused or self._lies)
            return
        self._decided = (self._folder, head)
        began = perf_counter()
        try:
            published = self._published.published() if self._published is not None else NOTHING
            book = PolicyBook.of(self._folder, published)
            warm(book.policies())
        except InvalidInput as error:
            self._refuse(error)
            return
        self._say_what_is_ignored(published)
        self._is_refused = False
        self._metrics.refuse(self._lies)
        if book.revision != self._desk.book.revision:
            self._desk.book = book
            self._metrics.reloaded("loaded")
            self._say_what_serves(book, perf_counter() - began)

    def _look_at_the_folder(self) -> None:
        if self._seen is None:
            return
        read = Folder.read(self._seen.path)
        if read == self._seen:
            self._folder = read
        self._seen = read

    @property
    def _lies(self) -> bool:
        """Whether the register has something that cannot be."""
        return self._published is not None and bool(self._published.problem)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            self._look_whatever_happens()

    def _look_whatever_happens(self) -> None:
        try:
            self.look()
        except Exception as error:  # the last good book serves on, and the next change may be better
            self._count_refusal()
            log(logging.ERROR, "looking for new policies failed", error)

    def _count_refusal(self) -> None:
        self._is_refused = True
        self._metrics.reloaded("refused")
        self._metrics.refuse(True)

    def _refuse(self, error: InvalidInput) -> None:
        self._count_refusal()
        log(
            logging.ERROR,
            "policies refused",
            mistakes=[str(violation) for violation in error.violations[:_LISTED]],
            count=len(error.violations),
            serving=self._desk.book.revision,
        )

    def _say_what_serves(self, book: PolicyBook, seconds: float | None = None) -> None:
        routes = book.routes.revision if book.routes else ""
        self._metrics.serve([(policy.name, policy.revision) for policy in book.policies()], routes, book.revision)
        self._quality.serve({policy.name: subjects(policy) for policy in book.policies()})
        fields: dict[str, Any] = {"revision": book.revision, "policies": len(book.names()), "routes": routes}
        if self._published is not None:
            fields["register_line"] = len(self._published.register.lines)
        if seconds is not None:
            fields["seconds"] = round(seconds, 3)
        log(logging.INFO, "policies serve", **fields)
        self._reviewed = datetime.date.min
        self._say_what_is_due(book)

    def _say_what_is_due(self, book: PolicyBook) -> None:
        today = datetime.datetime.now(datetime.UTC).date()
        if today == self._reviewed:
            return
        self._reviewed = today
        names = overdue(book.policies(), today)
        self._metrics.overdue(names)
        for name in names:
            about = book.get(name).message.about
            log(logging.WARNING, "policy review overdue", policy=name, review_by=about.review_by, owner=about.owner)

    def _say_what_is_ignored(self, published: Published) -> None:
        for line in published.ignored:
            if line not in self._ignored:
                why = "in production nobody approves what he published himself"
                log(logging.WARNING, "line of the register ignored", register_line=line, why=why)
        self._ignored = published.ignored
