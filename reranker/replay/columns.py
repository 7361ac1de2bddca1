"""One attribute, or two of them crossed, in many candidate lists: who carries which value, and what is due to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.attributes import AttributeColumn
from reranker.measures import Membership
from reranker.replay.lists import Lists
from reranker.replay.segments import Floats, Indices, Mask, Segments
from reranker.replay.vocabulary import Vocabulary

MOST_VALUES = 32
"""An attribute of more values is one of providers, such as creators: counted value by value, not compared by group."""
_MOST_PAIRS = 64  # values of a pair of attributes
TIMES = " × "
"""Stands between the two attributes, and the two values, of a pair."""


@dataclass(frozen=True, eq=False)
class Column:
    """Membership of the candidates of some `Lists` in the values of one attribute.

    Entry e says that candidate `rows[e]`, ascending, carries value `carried[e]` of its list: `values` are the lists'
    values one behind the other, the text of each as a number of the batch's vocabulary. A list that does not measure
    the attribute has place -1 and no value. `asked` counts the first values of each list, those that DIV@k is about.
    """

    attribute: str
    lists: Lists
    place: Indices
    """Where each list has the attribute among those that it measures."""
    values: Segments
    texts: Indices
    asked: Indices
    entries: Segments
    """Entries by candidate."""
    carried: Indices
    labelled: Mask
    declares: Mask
    """Which lists' requests name themselves what is due to each value."""
    declared: Floats
    """What they name, NaN where they are silent."""
    is_pair: bool = False

    @cached_property
    def is_measured(self) -> Mask:
        """Which lists measure it."""
        return self.place >= 0

    @cached_property
    def is_small(self) -> Mask:
        """Which lists compare it by group."""
        return self.is_measured & (self.is_pair | (self.values.lengths <= MOST_VALUES))

    @cached_property
    def lists_entries(self) -> Segments:
        """Entries by list."""
        lengths = self.entries.lengths
        ends = np.concatenate([[0], np.cumsum(lengths)])
        own = self.lists.segments
        return Segments(ends[own.starts + own.lengths] - ends[own.starts])

    @cached_property
    def key(self) -> Indices:
        """The value of each entry among all lists' values."""
        keys: Indices = self.values.starts[self.lists.segments.owner[self.entries.owner]] + self.carried
        return keys

    @cached_property
    def supply(self) -> Indices:
        """How many candidates carry each value."""
        return np.bincount(self.key, minlength=self.values.total)

    @cached_property
    def known(self) -> Indices:
        """How many candidates of each list have a known value."""
        return self.lists.segments.count(self.labelled)

    @cached_property
    def others(self) -> Indices:
        """How many labelled candidates of each list carry none of the values."""
        return self.lists.segments.count(self.labelled & (self.entries.lengths == 0))

    @cached_property
    def reference(self) -> Floats:
        """What is due to each value: what the request declares, else its share of the labelled candidates."""
        known = self.known[self.values.owner]
        shares = np.divide(self.supply, known, out=np.zeros(self.values.total), where=known > 0)
        return np.where(self.declares[self.values.owner], self.declared, shares)

    @cached_property
    def targets(self) -> tuple[Segments, Floats]:
        """The target of each class as in `measures.groups.against`: the values and one more, which adds up to 1."""
        classes = Segments(self.values.lengths + 1)
        target = np.zeros(classes.total)
        target[classes.within < self.values.lengths[classes.owner]] = np.nan_to_num(self.reference)
        sums = classes.sum(target)
        leaves = sums < 1.0 - 1e-6
        target[(classes.starts + self.values.lengths)[leaves]] = 1.0 - sums[leaves]
        target /= np.where(leaves, 1.0, sums)[classes.owner]
        return classes, target

    def membership(self, at: int) -> Membership:
        """That of one list by itself."""
        own = self.lists.segments
        first, last = int(own.starts[at]), int(own.starts[at] + own.lengths[at])
        lengths = self.entries.lengths[first:last]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
        begin = int(self.lists_entries.starts[at])
        carried = self.carried[begin : begin + starts[-1]]
        return Membership(starts, carried, int(self.values.lengths[at]), self.labelled[first:last])


def column_of(
    attribute: str,
    lists: Lists,
    place: Indices,
    targets: Sequence[Mapping[str, Mapping[str, float]]],
    domain: tuple[str, ...],
    threshold: float,
    vocabulary: Vocabulary,
) -> Column:
    """An attribute of the lists that have a `place` for it; the words are those of `MeasuredAttribute.of`."""
    columns = [_hard(lists, at, attribute, threshold) if place[at] >= 0 else None for at in range(len(lists.all))]
    codes, entries = _codes(columns, lists)
    dictionary = Segments(np.array([0 if own is None else len(own.values) + 1 for own in columns], np.intp))
    of_list = lists.segments.owner[entries.owner]
    keys = dictionary.starts[of_list] + codes
    labelled = np.zeros(lists.segments.total, bool)
    labelled[entries.owner[codes > 0]] = True
    occurs = np.bincount(keys, minlength=dictionary.total) > 0
    words = _Words(domain, vocabulary)
    found = [
        words.of(own, occurs[first + 1 : first + length], targets[at].get(attribute)) if place[at] >= 0 else _NO_WORDS
        for at, (own, first, length) in enumerate(
            zip(columns, dictionary.starts.tolist(), dictionary.lengths.tolist(), strict=True)
        )
    ]
    carried = np.concatenate([_NONE, *(each.value_of for each in found)])[keys] if len(keys) else _NONE
    wanted = carried >= 0
    values = Segments(np.array([len(each.texts) for each in found], np.intp))
    return Column(
        attribute,
        lists,
        place,
        values,
        np.concatenate([_NONE, *(each.texts for each in found)]),
        np.array([each.asked for each in found], np.intp),
        entries.kept(wanted),
        carried[wanted],
        labelled,
        np.array([each.due is not None for each in found], bool),
        np.concatenate([np.zeros(0), *(np.zeros(len(each.texts)) if each.due is None else each.due for each in found)]),
    )


