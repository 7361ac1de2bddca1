"""One version of the item catalog: a file that is mapped, never read into memory, and shared by all who map it."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.errors import BadCatalog, InvalidInput, Violation
from reranker.kernels.lookup import find_numbers, find_texts
from reranker.signals.columns import Labels, Rows, Texts, Vectors
from reranker.signals.folder import current_file
from reranker.signals.layout import MAGIC, NO_CATALOG, Manifest, Section, read_manifest

_LINE, _NEVER_IN_TEXT = ord("\n"), 0xFF
_STRETCH = 1 << 22  # bytes between two chances for other threads while checksums are computed
_DAMAGED = "copy it again, or build it again with `reranker catalog build`"


class Catalog:
    """Embeddings and attributes of items, by id. Safe to use from many threads; what it gives out are copies.

    `open` costs no more than the description of the columns and their smaller dictionaries, whatever the size. The file
    stays mapped for as long as anybody holds the catalog, even when it is deleted meanwhile; nobody may write to it.
    """

    def __init__(self, path: Path, data: mmap.mmap, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self._data = data
        self._table = self._view(manifest.ids.table)
        texts, numbers = manifest.ids.texts, manifest.ids.numbers
        self._texts = None if texts is None else Texts(texts, self._view)
        self._numbers = None if numbers is None else self._view(numbers)
        items = manifest.items
        self._vectors = {entry.name: Vectors(entry, items, self._view) for entry in manifest.embeddings}
        self._labels = {entry.name: Labels.of(entry, items, self._view) for entry in manifest.attributes}
        self._hidden: NDArray[np.bool_] | None = None

    @classmethod
    def open(cls, path: str | Path, *, check: bool = True) -> Catalog:
        """The catalog in a file, or the current one of a folder that `reranker catalog build` fills.

        Raises `BadCatalog` when it is missing, foreign, cut off, of another format or damaged. With `check` every byte
        is read; without, opening takes milliseconds, and nothing may be looked up before `check()` has been called.
        """
        path = Path(path)
        file = current_file(path) if path.is_dir() else path
        data = _mapped(file)
        manifest = read_manifest(file, memoryview(data))
        if check:
            _check_sums(file, data, manifest)
        try:
            catalog = cls(file, data, manifest)
        except (ValueError, IndexError):  # a dictionary that is none: without `check` this is the first look at it
            raise BadCatalog(file, f"was damaged: a dictionary cannot be read; {_DAMAGED}") from None
        if check:
            catalog._check_soundness()
        return catalog

    @property
    def version(self) -> str:
        """The name of this version."""
        return self.manifest.version

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._data)

    @property
    def has_numbers(self) -> bool:
        """Whether ids are 64-bit numbers; else they are texts."""
        return self._numbers is not None

    @property
    def embeddings(self) -> tuple[str, ...]:
        """The names of the embeddings; the empty name is the main one."""
        return tuple(self._vectors)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes."""
        return tuple(self._labels)

    def __len__(self) -> int:
        return self.manifest.items

    def find(self, ids: Sequence[Id]) -> Rows:
        """The row of each id, -1 where it is unknown: int64 (N,). O(characters).

        Raises `InvalidInput` for texts where the catalog's ids are numbers, or the reverse.
        """
        if not len(ids):
            return np.zeros(0, np.int64)
        kind, word = (int, "integers") if self.has_numbers else (str, "text")
        kinds = set(map(type, ids))
        if kinds != {kind} and not all(issubclass(each, kind) for each in kinds):
            raise InvalidInput([Violation("ids", f"must be {word}, as the catalog's are")])
        return self._shown(self._find_any(ids) if self.has_numbers else self._find_texts(ids))

    def find_numbers(self, numbers: NDArray[np.uint64]) -> Rows:
        """`find` for an array of numbers. O(N)."""
        return self._shown(self._find_numbers(numbers))

    def hide(self, ids: Iterable[Id]) -> None:
        """Know nothing of these ids from now on, and of those hidden before again; the file stays as it is.

        A bool an item, where any is hidden. Ids of the other kind are passed over.
        """
        kind = int if self.has_numbers else str
        own = [item for item in ids if isinstance(item, kind)]
        rows = (self._find_any(own) if self.has_numbers else self._find_texts(own)) if own else np.zeros(0, np.int64)
        hidden = np.zeros(len(self), bool)
        hidden[rows[rows >= 0]] = True
        self._hidden = hidden if hidden.any() else None

    def join(
        self,
        candidates: Candidates,
        rows: Rows,
        embeddings: Iterable[str] | None = None,
        attributes: Iterable[str] | None = None,
    ) -> Candidates:
        """The candidates with the columns of their rows behind their own, and with who is unknown.

        Of a column that they have already, theirs is kept. None means every column; a name that the catalog does not
        have is passed over (`absent` lists those). O(N (D + attributes)).
        """
        vectors, labels = dict(candidates.embeddings), dict(candidates.attributes)
        for name in self._vectors if embeddings is None else embeddings:
            if name in self._vectors and name not in vectors:
                vectors[name] = self._vectors[name].take(rows)
        for name in self._labels if attributes is None else attributes:
            if name in self._labels and name not in labels:
                labels[name] = self._labels[name].take(rows)
        return Candidates.from_columns(candidates.ids, candidates.scores, vectors, labels, unknown=rows < 0)

    def candidates(
        self,
        ids: Iterable[Id],
        scores: Any,
        embeddings: Iterable[str] | None = None,
        attributes: Iterable[str] | None = None,
    ) -> Candidates:
        """Candidates for `rerank`, described by the catalog; None means every column. Raises `InvalidInput`."""
        bare = Candidates(ids, scores)
        return self.join(bare, self.find(bare.ids), embeddings, attributes)

    def absent(self, embeddings: Iterable[str], attributes: Iterable[str]) -> tuple[list[str], list[str]]:
        """Which of these embeddings, and which of these attributes, the catalog does not have."""
        return (
            [name for name in embeddings if name not in self._vectors],
            [name for name in attributes if name not in self._labels],
        )

    def ids_of(self, rows: NDArray[np.integer]) -> list[Id]:
        """The ids in these rows."""
        if self._numbers is not None:
            return [int(number) for number in self._numbers[rows]]
        assert self._texts is not None
        return list(self._texts.take(rows))

    def check(self) -> None:
        """Raise `BadCatalog` unless every byte is what it was when it was built, and makes sense. Reads all of it.

        Also brings the whole file into the page cache, so that the requests to come wait for no disk.
        """
        _check_sums(self.path, self._data, self.manifest)
        self._check_soundness()

    def _check_soundness(self) -> None:
        for what, sound in self._soundness():
            if not sound:
                raise BadCatalog(self.path, f"was built wrongly: {what}; {_DAMAGED}")

    def _soundness(self) -> Iterable[tuple[str, bool]]:
        rows = self._table & 0xFFFFFFFF
        taken = np.count_nonzero(rows)
        fits = bool(taken < len(rows) and rows.max() <= len(self))
        yield "the table of ids is full or names rows beyond the last", fits
        if self._texts is not None:
            yield "ids run into each other", self._texts.are_sound()
        first = np.arange(min(len(self), 64))
        ids = self.ids_of(first)
        rows = self._find_any(ids) if self.has_numbers else self._find_texts(ids)
        yield "its ids are not found where they are", bool((rows == first).all())
        for name, vectors in self._vectors.items():
            yield f"embedding {name!r} has numbers that are not finite", vectors.are_finite()
        for name, labels in self._labels.items():
            yield f"attribute {name!r} has codes or probabilities that cannot be", labels.are_sound()

    def _shown(self, rows: Rows) -> Rows:
        hidden = self._hidden
        if hidden is not None:
            rows[hidden[rows]] = -1  # the last item's for -1, which stays what it is
        return rows

    def _find_numbers(self, numbers: NDArray[np.uint64]) -> Rows:
        assert self._numbers is not None, "ids are texts"
        rows = np.empty(len(numbers), np.int64)
        find_numbers(np.ascontiguousarray(numbers).view(np.uint32), self._table, self._numbers.view(np.uint32), rows)
        return rows

    def _view(self, section: Section) -> NDArray[Any]:
        dtype = np.dtype(section.dtype)
        return np.frombuffer(self._data, dtype, section.size // dtype.itemsize, section.at)

    def _find_any(self, ids: Sequence[Any]) -> Rows:
        """The rows of integers, of which those that no 64 bits hold are unknown."""
        if min(ids) >= 0 and max(ids) < 1 << 64:
            return self._find_numbers(np.array(ids, np.uint64))
        rows = np.full(len(ids), -1, np.int64)
        held = [at for at, number in enumerate(ids) if 0 <= number < 1 << 64]
        rows[held] = self._find_numbers(np.array([ids[at] for at in held], np.uint64))
        return rows

    def _find_texts(self, ids: Sequence[Any]) -> Rows:
        assert self._texts is not None
        rows = np.empty(len(ids), np.int64)
        data, separator = _joined(ids)
        asked = np.frombuffer(data, np.uint8)
        find_texts(asked, separator, self._table, self._texts.offsets, self._texts.data, rows)
        return rows


def _check_sums(path: Path, mapped: mmap.mmap, manifest: Manifest) -> None:
    data = memoryview(mapped)
    for what, section in manifest.sections.items():
        crc, end = 0, section.at + section.size
        for at in range(section.at, end, _STRETCH):
            crc = zlib.crc32(data[at : min(at + _STRETCH, end)], crc)
        if crc != section.crc:
            raise BadCatalog(path, f"was damaged: {what} do not agree with their checksum; {_DAMAGED}")


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:  # an empty file cannot be mapped, and a pipe ends here too
                raise BadCatalog(path, NO_CATALOG)
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BadCatalog(path, f"cannot be read: {error.strerror or error}") from None


def _joined(ids: Sequence[str]) -> tuple[bytes, int]:
    """All texts in one piece, and the byte that stands between two of them and in none."""
    lines = "\n".join(ids)
    if lines.isascii() and lines.count("\n") == len(ids) - 1:
        return lines.encode(), _LINE
    try:
        return b"\xff".join(map(str.encode, ids)), _NEVER_IN_TEXT
    except UnicodeEncodeError:  # half of a surrogate pair: no catalog has it
        return b"\xff".join(text.encode("utf-8", "surrogatepass") for text in ids), _NEVER_IN_TEXT
