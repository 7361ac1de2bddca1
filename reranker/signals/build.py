"""Building a version: batches of items in, one file out, in memory that does not grow with the number of items.

What grows are the dictionaries of the attributes: every distinct value is held once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.errors import InvalidInput, Violation
from reranker.kernels.enter import enter_numbers, enter_texts
from reranker.signals.batches import Batch, BuildMistakes, Places
from reranker.signals.erased import read_erased
from reranker.signals.folder import NAME_RULE, SUFFIX, building, is_version_name, publish
from reranker.signals.layout import PRECISIONS, IdEntry, Manifest, TextSections
from reranker.signals.spools import IdSpool, LabelSpool, VectorSpool, offsets_of
from reranker.signals.writer import CatalogWriter

MOST_ITEMS = 1 << 30
MOST_CHARACTERS = 1_024  # of an id, a name or a value: longer ones could not be sent inline either
_LENGTH = f"must have 1 to {MOST_CHARACTERS} characters"
_REPEATS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Built:
    """A finished version. `left_out` items were in the input and in the list of those to leave out."""

    path: Path
    version: str
    items: int
    left_out: int
    size: int


def build_catalog(
    folder: Path,
    batches: Iterable[Batch],
    *,
    precision: str = "float32",
    without: Collection[Id] = frozenset(),
    version: str = "",
    keep: int = 2,
) -> Built:
    """Build a version from `batches`, make it the folder's current one and delete all but the `keep` newest.

    `precision` is "float32", "float16" or "int8", `without` ids to leave out, `version` its name (by default the time
    and a checksum). Raises `InvalidInput` naming every mistake of the input, and `BadCatalog` while another build is at
    work; either leaves the folder as it was. O(items (D + attributes)), on disk twice the size of the file meanwhile.
    """
    found = []
    if precision not in PRECISIONS:
        found.append(Violation("precision", f"must be one of {', '.join(PRECISIONS)}"))
    if version and not is_version_name(version):
        found.append(Violation("version", NAME_RULE))
    elif version and (folder / f"{version}{SUFFIX}").exists():
        found.append(Violation("version", "is there already, and versions never change: give another name"))
    if found:
        raise InvalidInput(found)
    with building(folder) as scratch:
        build = _Build(scratch, precision, frozenset(without).union(read_erased(folder)))
        try:
            for batch in batches:
                build.add(batch)
        except InvalidInput as error:  # what a reader cannot read, beside what is wrong with what it could
            raise build.mistakes.error(error.violations) from None
        target = scratch / "catalog"
        writer = CatalogWriter(target)
        try:
            manifest = build.leave(writer, version)
            size = writer.finish(manifest)
        finally:
            writer.close()
        path = publish(folder, target, manifest.version, keep)
    return Built(path, manifest.version, manifest.items, manifest.left_out, size)


class _Build:
    """What was read so far."""

    def __init__(self, scratch: Path, precision: str, without: frozenset[Id]) -> None:
        self._scratch, self._precision, self._without = scratch, precision, without
        self._ids = IdSpool(self._folder("ids"))
        self._vectors: dict[str, VectorSpool] = {}
        self._labels: dict[str, LabelSpool] = {}
        self.mistakes = BuildMistakes()
        self._places: list[tuple[int, Places]] = []  # of the items from a row on
        self._left_out = 0

    def add(self, batch: Batch) -> None:
        """More items; what is wrong with them comes out at the end, with everything else."""
        items = batch.checked(self.mistakes)
        if items is None or not len(items) or not self._check_texts(items, batch.places):
            return
        places = batch.places
        if self._without:
            stay = np.array([item not in self._without for item in items.ids])
            if not stay.all():
                self._left_out += int(np.count_nonzero(~stay))
                rows = np.flatnonzero(stay)
                items, places = items.take(rows), places.kept(rows)
        if self.mistakes or not len(items):
            return  # nothing will come of it: the rest is read for its mistakes alone
        before = self._ids.count
        self._places.append((before, places))
        self._ids.add(list(items.ids))
        self._add_vectors(items, places, before)
        self._add_labels(items, places, before)

    def leave(self, writer: CatalogWriter, version: str) -> Manifest:
        """Write all sections; raises `InvalidInput` with everything that is wrong."""
        if not self._ids.count and not self.mistakes:
            item = "an item that is not left out" if self._left_out else "an item"
            raise InvalidInput([Violation("items", f"there must be {item}: nothing was built, and what serves stays")])
        if self.mistakes:
            raise self.mistakes.error()
        ids = self._leave_ids(writer)
        embeddings = tuple(vectors.leave(writer.write) for vectors in self._vectors.values())
        attributes = tuple(labels.leave(writer.write) for labels in self._labels.values())
        built = datetime.now(UTC).replace(microsecond=0)
        name = version or f"{built:%Y%m%dT%H%M%SZ}-{writer.crc:08x}"
        return Manifest(name, built.isoformat(), self._ids.count, ids, embeddings, attributes, self._left_out)

    def _check_texts(self, items: Candidates, places: Places) -> bool:
        """Whether ids are of one kind; notes that, and what of the texts could not be sent in a request either."""
        mistakes = self.mistakes
        is_text = isinstance(items.ids[0], str)
        if self._ids.is_text is None:
            self._ids.is_text = is_text
        if self._ids.is_text != is_text:
            kind = "text" if self._ids.is_text else "integers"
            mistakes.add(places, "id", f"must be {kind}, as the ids before are", 0)
            return False
        if is_text:
            lengths = np.fromiter(map(len, map(str, items.ids)), np.int64, len(items))
            mistakes.add_rows(places, "id", _LENGTH, (lengths == 0) | (lengths > MOST_CHARACTERS))
        elif not 0 <= min(map(int, items.ids)) <= max(map(int, items.ids)) < 1 << 64:
            outside = np.array([not 0 <= int(item) < 1 << 64 for item in items.ids])
            mistakes.add_rows(places, "id", "must be from 0 to 2^64 - 1", outside)
        if self._ids.count + len(items) > MOST_ITEMS:
            mistakes.add(places, "items", f"must be at most {MOST_ITEMS}")
        for what, names in (("embeddings", items.embeddings), ("attributes", items.attributes)):
            if any(len(name) > MOST_CHARACTERS for name in names):
                mistakes.add(places, what, f"has a name of more than {MOST_CHARACTERS} characters")
        for name, column in items.attributes.items():
            if any(len(value) > MOST_CHARACTERS for value in column.values):
                mistakes.add(places, f"attributes[{name!r}]", f"has a value of more than {MOST_CHARACTERS} characters")
        return True

    def _add_vectors(self, items: Candidates, places: Places, before: int) -> None:
        for name, column in items.embeddings.items():
            spool = self._vectors.get(name)
            if not column.norms.any():
                continue  # nobody has one here, so its length means nothing
            dimension, what = column.matrix.shape[1], f"embeddings[{name!r}]" if name else "embeddings"
            if spool is None:
                folder = self._folder(f"embedding-{len(self._vectors)}")
                spool = self._vectors[name] = VectorSpool(name, folder, dimension, self._precision)
                spool.add_absent(before)
            elif spool.dimension != dimension:
                self.mistakes.add(places, what, f"must have {spool.dimension} numbers, as before, has {dimension}", 0)
                continue
            for reason, wrong in spool.add(column).items():
                self.mistakes.add_rows(places, what, reason, wrong)
        for name, spool in self._vectors.items():
            if name not in items.embeddings or not items.embeddings[name].norms.any():
                spool.add_absent(len(items))

    def _add_labels(self, items: Candidates, places: Places, before: int) -> None:
        for name, column in items.attributes.items():
            spool = self._labels.get(name)
            if spool is None:
                spool = self._labels[name] = LabelSpool(name, self._folder(f"attribute-{len(self._labels)}"))
                spool.add_absent(before)
            reason = spool.add(column)
            if reason:
                self.mistakes.add(places, f"attributes[{name!r}]", reason)
        for name, spool in self._labels.items():
            if name not in items.attributes:
                spool.add_absent(len(items))

    def _leave_ids(self, writer: CatalogWriter) -> IdEntry:
        """Ids in the order of the rows, and the table over them."""
        count, repeats = self._ids.count, np.zeros((_REPEATS_SHOWN, 2), np.int64)
        table = np.memmap(self._scratch / "table", np.int64, "w+", shape=(2 * count + 8,))
        if self._ids.is_text:
            offsets = _in_file(self._scratch / "offsets", np.dtype(np.int64), offsets_of(self._ids.lengths))
            texts = _in_file(self._scratch / "data", np.dtype(np.uint8), self._ids.data.pieces(1 << 22))
            repeated = enter_texts(offsets, texts, np.asarray(table), repeats)
        else:
            numbers = _in_file(self._scratch / "all-numbers", np.dtype(np.uint64), self._ids.numbers.pieces())
            repeated = enter_numbers(numbers.view(np.uint32), np.asarray(table), repeats)
        if repeated:
            raise self._repeats(repeats[:repeated].tolist(), repeated)
        entry = writer.write("<i8", _stretches(np.asarray(table)))
        if not self._ids.is_text:
            return IdEntry(entry, numbers=writer.write("<u8", _stretches(numbers)))
        sections = TextSections(writer.write("<i8", _stretches(offsets)), writer.write("<u1", _stretches(texts)))
        return IdEntry(entry, sections)

    def _repeats(self, repeats: list[list[int]], count: int) -> InvalidInput:
        found = []
        for row, earlier in repeats:
            (first, places), (other_first, others) = self._place_of(row), self._place_of(earlier)
            where = f" of {others.source}" if others.source != places.source else ""
            reason = f"must be unique, repeats {others.name(earlier - other_first)}{where}"
            found.append(places.violation("id", reason, row - first))
        if count > len(repeats):
            found.append(Violation("id", f"must be unique; {count - len(repeats)} more repeat an earlier one"))
        return InvalidInput(found)

    def _place_of(self, row: int) -> tuple[int, Places]:
        return next((first, places) for first, places in reversed(self._places) if first <= row)

    def _folder(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir()
        return folder


def _in_file(path: Path, dtype: np.dtype[Any], pieces: Iterator[NDArray[Any]]) -> NDArray[Any]:
    """All pieces as one array over a file, which the system may drop from memory."""
    count = 0
    with path.open("wb") as stream:
        for piece in pieces:
            stream.write(piece.data)
            count += piece.size
    if not count:
        return np.zeros(0, dtype)
    return np.asarray(np.memmap(path, dtype, "r", shape=(count,)))


def _stretches(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    stretch = 1 << 19
    return (array[first : first + stretch] for first in range(0, len(array), stretch))
