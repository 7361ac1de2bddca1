"""Recorded requests of examples/data as candidates, joined in this process without the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from examples.catalog import Attribute, Corpus
from reranker.candidates import AttributeColumn, Candidates


@dataclass(frozen=True)
class Recorded:
    """One request: its id, its size and its candidates."""

    id: str
    size: int
    candidates: Candidates

    @property
    def upstream(self) -> list[int]:
        """The upstream top of the slate's length."""
        top: list[int] = self.order[: min(self.size, len(self.candidates))].tolist()
        return top

    @property
    def order(self) -> NDArray[np.intp]:
        """All positions in upstream order."""
        return np.argsort(-self.candidates.scores, kind="stable")

    def values(self, attribute: str, positions: list[int]) -> list[str | None]:
        """The value of each of these candidates, None when it is unknown."""
        column = self.candidates.attributes[attribute]
        assert column.offsets is None
        return [column.values[code - 1] if code else None for code in column.codes[positions].tolist()]


@cache
def corpus(name: str) -> Corpus:
    """One corpus, loaded once."""
    return Corpus(name)


def recorded(name: str, *kinds: str, step: int = 1, most: int | None = None) -> Iterator[Recorded]:
    """Every `step`-th recorded request of these kinds, `most` of them at the most."""
    source = corpus(name)
    for count, record in enumerate(source.records(*kinds)):
        if count % step:
            continue
        if most is not None and count // step >= most:
            return
        request = record.request
        rows = source.rows(request)
        yield Recorded(
            request.request_id,
            request.slate_size,
            Candidates(
                list(request.candidates.item_ids),
                np.array(request.candidates.scores),
                source.embeddings[rows],
                {key: _column(attribute, rows) for key, attribute in source.attributes.items()},
            ),
        )


def _column(attribute: Attribute, rows: NDArray[np.intp]) -> AttributeColumn:
    values = tuple(attribute.values)
    if attribute.offsets is None:
        return AttributeColumn(values, attribute.codes[rows].astype(np.int32))
    offsets = attribute.offsets
    parts = [list(dict.fromkeys(attribute.codes[offsets[row] : offsets[row + 1]].tolist())) for row in rows.tolist()]
    codes = np.array([code for part in parts for code in part], np.int32)
    return AttributeColumn(values, codes, np.cumsum([0, *map(len, parts)]).astype(np.int32))
