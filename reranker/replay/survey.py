"""One look at all of the traffic before a run: how much there is, and a digest by which it is known again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from reranker.requestlog.traffic import records_of


@dataclass(frozen=True, slots=True)
class Traffic:
    """Some request logs, read in order, up to `limit` records where there is a limit."""

    files: tuple[Path, ...]
    limit: int | None = None

    def records(self) -> Iterator[bytes]:
        """Every record, as the bytes of its message. Raises `InvalidInput` where a file is damaged, `OSError`."""
        return islice(records_of(self.files), self.limit)


@dataclass(frozen=True, slots=True)
class Survey:
    """How many records there are, and a digest of all of them: equal traffic in other files is equal."""

    records: int
    digest: str

    @classmethod
    def of(cls, traffic: Traffic) -> Survey:
        """Reads everything once; what is read is not kept."""
        digest, count = blake2b(digest_size=16), 0
        for record in traffic.records():
            digest.update(len(record).to_bytes(8, "little"))
            digest.update(record)
            count += 1
        return cls(count, digest.hexdigest())


def shards(records: Iterator[bytes], size: int, done: Sequence[bool]) -> Iterator[tuple[int, list[bytes]]]:
    """Consecutive records in shards of `size`, with the number of each; those that are done are passed over."""
    number = 0
    while shard := list(islice(records, size)):
        if number >= len(done) or not done[number]:
            yield number, shard
        number += 1
