"""The ledger in one SQLite file that all processes of a machine share: the default, without a server of its own."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reranker.errors import BadLedger
from reranker.exposure.decay import BUCKETS
from reranker.exposure.identity import is_remembered, is_secret, names_of, new_secret, period_of
from reranker.exposure.ledger import (
    MEMORY,
    STREAMS,
    Changes,
    Counts,
    Event,
    Impression,
    LedgerUnavailable,
    Position,
    Sum,
    seen_event,
    served_event,
)
from reranker.exposure.receipt import Amounts, Cell, Receipt, add_amounts
from reranker.exposure.stream import Stream, read_stream

FILE = "exposure.sqlite"
_FORMAT = 1
_PATIENCE = 5.0  # seconds that an opening waits for others who have the file
_FORGOTTEN_AT_ONCE = 2_000  # old requests deleted by one write: no write waits for a whole period's to go

_TABLES = f"""
create table if not exists ledger (birth blob not null, version integer not null);
insert into ledger select randomblob(16), 0 where not exists (select 1 from ledger);
create table if not exists periods (period integer primary key, secret blob not null);
create table if not exists requests (name blob primary key, period integer not null, state blob not null) without rowid;
create index if not exists requests_by_period on requests (period);
create table if not exists streams (stream blob primary key, words text not null) without rowid;
create table if not exists sums (
    stream blob not null, bucket integer not null, value text not null,
    exposure integer not null, target integer not null, items integer not null, price integer not null,
    relevance real not null, version integer not null, primary key (stream, bucket, value)
) without rowid;
create index if not exists sums_by_version on sums (version);
pragma user_version = {_FORMAT};
"""
_ADD = """
insert into sums values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set
    exposure = exposure + excluded.exposure, target = target + excluded.target, items = items + excluded.items,
    price = price + excluded.price, relevance = relevance + excluded.relevance, version = excluded.version
