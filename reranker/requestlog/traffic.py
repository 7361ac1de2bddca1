"""Request logs of any form, one after the other: files, folders of them, length-delimited or Parquet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError

from reranker.errors import InvalidInput, Violation
from reranker.requestlog import files
from reranker.v1.request_log_pb2 import RequestLog

SUFFIXES = (".rlog", ".rlog.gz", ".parquet")


def files_of(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that paths name, in order: of a folder all logs in it and below, by name; not what is being written.

    What is has a name, or lies in a folder of a name, that begins with a dot or, as Hive has it, with an underscore.
    Raises `InvalidInput` naming every path that is missing, and every folder without a log.
    """
    found: list[Path] = []
    wrong: list[Violation] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and _is_log(each.relative_to(path)))
            found += inside
            if not inside:
                wrong.append(Violation(str(path), f"holds no request log ({', '.join(SUFFIXES)})"))
        elif path.is_file():
            found.append(path)
        else:
            wrong.append(Violation(str(path), "is not there"))
    if wrong:
        raise InvalidInput(wrong)
    return found


def _is_log(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) and not any(part.startswith((".", "_")) for part in path.parts)


def records_of(paths: Sequence[Path]) -> Iterator[bytes]:
    """The records of these files as bytes, in order. Raises `InvalidInput` where one is damaged, `OSError`."""
    for path in paths:
        if path.suffix == ".parquet":
            from reranker.requestlog import parquet

            yield from parquet.read_bytes(path)
        else:
            yield from files.read_bytes(path)


def parsed(records: Iterable[bytes]) -> Iterator[RequestLog]:
    """The records as messages. Raises `InvalidInput` naming the first that is none."""
    for number, record in enumerate(records, start=1):
        try:
            yield RequestLog.FromString(record)
        except DecodeError:
            raise InvalidInput([Violation(f"record {number}", "is not a RequestLog message")]) from None


@dataclass(slots=True)
class Contents:
    """What is in some request logs. Times are seconds of the epoch, None where no record has one."""

    records: int = 0
    size: int = 0
    broken: int = 0
    first: float | None = None
    last: float | None = None
    candidates: list[int] = field(default_factory=lambda: [0, 0])  # in all, and the longest list
    by_reference: int = 0
    answered: int = 0
    refined: int = 0
    sampling_rates: Counter[float] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    surfaces: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    catalogs: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)

    def add(self, record: bytes) -> None:
        """Take one record in; bytes that are no record are counted."""
        self.records += 1
        self.size += len(record)
        try:
            log = RequestLog.FromString(record)
        except DecodeError:
            self.broken += 1
            return
        request, response = log.request, log.response
        if log.metadata.HasField("time"):
            time = log.metadata.time.ToNanoseconds() / 1e9
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)
        count = len(request.candidates.scores)
        self.candidates[0] += count
        self.candidates[1] = max(self.candidates[1], count)
        self.by_reference += request.candidates.HasField("catalog")
        self.answered += log.HasField("response")
        self.refined += bool(request.context.refinement)
        self.sampling_rates[log.metadata.sampling_rate] += 1
        self.kinds[log.metadata.kind] += 1
        self.surfaces[request.context.surface] += 1
        self.policies[response.policy_name or request.policy_name] += 1
        self.arms[response.arm] += 1
        self.origins[log.metadata.origin] += 1
        if response.catalog_version:
            self.catalogs[response.catalog_version] += 1
