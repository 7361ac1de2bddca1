"""The pages that a request's cursor continues, and the cursor that an answer leaves to the next page (rule 13)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reranker.candidates import AttributeColumn, Candidates, EmbeddingColumn
from reranker.engine.seal import BadSeal, Seal, Seals
from reranker.errors import InvalidInput, Violation
from reranker.policy.compile import CompiledPolicy
from reranker.quotas.earlier import Tally
from reranker.quotas.pool import Pool, grouped, is_labelled
from reranker.quotas.tables import AttributeTable
from reranker.v1.cursor_pb2 import Cursor, CursorEmbedding, CursorTally, CursorTrail

_REMEMBERED = 25  # items whose values and embeddings go along, unless a window of the policy reaches further back
_MOST_BYTES = 32_768  # of embeddings in one cursor; the oldest items go without
_NOT_OURS = "is not one that this service made, or it was altered, or its key is no longer known: begin without it"
_NOTHING = Cursor()  # lent to every first page, and written by none
_OTHER_POLICY = "belongs to another revision of the policy: begin without it"


@dataclass(slots=True, eq=False)
class Page:
    """Where a request stands: `cursor` says what earlier pages hold, in keys of `seal`."""

    cursor: Cursor
    seal: Seal

    @property
    def shown(self) -> int:
        """How many items earlier pages hold."""
        return self.cursor.shown

    def tallies(self) -> dict[str, Tally]:
        """What they hold, by attribute and intersection."""
        found = {}
        for tally in self.cursor.tallies:
            counts = dict(zip(tally.values, tally.counts, strict=True))
            fixed = dict(zip(tally.values, tally.fixed, strict=True)) if tally.fixed else {}
            found[tally.subject] = Tally(tally.shown, counts, fixed, tally.labelled)
        return found

    def trail(self) -> dict[str, list[list[int]]]:
        """Keys of the values of the items shown last, by attribute, oldest first."""
        return {
            trail.attribute: [list(trail.values[a:b]) for a, b in pairwise(trail.offsets)]
            for trail in self.cursor.trails
        }

    def embeddings(self) -> dict[str, EmbeddingColumn]:
        """Their embeddings by name, oldest first: fewer than the trail's where there was no room."""
        found = {}
        for embedding in self.cursor.embeddings:
            rows = np.frombuffer(embedding.float16, "<f2").reshape(-1, embedding.dimension).astype(np.float32)
            found[embedding.name] = EmbeddingColumn(rows, np.linalg.norm(rows.astype(np.float64), axis=1))
        return found


def first_page(seals: Seals) -> Page:
    """Nothing was shown yet."""
    return Page(_NOTHING, seals.current)


def read_page(cursor: bytes, revision: str, seals: Seals) -> Page:
    """The page that a request asks for; raises `InvalidInput` for a cursor of somebody else's or of another policy."""
    if not cursor:
        return first_page(seals)
    try:
        message, seal = seals.open(cursor)
    except BadSeal:
        raise InvalidInput([Violation("context.cursor", _NOT_OURS)]) from None
    if message.policy_revision != revision:
        raise InvalidInput([Violation("context.cursor", _OTHER_POLICY)])
    return Page(message, seal)


@dataclass(slots=True, eq=False)
class Filled:
    """A slate as the next page needs to know it: `picks` (slots,) are upstream ranks from 0 in `pool` and `tables`."""

    rules: CompiledPolicy
    candidates: Candidates
    order: NDArray[np.int32]
    pool: Pool
    tables: Sequence[AttributeTable]
    picks: NDArray[np.int32]
    refined: frozenset[str]


def next_cursor(page: Page, filled: Filled) -> bytes:
    """The cursor of the page after this one: O(items shown + values on the slate)."""
    before, seal = page.cursor, page.seal
    positions = filled.order[filled.picks]
    ids = [filled.candidates.ids[position] for position in positions.tolist()]
    cursor = Cursor(
        policy_revision=filled.rules.revision,
        shown=before.shown + len(ids),
        items=[*before.items, *seal.items(ids)],
        tallies=list(_tallies(page, filled)),
        trails=list(_trails(page, filled)),
        embeddings=list(_embeddings(page, filled, positions)),
    )
    return seal.close(cursor)