def crossed(one: Column, other: Column, attributes: int, vocabulary: Vocabulary) -> Column | None:
    """Two attributes as one, in the lists that have `one` before `other` and few values of both; None: in no list.

    They stand behind all `attributes`, as `itertools.combinations` has them. An item is labelled where both know it.
    """
    lists, widths, more = one.lists, one.values.lengths, other.values.lengths
    fits = one.is_small & other.is_small & (one.place < other.place) & (widths > 0) & (more > 0)
    fits &= widths * more <= _MOST_PAIRS
    if not fits.any():
        return None
    kept = fits[lists.segments.owner]
    times = np.where(kept, other.entries.lengths, 0)[one.entries.owner]
    entry = np.repeat(np.arange(one.entries.total), times)  # each of one meets every value of the other of its item
    within = np.arange(len(entry)) - np.repeat(np.cumsum(times) - times, times)
    rows = one.entries.owner[entry]
    carried = one.carried[entry] * more[lists.segments.owner[rows]] + other.carried[other.entries.starts[rows] + within]
    values = Segments(np.where(fits, widths * more, 0))
    first, second = values.within // more[values.owner], values.within % more[values.owner]
    left = one.texts[one.values.starts[values.owner] + first]
    right = other.texts[other.values.starts[values.owner] + second]
    place = np.where(fits, attributes * (1 + one.place) + other.place, -1)
    return Column(
        f"{one.attribute}{TIMES}{other.attribute}",
        lists,
        place,
        values,
        vocabulary.joined(left, right, TIMES),
        np.zeros(len(lists.all), np.intp),
        Segments(np.where(kept, one.entries.lengths * other.entries.lengths, 0)),
        carried,
        one.labelled & other.labelled & kept,
        np.zeros(len(lists.all), bool),
        np.zeros(values.total),
        is_pair=True,
    )


_NONE: Indices = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class _ListWords:
    """The values of one list: their texts, how many are asked for, which one each code is (-1: none), what is due."""

    texts: Indices
    asked: int
    value_of: Indices
    due: Floats | None


_NO_WORDS = _ListWords(_NONE, 0, _NONE, None)


class _Words:
    """What values a list has; lists with the same dictionary share what was found once."""

    def __init__(self, domain: tuple[str, ...], vocabulary: Vocabulary) -> None:
        self._domain, self._vocabulary = domain, vocabulary
        self._known: dict[tuple[tuple[str, ...] | None, bytes], _ListWords] = {}

    def of(self, column: AttributeColumn | None, occurs: Mask, declared: Mapping[str, float] | None) -> _ListWords:
        """The words of one list; `occurs` says which texts of the column's dictionary some candidate carries."""
        if declared:
            return self._made(column, occurs, declared)
        key = (None if column is None else column.values, occurs.tobytes())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._made(column, occurs, {})
        return found

    def _made(self, column: AttributeColumn | None, occurs: Mask, declared: Mapping[str, float]) -> _ListWords:
        dictionary = () if column is None else column.values
        carried = [dictionary[code] for code in np.flatnonzero(occurs).tolist()]
        asked = self._domain or [value for value, share in declared.items() if share > 0.0] or carried
        values = list(dict.fromkeys((*asked, *(declared or carried))))
        index_of = {value: index for index, value in enumerate(values)}
        value_of = [] if column is None else [-1, *(index_of.get(value, -1) for value in dictionary)]
        due = np.array([declared.get(value, np.nan) for value in values], np.float64) if declared else None
        return _ListWords(self._vocabulary.numbers(values), len(asked), np.array(value_of, np.intp), due)


def _hard(lists: Lists, at: int, attribute: str, threshold: float) -> AttributeColumn | None:
    column = lists.all[at].attributes.get(attribute)
    return None if column is None else column.hard(threshold)


def _codes(columns: Sequence[AttributeColumn | None], lists: Lists) -> tuple[Indices, Segments]:
    """The codes of all candidates, 0 for unknown, and which of them are each one's."""
    codes: list[NDArray[np.integer]] = [_NONE]
    lengths: list[NDArray[np.integer]] = [_NONE]
    for column, count in zip(columns, lists.segments.lengths.tolist(), strict=True):
        if column is None:
            lengths.append(np.zeros(count, np.intp))
        elif column.offsets is None:
            lengths.append(np.ones(count, np.intp))
            codes.append(column.codes)
        else:
            lengths.append(np.diff(column.offsets))
            codes.append(column.codes[column.offsets[0] : column.offsets[-1]])
    return np.concatenate(codes), Segments(np.concatenate(lengths))
