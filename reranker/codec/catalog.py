"""Columns by reference: what the item catalog knows of the candidates, behind what travels inline."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.codec.arrays import check_texts, repeated
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.signals import Catalog
from reranker.texts import escaped
from reranker.v1 import candidates_pb2

_PATH = "candidates.catalog"


class Lookup:
    """What one request looks up in the catalog, in one version of it from beginning to end.

    `seconds` is the time that took, `version` the catalog's when anything referred to it, and `notes` say in words what
    it does not have.
    """

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog
        self.seconds = 0.0
        self.version = ""
        self.notes: list[str] = []

    def rows(
        self, message: candidates_pb2.CandidateList, ids: Sequence[Id], found: list[Violation]
    ) -> NDArray[np.int64] | None:
        """The rows of a list's ids, -1 where one is unknown; None, with a violation, where none can be looked up."""
        catalog, started = self._catalog, perf_counter()
        if catalog is None:
            found.append(Violation(_PATH, "this server has no item catalog (--catalog): send the columns inline"))
            return None
        if len(ids) and bool(message.item_numbers) != catalog.has_numbers:
            given, wanted = ("item_numbers", "item_ids") if message.item_numbers else ("item_ids", "item_numbers")
            found.append(Violation(f"candidates.{given}", f"must be given as {wanted}, as the catalog's ids are"))
            return None
        if message.item_numbers:
            rows = catalog.find_numbers(repeated(message.item_numbers, np.uint64))
        else:
            rows = catalog.find(ids)
        self.seconds += perf_counter() - started
        return rows

    def join(
        self,
        message: candidates_pb2.CandidateList,
        candidates: Candidates,
        rows: NDArray[np.int64] | None,
        limits: Limits,
        found: list[Violation],
    ) -> Candidates:
        """The candidates with the columns that the list refers to; what is wrong with that is added to `found`.

        `rows` are those of its ids. Nothing is joined to a list with mistakes. O(candidates (dimensions + attributes)).
        """
        catalog, started = self._catalog, perf_counter()
        self._check_names(message, limits, found)
        if found or rows is None or catalog is None:
            return candidates
        asked = message.catalog
        named = bool(asked.embeddings or asked.attributes)
        joined = catalog.join(candidates, rows, *((asked.embeddings, asked.attributes) if named else (None, None)))
        self.version = catalog.version
        absent = catalog.absent(asked.embeddings, asked.attributes)
        for what, names in zip(("embedding", "attribute"), absent, strict=True):
            self.notes += [f"the catalog has no {what} {escaped(name) or 'without a name'}" for name in names]
        self.seconds += perf_counter() - started
        return joined

    @staticmethod
    def _check_names(message: candidates_pb2.CandidateList, limits: Limits, found: list[Violation]) -> None:
        asked = message.catalog
        inline = {column.name for column in message.embeddings}
        _check(f"{_PATH}.embeddings", asked.embeddings, limits.embeddings, limits, inline, found)
        inline = {column.name for column in message.attributes}
        _check(f"{_PATH}.attributes", asked.attributes, limits.attributes, limits, inline, found)
        if "" in asked.attributes:
            check_texts(f"{_PATH}.attributes", asked.attributes, limits.text_length, found)


def are_known(rows: NDArray[np.int64], *, once: bool) -> bool:
    """Whether the catalog has every id, and `once`: no two of them are the same."""
    ordered = np.sort(rows)
    return bool(not len(rows) or (ordered[0] >= 0 and not (once and (ordered[1:] == ordered[:-1]).any())))


def _check(
    path: str, names: Sequence[str], most: int, limits: Limits, inline: set[str], found: list[Violation]
) -> None:
    if len(names) > most:
        found.append(Violation(path, f"must be at most {most} names, are {len(names)}"))
        return
    seen: set[str] = set()
    for i, name in enumerate(names):
        if len(name) > limits.text_length:
            found.append(Violation(f"{path}[{i}]", f"must have at most {limits.text_length} characters"))
        elif name in seen:
            found.append(Violation(f"{path}[{i}]", "must be unique"))
        elif name in inline:
            found.append(Violation(f"{path}[{i}]", "travels inline too: keep one of the two"))
        seen.add(name)