"""
_CHANGED = """
select words, bucket, value, exposure, target, items, price, relevance
from sums join streams using (stream) where version > ?
"""
_REMEMBER = "insert into requests values (?, ?, ?) on conflict do update set state = excluded.state"
_FORGET_REQUESTS = "delete from requests where name in (select name from requests where period < ? limit ?)"
_OLDEST_KEPT = "select distinct bucket from sums where stream = ? order by bucket desc limit 1 offset ?"


class SqliteLedger:
    """A ledger in `folder`, which must exist. `memory` is how many seconds a request id is known at least.

    A write is one transaction, on the disk when it returns: a process that is killed leaves all of it or nothing. Each
    process opens the file for itself, after it was forked. Raises `BadLedger` when the file cannot be used.
    """

    def __init__(self, folder: Path, memory: float = MEMORY, clock: Callable[[], float] = time.time) -> None:
        self.path = folder / FILE
        self._memory, self._clock = memory, clock
        self._lock = threading.Lock()
        self._file = (0, 0)
        try:
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            raise BadLedger(self.path, _words_of(error)) from None

    def record(self, receipts: Sequence[Receipt], seconds: float) -> Counts:
        """Credit slates that were served, in one transaction. O(receipts x slots x values)."""
        streams = {stream for receipt in receipts for stream in receipt.streams}
        return self._write([served_event(receipt) for receipt in receipts], streams, seconds)

    def record_impressions(self, impressions: Sequence[Impression], seconds: float) -> Counts:
        """Take back what was not seen, in one transaction. O(impressions x slots x values)."""
        return self._write([seen_event(one) for one in impressions], set(), seconds)

    def changes(self, since: Position, seconds: float) -> Changes:
        """What has changed since a position. O(changed sums); nothing is read when nothing has."""
        with self._using(seconds) as connection:
            birth, version = _position(connection)
            is_all = birth != since.birth or version < since.version
            rows = connection.execute(_CHANGED, (0 if is_all else since.version,)).fetchall()
        sums, damaged = dict[Sum, Amounts](), 0
        for row in rows:
            try:
                place, amounts = _line(row)
            except ValueError:
                damaged += 1
            else:
                sums[place] = amounts
        return Changes(Position(birth, version), is_all, sums, damaged=damaged)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _write(self, events: Sequence[Event], streams: set[Stream], seconds: float) -> Counts:
        counts, sums = Counts(), dict[Cell, Amounts]()
        with self._using(seconds) as connection:
            connection.execute("begin immediate")
            period = period_of(self._clock(), self._memory)
            keys = self._keys(connection, period)
            for request_id, step_from in events:
                names = names_of(request_id, keys, period)
                name, state = _found(connection, names) or (names[0], None)
                step = step_from(state)
                counts.count(step.outcome)
                if step.state is not None:
                    connection.execute(_REMEMBER, (name, period, step.state))
                    add_amounts(sums, step.amounts)
            self._add(connection, sums, streams)
            connection.execute(_FORGET_REQUESTS, (period - 1, _FORGOTTEN_AT_ONCE))
            connection.execute("commit")
        return counts

    def _keys(self, connection: sqlite3.Connection, period: int) -> dict[int, bytes]:
        """The keys that may have named a request, that of `period` among them; older ones are deleted."""
        held = connection.execute("select period, secret from periods").fetchall()
        known = {other: secret for other, secret in held if is_secret(secret)}  # another one is made for a damaged one
        if period not in known:
            known[period] = new_secret()
            connection.execute("insert or replace into periods values (?, ?)", (period, known[period]))
            connection.execute("delete from periods where period < ?", (period - 1,))
            _forget_streams(connection, self._clock())
        return {other: secret for other, secret in known.items() if is_remembered(other, period)}

    def _add(self, connection: sqlite3.Connection, sums: Mapping[Cell, Amounts], streams: set[Stream]) -> None:
        if not sums:
            return
        words = [(stream.digest, stream.text) for stream in streams]
        connection.executemany("insert into streams values (?, ?) on conflict do nothing", words)
        connection.execute("update ledger set version = version + 1")
        _, version = _position(connection)
        for stream, bucket in {(cell.stream, cell.bucket) for cell in sums}:
            _make_room(connection, stream, bucket)
        connection.executemany(_ADD, [(*cell, *amounts, version) for cell, amounts in sums.items()])

    @contextmanager
    def _using(self, seconds: float) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; whatever goes wrong undoes the transaction."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=max(0.0, seconds)):
            raise LedgerUnavailable("busy")
        try:
            self._follow()
            wait = max(0, round((end - time.monotonic()) * 1e3))
            self._connection.execute(f"pragma busy_timeout = {wait}")
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailable(_reason_of(error)) from None
        finally:
            with suppress(sqlite3.Error):  # of a file that is gone there is nothing to undo
                if self._connection.in_transaction:
                    self._connection.rollback()
            self._lock.release()

    def _follow(self) -> None:
        """Open what has the file's name now: one that was deleted or replaced would take writes that nobody reads."""
        if _identity(self.path) != self._file:
            old, self._connection = self._connection, self._open()
            old.close()

    def _open(self) -> sqlite3.Connection:
        # It holds the keys of hashes: nobody else's to read. SQLite's own files beside it take over its mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            (found,) = connection.execute("pragma user_version").fetchone()
            if found not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"it has format {found}, this release reads {_FORMAT}")
            _write_ahead(connection)
            connection.execute("pragma synchronous = full")
            if found == 0:
                connection.executescript(f"begin immediate; {_TABLES} commit;")
            self._file = _identity(self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer not wait for each other. Of several who open a new file at once, some try again.

    SQLite's own wait for others does not hold for this statement.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)


def _position(connection: sqlite3.Connection) -> tuple[bytes, int]:
    """The ledger's birth, and the number of the last change in it."""
    found = connection.execute("select birth, version from ledger").fetchone()
    if found is None or not (isinstance(found[0], bytes) and isinstance(found[1], int)):
        raise LedgerUnavailable("damaged")
    return found[0], found[1]


def _line(row: tuple[Any, ...]) -> tuple[Sum, Amounts]:
    """A line and where it belongs. Raises `ValueError` for a damaged one: SQLite keeps anything in any column."""
    words, bucket, value, *units, relevance = row
    numbers = all(isinstance(number, int) for number in (bucket, *units)) and isinstance(relevance, int | float)
    if not (numbers and isinstance(words, str) and isinstance(value, str)):
        raise ValueError("holds what was never written")
    exposure, target, items, price = units
    return Sum(read_stream(words), bucket, value), Amounts(exposure, target, items, price, float(relevance))


def _found(connection: sqlite3.Connection, names: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The name that a request has, and what is known of it; None when it is unknown."""
    marks = ", ".join("?" * len(names))
    for name, state in connection.execute(f"select name, state from requests where name in ({marks})", names):
        return name, state
    return None


def _make_room(connection: sqlite3.Connection, stream: bytes, bucket: int) -> None:
    """Forget the oldest bucket of a stream when it gets a new one and has as many as count.

    No clock is asked: one that is wrong would forget what is worth keeping.
    """
    if connection.execute("select 1 from sums where stream = ? and bucket = ? limit 1", (stream, bucket)).fetchone():
        return
    oldest = connection.execute(_OLDEST_KEPT, (stream, BUCKETS - 2)).fetchone()
    if oldest:
        connection.execute("delete from sums where stream = ? and bucket < ?", (stream, *oldest))


def _forget_streams(connection: sqlite3.Connection, now: float) -> None:
    """When there are very many streams, drop those that have decayed to nothing."""
    if connection.execute("select count(*) from streams").fetchone()[0] <= STREAMS // 2:
        return
    newest = "select stream, words, max(bucket) from streams left join sums using (stream) group by stream"
    for stream, words, bucket in connection.execute(newest).fetchall():
        if bucket is None or _ends(words, bucket) < now:
            connection.execute("delete from sums where stream = ?", (stream,))
            connection.execute("delete from streams where stream = ?", (stream,))


def _ends(words: str, bucket: int) -> float:
    """When a stream whose last bucket is this one has decayed to nothing; damaged words name none that could count."""
    try:
        return (bucket + 1 + BUCKETS) * read_stream(words).half_life
    except ValueError:
        return 0.0


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return status.st_dev, status.st_ino


_REASONS = {
    "SQLITE_BUSY": "busy",
    "SQLITE_LOCKED": "busy",
    "SQLITE_FULL": "full",
    "SQLITE_IOERR": "unreadable",
    "SQLITE_READONLY": "unwritable",
    "SQLITE_CANTOPEN": "unwritable",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
}


def _reason_of(error: Exception) -> str:
    if isinstance(error, OSError):
        return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "unwritable"
    name = str(getattr(error, "sqlite_errorname", ""))
    return next((reason for start, reason in _REASONS.items() if name.startswith(start)), "failed")


def _words_of(error: Exception) -> str:
    return f"cannot be used: {getattr(error, 'strerror', None) or error or type(error).__name__}"
