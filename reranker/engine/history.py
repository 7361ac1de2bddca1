"""What was shown before the slate, as quotas and strategies see it: earlier pages, and what the user saw recently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reranker.attributes import AttributeColumn
from reranker.candidates import Candidates, EmbeddingColumn
from reranker.context import Context
from reranker.engine.forgotten import forgotten
from reranker.engine.page import Page
from reranker.errors import InvalidInput, Violation
from reranker.policy.compile import CompiledPolicy
from reranker.policy.terms import REMEMBERED
from reranker.quotas.earlier import Earlier


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Items shown before, oldest first. `embeddings` by name and `trail` by attribute have `count` rows each."""

    earlier: Earlier
    count: int
    embeddings: Mapping[str, EmbeddingColumn]

    def behind(self, candidates: Candidates) -> Candidates:
        """The candidates, and after them the items of the past in the same columns; what nobody here has is unknown."""
        ids = [*candidates.ids, *(f"earlier {i}" for i in range(self.count))]  # names that nobody reads
        scores = np.concatenate([candidates.scores, np.zeros(self.count)])
        embeddings = {name: self._behind(name, column) for name, column in candidates.embeddings.items()}
        attributes = {name: self._values_behind(name, column) for name, column in candidates.attributes.items()}
        return Candidates.from_columns(ids, scores, embeddings, attributes)

    def rows(self, name: str, width: int) -> EmbeddingColumn:
        """The embeddings of that name, `width` numbers each; missing where the past has none."""
        matrix, norms = np.zeros((self.count, width), np.float32), np.zeros(self.count)
        own = self.embeddings.get(name)
        if own is not None and own.matrix.shape[1] == width and len(own.norms):
            many = min(len(own.norms), self.count)
            matrix[self.count - many :], norms[self.count - many :] = own.matrix[-many:], own.norms[-many:]
        return EmbeddingColumn(matrix, norms)

    def _behind(self, name: str, column: EmbeddingColumn) -> EmbeddingColumn:
        own = self.rows(name, column.matrix.shape[1])
        return EmbeddingColumn(np.concatenate([column.matrix, own.matrix]), np.concatenate([column.norms, own.norms]))

    def _values_behind(self, name: str, column: AttributeColumn) -> AttributeColumn:
        items = self.earlier.trail_codes(name, column) if name in self.earlier.trail else []
        items = [*([] for _ in range(self.count - len(items))), *items[len(items) - min(self.count, len(items)) :]]
        if column.probabilities is not None:
            rows = np.zeros((self.count, len(column.values)), np.float32)
            for row, item in zip(rows, items, strict=True):
                row[[code - 1 for code in item]] = 1.0
            return AttributeColumn(column.values, column.codes, None, np.concatenate([column.probabilities, rows]))
        if column.offsets is None and all(len(item) <= 1 for item in items):
            codes = np.array([item[0] if item else 0 for item in items], np.int32)
            return AttributeColumn(column.values, np.concatenate([column.codes, codes]))
        return _several(column, items)


def _several(column: AttributeColumn, items: Sequence[Sequence[int]]) -> AttributeColumn:
    """The column with further candidates of several values each."""
    codes, sizes = column.codes, [len(item) for item in items]
    offsets = column.offsets
    if offsets is None:
        known = (codes > 0).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int32)
        codes = codes[codes > 0]
    more = np.array([code for item in items for code in item], np.int32)
    ends = offsets[-1] + np.cumsum(sizes, dtype=np.int64)
    return AttributeColumn(
        column.values, np.concatenate([codes, more]), np.concatenate([offsets, ends]).astype(np.int32)
    )


