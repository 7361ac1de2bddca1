"""The example corpora: their catalogs, their recorded requests, and how the two join into full requests.

A pipeline does the same with its own feature store: it has ids and scores, looks up embeddings and attributes, and
sends columns. A server with `--catalog` looks them up itself: `reranker catalog build` reads these archives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reranker import requestlog
from reranker.v1.candidates_pb2 import AttributeColumn
from reranker.v1.request_log_pb2 import RequestLog
from reranker.v1.reranker_service_pb2 import RerankRequest

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Attribute:
    """One attribute of every item: code 0 is unknown, c is `values[c - 1]`; with `offsets` an item has several."""

    values: list[str]
    codes: NDArray[np.uint32]
    offsets: NDArray[np.uint32] | None

    def of(self, row: int) -> list[str]:
        """The values that one item carries."""
        codes = self.codes[row : row + 1] if self.offsets is None else self.codes[slice(*self.offsets[row : row + 2])]
        return [self.values[code - 1] for code in codes.tolist() if code]

    def column(self, name: str, rows: NDArray[np.intp]) -> AttributeColumn:
        """The wire's column for the items at `rows`, in that order."""
        if self.offsets is None:
            dictionary, codes = self._compact(self.codes[rows])
            return AttributeColumn(name=name, dictionary=dictionary, codes=codes)
        parts = [self.codes[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        dictionary, codes = self._compact(np.concatenate(parts))
        return AttributeColumn(name=name, dictionary=dictionary, codes=codes, offsets=np.cumsum([0, *map(len, parts)]))

    def _compact(self, codes: NDArray[np.uint32]) -> tuple[list[str], NDArray[np.intp]]:
        """The values that occur and the codes into them: not every author travels with every book."""
        present, compact = np.unique(codes, return_inverse=True)
        known = present[present > 0]
        return [self.values[code - 1] for code in known.tolist()], compact + len(known) + 1 - len(present)


class Corpus:
    """One folder of examples/data. Raises `FileNotFoundError` when there is no such corpus."""

    def __init__(self, name: str, folder: Path = DATA) -> None:
        self.name, self._folder = name, folder / name
        with np.load(self._folder / "catalog.npz", allow_pickle=False) as stored:
            parts = {key: stored[key] for key in stored.files}
        self.ids: list[str] = parts["ids"].tolist()
        self.titles: list[str] = parts["titles"].tolist()
        self.embeddings: NDArray[np.float16] = parts["embeddings"]  # (items, 64), unit length
        self.attributes = {
            name: Attribute(
                parts[f"attribute.{name}.values"].tolist(),
                parts[f"attribute.{name}.codes"],
                parts.get(f"attribute.{name}.offsets"),
            )
            for name in (key.split(".")[1] for key in parts if key.endswith(".codes"))
        }
        self._row = {item: row for row, item in enumerate(self.ids)}

    @cached_property
    def words(self) -> dict[str, dict[str, object]]:
        """By request id: the `query` as text, and for some `relevant`, the items the user rated highly later."""
        words: dict[str, dict[str, object]] = json.loads((self._folder / "words.json").read_text(encoding="utf-8"))
        return words

    def query(self, request_id: str) -> str:
        """What was asked, in words; empty for a home page."""
        return str(self.words[request_id]["query"])

    def records(self, *kinds: str) -> Iterator[RequestLog]:
        """The recorded requests, all of them or only some kinds: ids, scores and context, no item columns."""
        for record in requestlog.read(self._folder / "requests.rlog.gz"):
            if not kinds or record.metadata.kind in kinds:
                yield record

    def rows(self, request: RerankRequest) -> NDArray[np.intp]:
        """The catalog rows of a request's candidates."""
        return np.array([self._row[item] for item in request.candidates.item_ids], dtype=np.intp)

    def joined(self, request: RerankRequest, *attributes: str, embeddings: bool = True) -> RerankRequest:
        """A copy of `request` with the item columns that a policy needs; `embeddings` travel as float16."""
        full = RerankRequest()
        full.CopyFrom(request)
        rows = self.rows(request)
        if embeddings:
            matrix = self.embeddings[rows].astype("<f2", copy=False)
            full.candidates.embeddings.add(dimension=matrix.shape[1], float16=matrix.tobytes())
        full.candidates.attributes.extend(self.attributes[name].column(name, rows) for name in attributes)
        return full
