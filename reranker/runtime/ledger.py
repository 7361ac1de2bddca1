"""The exposure ledger while the server runs: where it is kept, and a thread that keeps the local view of it fresh."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reranker.errors import BadLedger
from reranker.exposure.board import Board
from reranker.exposure.ledger import Ledger, LedgerUnavailable
from reranker.exposure.sqlite import SqliteLedger
from reranker.exposure.standing import Groups, shares_of, shown_groups
from reranker.exposure.tally import GroupTally
from reranker.observability.exposure import Standing
from reranker.observability.logs import log
from reranker.observability.metrics import Metrics
from reranker.policy import Policy
from reranker.runtime.settings import Settings
from reranker.service.exposure import LedgerFeed

if TYPE_CHECKING:
    from reranker.store.store import Store

_PREFIX, _LOCK = "reranker-ledger-", "in-use"
_SECONDS = 1.0  # between two looks
_READ_SECONDS = 1.0  # for one look
_STANDING_SHARE = 0.02  # of the time that may go into saying how groups stand


class TemporaryFolder:
    """A folder for a ledger that nobody asked to keep: it ends with the process that made it, and not with forks.

    One of a process that was killed is deleted by the next that makes one. Whether anybody lives who uses it is told by
    a lock on a file in it, which forks share and which ends with the last of them.
    """

    def __init__(self) -> None:
        try:
            _delete_orphans()
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = os.open(self.path / "new", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            (self.path / "new").rename(self.path / _LOCK)  # so that nobody finds it without its lock
        except OSError as error:
            reason = f"cannot be used for the exposure ledger: {error.strerror}; name a folder with --ledger"
            raise BadLedger(tempfile.gettempdir(), reason) from None
        self._owner = os.getpid()

    def close(self) -> None:
        """Delete it."""
        if os.getpid() == self._owner and self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _delete_orphans() -> None:
    """Delete the folders of this user that nobody uses any more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # somebody else's, in use, or somebody else was quicker
            if lock.parent.lstat().st_uid != os.getuid() or lock.parent.is_symlink():
                continue
            file = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(file)


class OpenLedger(NamedTuple):
    """A ledger, and the folder that ends with it, if there is one."""

    ledger: Ledger
    folder: TemporaryFolder | None = None

    def close(self) -> None:
        """Let go of both."""
        self.ledger.close()
        if self.folder is not None:
            self.folder.close()


def open_ledger(settings: Settings, store: Store | None = None) -> OpenLedger:
    """The ledger in the folder that the settings name, else in the store, else one that ends with this process.

    Raises `BadLedger`.
    """
    if settings.ledger is not None:
        return OpenLedger(SqliteLedger(settings.ledger, settings.ledger_memory))
    if store is not None:
        from reranker.exposure.redis import RedisLedger  # redis takes its time to import

        return OpenLedger(RedisLedger(store, settings.ledger_memory, prefix=settings.store_prefix))
    folder = TemporaryFolder()
    return OpenLedger(SqliteLedger(folder.path, settings.ledger_memory), folder)


class LedgerWatch:
    """Keeps a board fresh and a feed's spool short, from `start` to `close`; `policies` are those that serve."""

    def __init__(
        self,
        opened: OpenLedger,
        metrics: Metrics,
        policies: Callable[[], Iterable[Policy]],
        seconds: float = _SECONDS,
    ) -> None:
        self._opened = opened
        self.ledger, self.board = opened.ledger, Board()
        self.feed = LedgerFeed(self.ledger, self.board, metrics)
        self._policies, self._seconds = policies, seconds
        self._all_metrics, self._metrics = metrics, metrics.exposure
        self._metrics.watch(lambda: self.board.age, lambda: len(self.board.streams))
        self._trouble, self._next_standing = "", 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Look once, so that the first request knows what is known, and go on."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Look no more, and let go of the ledger; after the feed was closed."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join(_READ_SECONDS)
        self._opened.close()

    def look(self) -> None:
        """Take over what has changed, and write what waits."""
        try:
            damaged = self.board.refresh(self.ledger, _READ_SECONDS)
        except LedgerUnavailable as error:
            self._metrics.failed("read", error.reason)
            self._say(error.reason)
        else:
            self._say("")
            self._metrics.failed("read", "damaged", damaged)
            self._stand()
        self.feed.flush()

    def _stand(self) -> None:
        """Show how groups stand; the longer that takes, because there are many streams, the less often."""
        began = time.monotonic()
        if began >= self._next_standing:
            self._metrics.stand(self._standings())
            took = time.monotonic() - began
            self._next_standing = began + took / _STANDING_SHARE

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # whatever it is, the next look may be better
                log(logging.ERROR, "looking at the exposure ledger failed", error)

    def _say(self, trouble: str) -> None:
        if trouble and not self._trouble:
            log(logging.ERROR, "the exposure ledger cannot be read", cause=trouble)
        elif self._trouble and not trouble:
            log(logging.INFO, "the exposure ledger is read again")
        self._trouble = trouble

    def _standings(self) -> Iterator[Standing]:
        """The groups that policies name, over all surfaces and contexts, without those that are too small to show."""
        groups = {
            (group.policy, group.attribute, group.half_life): group
            for policy in self._policies()
            for group in shown_groups(policy)
        }
        sums: dict[tuple[Groups, str], list[Mapping[str, GroupTally]]] = defaultdict(list)
        for stream in self.board.streams:
            key = stream.key
            group = groups.get((key.policy, key.attribute, stream.half_life))
            tally = None if group is None else self.board.of(stream)
            if group is not None and tally is not None:
                arm = key.arm and self._all_metrics.policies.known(key.arm)
                sums[group, arm].append(tally.groups)
        for (group, arm), tallies in sums.items():
            for value, share, target in shares_of(tallies, group):
                yield Standing(group.policy, arm, group.attribute, value, share, target)