def history_of(
    rules: CompiledPolicy, candidates: Candidates, context: Context, page: Page
) -> tuple[History | None, tuple[str, ...]]:
    """What was shown before, and what there is to say of it; None when nothing was.

    `candidates` are those of the request: recently shown items that are given by id alone are looked up among them.
    Raises `InvalidInput` when embeddings of the past are of another length.
    """
    if not page.shown and not len(context.recent):
        return None, ()
    recent, notes = _recent(candidates, context, page)
    if not page.shown and not len(recent):
        return None, notes
    _check_widths(candidates, recent)
    notes += forgotten(rules, candidates, recent, page)
    past_embeddings, past_trail = page.embeddings(), page.trail()
    names = rules.remembered_attributes
    far = max(REMEMBERED, rules.longest_window)
    shown = max([0, *map(len, past_trail.values()), *(len(column.norms) for column in past_embeddings.values())])
    trail = {name: _trail(rules, name, recent, page, past_trail.get(name, []), shown)[-far:] for name in names}
    count = min(REMEMBERED, len(recent) + shown)
    wanted = {*candidates.embeddings}
    embeddings = {
        name: _joined(recent.embeddings.get(name), len(recent), past_embeddings.get(name), shown) for name in wanted
    }
    earlier = Earlier(page.shown, page.seal.value, page.tallies(), trail)
    return History(earlier, count, {name: column for name, column in embeddings.items() if column is not None}), notes


_NOBODY = Candidates.from_columns([], np.zeros(0), {}, {})


def _recent(candidates: Candidates, context: Context, page: Page) -> tuple[Candidates, tuple[str, ...]]:
    """Recently shown items with their signals, oldest first, without those of earlier pages; and what was not known."""
    if context.without_profiling or not len(context.recent):
        return _NOBODY, ()
    if isinstance(context.recent, Candidates):
        given, unknown = context.recent, 0
    else:
        row_of = {item: row for row, item in enumerate(candidates.ids)}
        rows = [row_of[item] for item in context.recent if item in row_of]
        given, unknown = candidates.take(np.array(rows, np.int64)), len(context.recent) - len(rows)
    if page.shown:
        paged = set(page.cursor.items)
        given = given.take(
            np.array([row for row, key in enumerate(page.seal.items(given.ids)) if key not in paged], np.int64)
        )
    if not unknown:
        return given, ()
    items = "item is" if unknown == 1 else "items are"
    return given, (f"{unknown} recently shown {items} known by id alone and not among the candidates: left out",)


def _check_widths(candidates: Candidates, recent: Candidates) -> None:
    found = []
    for name, column in recent.embeddings.items():
        own = candidates.embeddings.get(name)
        if own is None or not own.norms.any() or not column.norms.any():
            continue  # where nobody has a vector, there is no length to differ in
        if own.matrix.shape[1] != column.matrix.shape[1]:
            path = f"context.recent.embeddings[{name!r}]" if name else "context.recent.embeddings"
            width = own.matrix.shape[1]
            found.append(Violation(path, f"must have {width} numbers a row, as the candidates' have"))
    if found:
        raise InvalidInput(found)


def _trail(
    rules: CompiledPolicy, name: str, recent: Candidates, page: Page, shown: list[list[int]], count: int
) -> list[list[int]]:
    """Keys of one attribute's values, oldest first, `count` items of earlier pages last."""
    column = recent.attributes.get(name)
    items: list[list[int]] = [[] for _ in range(len(recent))]
    if column is not None:
        hard = column.hard(rules.label_rule(name).threshold)
        items = [[page.seal.value(value) for value in item] for item in hard.listed()]
    return [*items, *([] for _ in range(count - len(shown))), *shown]


def _joined(
    recent: EmbeddingColumn | None, count: int, shown: EmbeddingColumn | None, shown_count: int
) -> EmbeddingColumn | None:
    """Rows of recently shown items, then those of earlier pages; zero where there is none."""
    if recent is not None and not recent.norms.any():
        recent = None
    known = recent or shown
    if known is None:
        return None
    width = known.matrix.shape[1]
    matrix, norms = np.zeros((count + shown_count, width), np.float32), np.zeros(count + shown_count)
    if recent is not None:
        matrix[:count], norms[:count] = recent.matrix, recent.norms
    if shown is not None and shown.matrix.shape[1] == width:
        many = len(shown.norms)
        matrix[len(matrix) - many :], norms[len(matrix) - many :] = shown.matrix, shown.norms
    return EmbeddingColumn(matrix, norms)