def _tallies(page: Page, filled: Filled) -> Iterable[CursorTally]:
    """Counts of each subject over all pages; one that the user narrowed is left out, and counted afresh later."""
    known = page.tallies()
    tables = {table.attribute: table for table in filled.tables}
    fixed_slots = list(filled.pool.fixed)
    for subject in filled.rules.quota_attributes:
        if filled.refined.intersection(filled.rules.attributes_of(subject)):
            continue
        column, labelled = _column(subject, filled, tables)
        if column is None:
            column, labelled = (
                AttributeColumn((), np.zeros(len(filled.pool), np.int32)),
                np.zeros(len(filled.pool), bool),
            )
        by_slot = column.take(filled.picks).listed()
        earlier = known.get(subject) or Tally(0, {}, {}, 0)
        counts, fixed = Counter(earlier.counts), Counter(earlier.fixed)
        keys = {value: page.seal.value(value) for value in {value for item in by_slot for value in item}}
        counts.update(keys[value] for item in by_slot for value in item)
        fixed.update(keys[value] for slot in fixed_slots for value in by_slot[slot])
        yield CursorTally(
            subject=subject,
            values=list(counts),
            counts=list(counts.values()),
            fixed=[fixed[key] for key in counts] if fixed else [],
            labelled=earlier.labelled + int(labelled[filled.picks].sum()),
            shown=earlier.shown + len(filled.picks),
        )


def _column(
    subject: str, filled: Filled, tables: Mapping[str, AttributeTable]
) -> tuple[AttributeColumn | None, NDArray[np.bool_]]:
    """What counts for a subject, in upstream order, and who is labelled."""
    table = tables.get(subject)
    if table is not None:
        column, labelled = table.column, table.labelled
    else:
        found = filled.pool.columns.get(subject)
        if found is None:
            return None, np.zeros(0, bool)
        column, labelled = found, is_labelled(found)
    if filled.rules.label_rule(subject).unknown == "group" and subject not in filled.rules.intersections:
        column = grouped(column)
    return column, labelled


def _reach(rules: CompiledPolicy) -> int:
    """How many of the items shown last go along."""
    return max(_REMEMBERED, rules.longest_window - 1)


def _trails(page: Page, filled: Filled) -> Iterable[CursorTrail]:
    known, reach = page.trail(), _reach(filled.rules)
    for attribute in filled.rules.remembered_attributes:
        column = filled.candidates.attributes.get(attribute)
        if attribute in filled.refined:
            continue
        items = known.get(attribute, [[] for _ in range(min(page.shown, reach))])
        if column is None:
            items = [*items, *([] for _ in filled.picks)]
        else:
            hard = column.hard(filled.rules.label_rule(attribute).threshold)
            listed = hard.take(filled.order[filled.picks]).listed()
            items = [*items, *([page.seal.value(value) for value in item] for item in listed)]
        items = items[len(items) - min(reach, len(items)) :]
        offsets = [0, *np.cumsum([len(item) for item in items]).tolist()]
        yield CursorTrail(attribute=attribute, values=[key for item in items for key in item], offsets=offsets)


def _embeddings(page: Page, filled: Filled, positions: NDArray[np.int32]) -> Iterable[CursorEmbedding]:
    """Unit rows of the items shown last, where anything looks at them."""
    rules = filled.rules
    if (rules.strategy == "relevance" or rules.diversity == 0.0) and not rules.similarity:
        return
    known, reach = page.embeddings(), _reach(rules)
    room = _MOST_BYTES // max(1, len(filled.candidates.embeddings))
    for name, column in filled.candidates.embeddings.items():
        width = column.matrix.shape[1]
        most = min(reach, max(1, room // (2 * width)))
        last = positions[-most:]
        norms = column.norms[last]
        rows = column.matrix[last] / np.where(norms > 0, norms, 1.0)[:, None]
        rows[norms == 0] = 0.0
        rows = rows.astype("<f2")
        earlier = known.get(name)
        if earlier is not None and earlier.matrix.shape[1] == width:
            rows = np.concatenate([earlier.matrix.astype("<f2"), rows])[-most:]
        yield CursorEmbedding(name=name, dimension=width, float16=rows.tobytes())
