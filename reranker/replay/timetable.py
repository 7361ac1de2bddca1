"""When recorded requests were asked: all of several logs in the order of their times, whatever file each is in."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import DecodeError

from reranker.errors import InvalidInput, Violation
from reranker.replay.survey import Traffic
from reranker.requestlog.traffic import records_of
from reranker.v1.request_log_pb2 import RequestLog


class Timed(NamedTuple):
    """One record, the seconds of the epoch at which it was asked, and its place in the traffic."""

    seconds: float
    ordinal: int
    log: RequestLog | None
    """None where the record is no message."""


class _Opening(NamedTuple):
    """A log's first time, and which places in the traffic its records have."""

    seconds: float
    first: int
    records: int
    file: Path


def by_time(traffic: Traffic) -> Iterator[Timed]:
    """The records in the order of their times: workers record side by side, each in files of its own.

    Reads the traffic twice. A file is open from its first record to its last, and memory holds one record of each that
    is open. Within a file a time that goes back counts as the one before it. Raises `InvalidInput` where a record does
    not say when it was asked, or a file is damaged; `OSError`.
    """
    openings = _openings(traffic)
    waiting: list[tuple[float, int, Timed | None, int]] = [
        (opening.seconds, opening.first, None, number) for number, opening in enumerate(openings)
    ]
    heapq.heapify(waiting)
    readers: dict[int, Iterator[Timed]] = {}
    while waiting:
        _, _, timed, number = heapq.heappop(waiting)
        if timed is None:
            readers[number] = _timed(openings[number])
        else:
            yield timed
        following = next(readers[number], None)
        if following is None:
            del readers[number]
        else:
            heapq.heappush(waiting, (following.seconds, following.ordinal, following, number))


def by_turns(traffic: Traffic) -> Iterator[Timed]:
    """The records as they lie in the logs, for traffic that is not asked by its own times."""
    for ordinal, record in enumerate(traffic.records()):
        yield Timed(0.0, ordinal, _parsed(record))


def _openings(traffic: Traffic) -> Sequence[_Opening]:
    found: list[_Opening] = []
    seen = untimed = 0
    for file in traffic.files:
        left = None if traffic.limit is None else traffic.limit - seen
        first: float | None = None
        records = 0
        for record in islice(records_of([file]), left):
            log = _parsed(record)
            records += 1
            if log is not None and not log.metadata.HasField("time"):
                untimed += 1
            elif log is not None and first is None:
                first = _seconds(log)
        if records:
            found.append(_Opening(first or 0.0, seen, records, file))
        seen += records
    if untimed:
        reason = f"{untimed:,} of {seen:,} requests do not say when they were asked: say how many a second (--rate)"
        raise InvalidInput([Violation("LOG", reason)])
    return found


def _timed(opening: _Opening) -> Iterator[Timed]:
    latest = opening.seconds
    for at, record in enumerate(islice(records_of([opening.file]), opening.records)):
        log = _parsed(record)
        if log is not None:
            latest = max(latest, _seconds(log))
        yield Timed(latest, opening.first + at, log)


def _seconds(log: RequestLog) -> float:
    return log.metadata.time.ToNanoseconds() / 1e9


def _parsed(record: bytes) -> RequestLog | None:
    try:
        return RequestLog.FromString(record)
    except DecodeError:
        return None
