"""Which values stand in which slots of many slates, and who came and went: what groups gain and lose in items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reranker.replay.groups import Listed
from reranker.replay.segments import Floats, Indices, Segments

_MANY = 1 << 32  # more than values that an attribute has


@dataclass(frozen=True, slots=True, eq=False)
class Presences:
    """Values on slates, one entry each: candidates that carry it, slots that they have, from 1, and who came and went.

    `lifted` items came from below the upstream top k, `dropped` ones left it; their scores are shares of the best
    candidate's relevance, added up, NaN where scores have no zero. Attributes and values are texts of the batch's
    vocabulary; the value of unlabelled items is the empty one.
    """

    row: Indices
    attribute: Indices
    value: Indices
    supply: Indices
    slots: Segments
    slot: Indices
    lifted: Indices
    lifted_score: Floats
    dropped: Indices
    dropped_score: Floats


def presences_of(listed: Listed, rows: Indices, attribute: int) -> tuple[Presences, Indices]:
    """What one attribute adds, and a key by which entries of the same row are in order: values, unlabelled last."""
    slates, column, values = listed.slates, listed.column, listed.values
    shares = slates.lists.shares_of_best
    came = slates.came[listed.slot]
    lifted, lifted_score = _sums(listed.key[came], shares[slates.item[listed.slot[came]]], values.total)
    went = np.flatnonzero(slates.went)
    gone, at = column.entries.take(slates.top[went])
    gone_key = values.starts[slates.slots.owner[went]][gone.owner] + column.carried[at]
    dropped, dropped_score = _sums(gone_key, shares[slates.top[went]][gone.owner], values.total)
    is_small = column.is_small[slates.owner][values.owner]
    shown = np.where(is_small, listed.supply > 0, (listed.counts > 0) | (lifted > 0) | (dropped > 0))
    order = np.argsort(listed.key, kind="stable")
    by_value = Segments(listed.counts)
    chosen = np.flatnonzero(shown)
    slots, taken = by_value.take(chosen)
    known = Presences(
        rows[values.owner[chosen]],
        np.full(len(chosen), attribute),
        column.texts[listed.of_list[chosen]],
        listed.supply[chosen],
        slots,
        slates.slots.within[listed.slot[order[taken]]] + 1,
        lifted[chosen],
        lifted_score[chosen],
        dropped[chosen],
        dropped_score[chosen],
    )
    unknown = _unlabelled(listed, rows, attribute)
    last = np.full(len(unknown.row), _MANY - 1)
    place = column.place[slates.owner]
    owners = np.concatenate([values.owner[chosen], np.searchsorted(rows, unknown.row)])
    key = place[owners] * _MANY + np.concatenate([values.within[chosen], last])
    return together([known, unknown]), key


def _sums(key: Indices, shares: Floats, count: int) -> tuple[Indices, Floats]:
    """How many items carry each value, and the sum of their scores."""
    return np.bincount(key, minlength=count), np.bincount(key, weights=shares, minlength=count).astype(np.float64)


def _unlabelled(listed: Listed, rows: Indices, attribute: int) -> Presences:
    """The items of no known value, of slates whose list has any."""
    slates, column = listed.slates, listed.column
    lists = slates.lists
    missing = lists.segments.lengths - column.known
    own = (missing > 0) & column.is_measured
    has = own[slates.owner]
    places = np.flatnonzero(~listed.labelled & has[slates.slots.owner])
    shares = lists.shares_of_best
    new = places[slates.came[places]]
    gone = np.flatnonzero(slates.went & ~column.labelled[slates.top] & has[slates.slots.owner])
    counts = []
    for some, items in ((new, slates.item), (gone, slates.top)):
        each = Segments.of(slates.slots.owner[some], len(slates))
        counts.append((each.lengths[has], each.sum(shares[items[some]])[has]))
    count = int(np.count_nonzero(has))
    return Presences(
        rows[has],
        np.full(count, attribute),
        np.zeros(count, np.intp),
        missing[slates.owner[has]],
        Segments(np.bincount(slates.slots.owner[places], minlength=len(slates))[has]),
        slates.slots.within[places] + 1,
        *counts[0],
        *counts[1],
    )


def together(parts: list[Presences]) -> Presences:
    """All entries, one part behind the other."""
    names = ("row", "attribute", "value", "supply", "slot", "lifted", "lifted_score", "dropped", "dropped_score")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Presences(**joined, slots=Segments(np.concatenate([part.slots.lengths for part in parts])))


def in_order(presences: Presences, order: Indices) -> Presences:
    """The entries in another order."""
    slots, taken = presences.slots.take(order)
    names = ("row", "attribute", "value", "supply", "lifted", "lifted_score", "dropped", "dropped_score")
    moved = {name: getattr(presences, name)[order] for name in names}
    return Presences(**moved, slots=slots, slot=presences.slot[taken])


_NONE: Indices = np.zeros(0, np.intp)
NOBODY = Presences(_NONE, _NONE, _NONE, _NONE, Segments(_NONE), _NONE, _NONE, np.zeros(0), _NONE, np.zeros(0))
