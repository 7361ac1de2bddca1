"""A run on disk: what it is, and its results shard by shard. Whatever is there under its final name is whole.

manifest.json               what is replayed, by which policies: a run goes on only as what it was
results/00000000.parquet    the rows of so many consecutive requests; the same bytes on every run
timings/00000000.parquet    what the engine took; another measurement on every run
answers/00000000.parquet    what servers answered, where the run asks any
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reranker.errors import InvalidInput, MissingExtra, Violation
from reranker.replay.answers import Answer
from reranker.replay.arrow import ANSWERS, RESULTS, TIMINGS, answers_in
from reranker.replay.results import Results
from reranker.requestlog.whole import whole

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtra("pyarrow", "parquet") from None

_REQUESTS = 2_000  # that a comparison has in memory at once
_MANIFEST, _RESULTS, _TIMINGS, _ANSWERS = "manifest.json", "results", "timings", "answers"
_SCHEMAS = {_RESULTS: RESULTS, _TIMINGS: TIMINGS, _ANSWERS: ANSWERS}


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run is. Raises `InvalidInput` where there is none."""
        try:
            tree: dict[str, Any] = json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidInput([Violation(str(self.path), "holds no run: it has no manifest.json")]) from None
        except ValueError:
            raise InvalidInput([Violation(str(self.path / _MANIFEST), "is not JSON")]) from None
        return tree

    def begin(self, manifest: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Make the folder that of this run, or find that it is already.

        Raises `InvalidInput` saying what differs where it is another run's; `fresh` deletes that run's results first.
        """
        if fresh and (self.path / _MANIFEST).exists():
            for shard in self._shards():
                shard.unlink()
            self._tidy()
            (self.path / _MANIFEST).unlink()  # last: what is left without it would be taken for no run's
        if (self.path / _MANIFEST).exists():
            known = self.manifest
            different = sorted(key for key in {*known, *manifest} if known.get(key) != manifest.get(key))
            if different:
                reason = (
                    f"holds another run ({', '.join(different)} differ): name another folder, or begin anew (--fresh)"
                )
                raise InvalidInput([Violation(str(self.path), reason)])
            self._tidy()
            return
        if any(self._shards()):
            reason = "holds results without the manifest.json that says of what: name another folder"
            raise InvalidInput([Violation(str(self.path), reason)])
        for name in (_RESULTS, _TIMINGS):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
        with whole(self.path / _MANIFEST) as path:
            path.write_text(text, encoding="utf-8")

    def _tidy(self) -> None:
        """Delete what processes were writing when they were killed."""
        for partial in self.path.glob("*/.*.partial"):
            writer = partial.name.split(".")[-2]
            if not Path(f"/proc/{writer}").exists():
                partial.unlink(missing_ok=True)

    def done(self, count: int) -> list[bool]:
        """Which of the first `count` shards are there."""
        return [self._shard(_RESULTS, number).exists() for number in range(count)]

    def put(self, number: int, results: pa.RecordBatch, timings: pa.RecordBatch) -> None:
        """Keep one shard; results last, because they are what says that it is done."""
        for name, batch in ((_TIMINGS, timings), (_RESULTS, results)):
            with whole(self._shard(name, number)) as path:
                pq.write_table(pa.Table.from_batches([batch]), path, compression="zstd")

    def answered(self, count: int) -> list[bool]:
        """Of which of the first `count` shards the answers of servers are there."""
        return [self._shard(_ANSWERS, number).exists() for number in range(count)]

    def put_answers(self, number: int, answers: pa.Table) -> None:
        """Keep what servers answered to one shard."""
        (self.path / _ANSWERS).mkdir(exist_ok=True)
        with whole(self._shard(_ANSWERS, number)) as path:
            pq.write_table(answers, path, compression="zstd")

    def answers(self, numbers: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
        """What servers answered to these shards."""
        return pa.concat_tables(self._tables(_ANSWERS, numbers, columns))

    def answered_to(self, ordinals: Iterable[int]) -> dict[tuple[int, str], Answer]:
        """What servers made of these requests and of those beside them, by place in the traffic and label."""
        size = self.manifest["shard_size"]
        return answers_in(self.answers(sorted({ordinal // size for ordinal in ordinals})))

    def read(self) -> tuple[pa.Table, pa.Table]:
        """The results and timings of all shards, in order, in memory. Raises `InvalidInput` where some are missing."""
        count = self._complete()
        found = [pa.concat_tables(self._tables(name, range(count))) for name in (_RESULTS, _TIMINGS)]
        return found[0], found[1]

    def results(self, full: Collection[str] | None = None) -> Results:
        """The whole run, by policy; memory hardly grows with it. Raises `InvalidInput` where it is not complete.

        Of policies that are not in `full` (default: all are) only what price and trade-off need is kept.
        """
        from reranker.replay.reading import gathered

        count, size = self._complete(), self.manifest["shard_size"]
        together = max(1, _REQUESTS // size)

        def parts(names: Sequence[str]) -> Iterator[pa.Table]:
            for first in range(0, count, together):
                yield pa.concat_tables(self._tables(_RESULTS, range(first, min(first + together, count)), names))

        timings = (table for number in range(count) for table in self._tables(_TIMINGS, [number]))
        return gathered(parts, self.manifest["records"], timings, full=full, scratch=self.path)

    def _complete(self) -> int:
        """How many shards there are. Raises `InvalidInput` where some are missing."""
        manifest = self.manifest
        count = number_of_shards(manifest["records"], manifest["shard_size"])
        left = count - sum(self.done(count))
        if left:
            reason = (
                f"is not complete, {left} of {count} shards are missing: run `reranker replay` again and it goes on"
            )
            raise InvalidInput([Violation(str(self.path), reason)])
        return count

    def _tables(self, name: str, numbers: Iterable[int], columns: Sequence[str] | None = None) -> list[pa.Table]:
        schema = _SCHEMAS[name]
        wanted = None if columns is None else list(columns)
        found = [pq.read_table(self._shard(name, number), schema=schema, columns=wanted) for number in numbers]
        return found or [schema.empty_table() if wanted is None else schema.empty_table().select(wanted)]

    def _shards(self) -> Iterator[Path]:
        for name in _SCHEMAS:
            yield from (self.path / name).glob("[0-9]*.parquet")

    def _shard(self, name: str, number: int) -> Path:
        return self.path / name / f"{number:08d}.parquet"


def number_of_shards(records: int, size: int) -> int:
    """How many shards of `size` so many records make."""
    return -(-records // size)
