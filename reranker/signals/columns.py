"""Columns of a mapped catalog: rows in, the engine's columns out. Rows are int64 (N,), -1 where an id is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn
from reranker.candidates import EmbeddingColumn
from reranker.kernels.door import measure_rows
from reranker.kernels.gather import gather_float16, gather_float32, gather_int8, renumber
from reranker.signals.layout import MOST_SCALE, PRECISIONS, AttributeEntry, EmbeddingEntry, Section, TextSections

Rows: TypeAlias = NDArray[np.int64]
View: TypeAlias = Callable[[Section], NDArray[Any]]
"""How a section becomes an array over the mapped file."""

_EXPONENT = np.uint16(0x7C00)  # of a float16 that is infinite or no number
_DECODED = 65_536  # dictionaries up to as many values are text in memory; of larger ones, only what a request needs


def carried(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Codes count those that occur from now on, from 1 in the order in which they first do; returns what they were."""
    used = np.empty(len(codes), np.int32)
    table = np.zeros(1 << max(1, (2 * len(codes)).bit_length()), np.int32)
    return used[: renumber(codes, table, used)]


class Vectors:
    """One embedding."""

    def __init__(self, entry: EmbeddingEntry, items: int, view: View) -> None:
        self.entry = entry
        self._matrix = view(entry.vectors).reshape(items, entry.dimension)
        self._scales = None if entry.scales is None else view(entry.scales)
        assert self._matrix.dtype == np.dtype(PRECISIONS[entry.precision])

    def take(self, rows: Rows) -> EmbeddingColumn:
        """Float32 rows with their lengths, zero where there is none. O(N D)."""
        out = np.empty((len(rows), self.entry.dimension), np.float32)
        if self._scales is not None:
            gather_int8(self._matrix, self._scales, rows, out)
        elif self.entry.precision == "float16":
            gather_float16(self._matrix, rows, out)
        else:
            gather_float32(self._matrix, rows, out)
        norms = np.empty(len(out))
        missing = measure_rows(out, norms)
        return EmbeddingColumn(out, norms, missing)

    def are_finite(self) -> bool:
        """Whether every number is, as requests get it; looked at a stretch of rows at a time."""
        stretch = max(1, (1 << 20) // self.entry.dimension)
        starts = range(0, len(self._matrix), stretch)
        spans = (self._matrix[first : first + stretch] for first in starts)
        if self._scales is not None:
            scales = (self._scales[first : first + stretch] for first in starts)
            return all(_product_is_finite(span, scale) for span, scale in zip(spans, scales, strict=True))
        if self.entry.precision == "float16":
            return not any(((span & _EXPONENT) == _EXPONENT).any() for span in spans)
        return all(np.isfinite(span).all() for span in spans)


def _product_is_finite(levels: NDArray[np.int8], scales: NDArray[np.float32]) -> bool:
    """Whether no level times its row's scale, in float32, is infinite or no number."""
    if not np.isfinite(scales).all():
        return False
    far = scales > MOST_SCALE / 2
    with np.errstate(over="ignore"):
        return bool(np.isfinite(levels[far] * scales[far, None]).all())


class Texts:
    """Texts by number, from 0."""

    def __init__(self, sections: TextSections, view: View) -> None:
        self.offsets: NDArray[np.int64] = view(sections.offsets)
        self.data: NDArray[np.uint8] = view(sections.data)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, numbers: NDArray[np.integer]) -> list[str]:
        """The texts with these numbers."""
        begins, ends = self.offsets[numbers].tolist(), self.offsets[numbers + 1].tolist()
        data = self.data.data
        return [str(data[begin:end], "utf-8") for begin, end in zip(begins, ends, strict=True)]

    def are_sound(self) -> bool:
        """Whether offsets rise from 0 to the end of the data."""
        return bool(self.offsets[0] == 0 and self.offsets[-1] == len(self.data) and (np.diff(self.offsets) >= 0).all())


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One attribute: its dictionary and exactly one of the three forms of `AttributeEntry`."""

    entry: AttributeEntry
    texts: Texts
    values: tuple[str, ...]
    codes: NDArray[Any] | None
    offsets: NDArray[np.int64] | None
    probabilities: NDArray[np.float32] | None

    @classmethod
    def of(cls, entry: AttributeEntry, items: int, view: View) -> Labels:
        """The attribute in a mapped file."""
        texts = Texts(entry.dictionary, view)
        small = entry.values <= _DECODED or entry.probabilities is not None
        return cls(
            entry,
            texts,
            tuple(texts.take(np.arange(entry.values))) if small else (),
            None if entry.codes is None else view(entry.codes),
            None if entry.offsets is None else view(entry.offsets),
            None if entry.probabilities is None else view(entry.probabilities).reshape(items, entry.values),
        )

    def take(self, rows: Rows) -> AttributeColumn:
        """The column of these rows, its dictionary what they carry in the order in which they do. O(values carried)."""
        if self.probabilities is not None:
            matrix = np.empty((len(rows), self.entry.values), np.float32)
            gather_float32(self.probabilities, rows, matrix)
            return AttributeColumn(self.values, np.zeros(len(rows), np.int32), None, matrix)
        assert self.codes is not None, "the manifest's check lets no other form in"
        at = np.maximum(rows, 0)
        if self.offsets is None:
            codes = self.codes[at].astype(np.int32)
            codes[rows < 0] = 0
            return AttributeColumn(self._carried(codes), codes)
        begins = self.offsets[at]
        sizes = self.offsets[at + 1] - begins
        sizes[rows < 0] = 0
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(sizes, out=offsets[1:])
        codes = self.codes[np.repeat(begins - offsets[:-1], sizes) + np.arange(offsets[-1])].astype(np.int32)
        return AttributeColumn(self._carried(codes), codes, offsets)

    def are_sound(self) -> bool:
        """Whether every code is in the dictionary, and offsets and probabilities are what they should be."""
        if self.probabilities is not None:
            sums = self.probabilities.sum(axis=1, dtype=np.float64)
            return bool((self.probabilities >= 0).all() and (sums <= 1.001).all()) and self.texts.are_sound()
        assert self.codes is not None
        several, offsets = self.offsets is not None, self.offsets
        if offsets is not None and not (
            offsets[0] == 0 and offsets[-1] == len(self.codes) and (np.diff(offsets) >= 0).all()
        ):
            return False
        least, most = (int(self.codes.min()), int(self.codes.max())) if len(self.codes) else (1, 0)
        return int(several) <= least and most <= self.entry.values and self.texts.are_sound()

    def _carried(self, codes: NDArray[np.int32]) -> tuple[str, ...]:
        """The texts of the codes, which count them in the order in which they first occur from now on."""
        used = carried(codes)
        if self.values:
            return tuple([self.values[code - 1] for code in used.tolist()])
        return tuple(self.texts.take(used - 1))
