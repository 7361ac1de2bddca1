"""Columns by reference: what the server knows of the candidates, behind what travels inline.

That is the item catalog, the items in the store over it, or either alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import Candidates, Id
from reranker.codec.arrays import check_texts, repeated
from reranker.codec.limits import Limits
from reranker.errors import Violation
from reranker.signals import Catalog
from reranker.signals.overlay import lay_over, spread
from reranker.signals.pieces import StoredFound
from reranker.texts import escaped
from reranker.v1 import candidates_pb2

_PATH = "candidates.catalog"
FindStored: TypeAlias = Callable[[Sequence[Id]], StoredFound]
"""What the store has of distinct ids, in the time that the request has left."""


class Found(NamedTuple):
    """A list's ids as they were found: `rows` of the catalog, -1 where it does not know one; and what the store has."""

    rows: NDArray[np.int64]
    stored: StoredFound | None


class Lookup:
    """What one request looks up, in one version of the catalog from beginning to end.

    `seconds` is the time that took, `version` names what described the candidates when anything referred to it,
    `degraded` says that the store could not be read in part, and `notes` say in words what is missing. `counts` are the
    ids by where they were found.
    """

    def __init__(self, catalog: Catalog | None, find_stored: FindStored | None = None) -> None:
        self._catalog, self._find_stored = catalog, find_stored
        self.seconds = 0.0
        self.version = ""
        self.degraded = False
        self.notes: list[str] = []
        self.counts: dict[str, int] = {}

    def rows(self, message: candidates_pb2.CandidateList, ids: Sequence[Id], found: list[Violation]) -> Found | None:
        """Where a list's ids are found; None, with a violation, where none can be looked up."""
        catalog, started = self._catalog, perf_counter()
        if catalog is None and self._find_stored is None:
            found.append(Violation(_PATH, "this server has no item catalog (--catalog): send the columns inline"))
            return None
        if catalog is None:
            rows = np.full(len(ids), -1, np.int64)
        elif len(ids) and bool(message.item_numbers) != catalog.has_numbers:
            given, wanted = ("item_numbers", "item_ids") if message.item_numbers else ("item_ids", "item_numbers")
            found.append(Violation(f"candidates.{given}", f"must be given as {wanted}, as the catalog's ids are"))
            return None
        elif message.item_numbers:
            rows = catalog.find_numbers(repeated(message.item_numbers, np.uint64))
        else:
            rows = catalog.find(ids)
        stored = None if self._find_stored is None else self._stored(ids, rows)
        self.seconds += perf_counter() - started
        return Found(rows, stored)

    def join(
        self,
        message: candidates_pb2.CandidateList,
        candidates: Candidates,
        known: Found | None,
        limits: Limits,
        found: list[Violation],
    ) -> Candidates:
        """The candidates with the columns that the list refers to; what is wrong with that is added to `found`.

        `known` is what was found of its ids. Nothing is joined to a list with mistakes.
        O(candidates (dimensions + attributes)).
        """
        started = perf_counter()
        self._check_names(message, limits, found)
        if found or known is None:
            return candidates
        asked = message.catalog
        named = bool(asked.embeddings or asked.attributes)
        names = (asked.embeddings, asked.attributes) if named else (None, None)
        joined = candidates
        if self._catalog is not None:
            joined = self._catalog.join(candidates, known.rows, *names)
        if known.stored is not None:
            joined = lay_over(candidates, joined, known.rows, known.stored, *names)
        self.version = "store" if self._catalog is None else self._catalog.version
        for what, each, own in (
            ("embedding", asked.embeddings, joined.embeddings),
            ("attribute", asked.attributes, joined.attributes),
        ):
            absent = [name for name in each if name not in own]
            self.notes += [f"the catalog has no {what} {escaped(name) or 'without a name'}" for name in absent]
        self.seconds += perf_counter() - started
        return joined

    def _stored(self, ids: Sequence[Id], rows: NDArray[np.int64]) -> StoredFound:
        """What the store has; whom it has, or had erased, is no business of the catalog's: `rows` become -1."""
        assert self._find_stored is not None
        distinct = list(dict.fromkeys(ids))
        stored = self._find_stored(distinct)
        for source, count in stored.counts.items():
            self.counts[source] = self.counts.get(source, 0) + count
        if stored.degraded:
            self.degraded = True
            count = stored.counts.get("stale", 0) + stored.counts.get("unread", 0)
            self.notes.append(f"items that the store could not be asked for: {count}")
        if len(distinct) < len(ids):
            stored = spread(stored, distinct, ids)
        rows[stored.present | stored.erased] = -1
        return stored

    @staticmethod
    def _check_names(message: candidates_pb2.CandidateList, limits: Limits, found: list[Violation]) -> None:
        asked = message.catalog
        inline = {column.name for column in message.embeddings}
        _check(f"{_PATH}.embeddings", asked.embeddings, limits.embeddings, limits, inline, found)
        inline = {column.name for column in message.attributes}
        _check(f"{_PATH}.attributes", asked.attributes, limits.attributes, limits, inline, found)
        if "" in asked.attributes:
            check_texts(f"{_PATH}.attributes", asked.attributes, limits.text_length, found)


def are_known(known: Found | None, *, once: bool) -> bool:
    """Whether the catalog has every id, and `once`: no two of them are the same."""
    if known is None:
        return False
    ordered = np.sort(known.rows)
    return bool(not len(ordered) or (ordered[0] >= 0 and not (once and (ordered[1:] == ordered[:-1]).any())))


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
